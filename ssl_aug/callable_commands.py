"""Two modules that can be called: `ssl_aug.generate` and `ssl_aug.tune` name a command's module and, in Python, what
the command does.

A function of the same name in the package would be gone as soon as anything imported the command's module.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssl_aug.loading import Data
    from ssl_aug.progress import Progress
    from ssl_aug.settings import Settings
    from ssl_aug.synthetic import SyntheticSet

ROOM = "ssl_aug.interface"  # imported when it is called: it loads torch


class GenerateCommand(ModuleType):
    """The module `ssl_aug.generate`."""

    __file__: str

    def __call__(
        self, data: Data, settings: Settings, out: str | Path | None = None, progress: Progress | None = None
    ) -> SyntheticSet:
        """Draws synthetic images from each labeled image, tuning first where that was not done.

        A set that is there already is not drawn again; one that was stopped is gone on with.

        Args:
            data: of `ssl_aug.load`.
            settings: those of the command; `settings.data` is left out, or the data's own.
            out: folder of the set; None: as the command chooses it, below outputs/synthetic.
            progress: told (done, total, what is being done) beside the bar.

        Raises:
            ValueError, OSError: settings or data that do not fit, or a folder that holds something else.
        """
        synthetic: SyntheticSet = import_module(ROOM).generate(data, settings, out, progress)
        return synthetic


class TuneCommand(ModuleType):
    """The module `ssl_aug.tune`."""

    __file__: str

    def __call__(self, data: Data, settings: Settings, progress: Progress | None = None) -> Path:
        """Tunes the generator to the training images; returns the file of the tuned weights.

        Where they are there already nothing is done. `ssl_aug.generate` calls it by itself.

        Args:
            data: of `ssl_aug.load`.
            settings: those of the command; `settings.data` is left out, or the data's own.
            progress: told (done, total, what is being done) beside the bar.

        Raises:
            ValueError, OSError: settings or data that do not fit, or a generator that is not tuned.
        """
        path: Path = import_module(ROOM).tune(data, settings, progress)
        return path
