"""Synthetic images from a tuned latent diffusion model for learning with few labels.

import ssl_aug

data = ssl_aug.load(images, labels, labels_per_class=4)
synthetic = ssl_aug.generate(data, ssl_aug.default_settings("embedded"))
train = ssl_aug.torch_dataset(data.with_synthetic(synthetic).labeled, transform)

Every name is imported when it is asked for, so that `import ssl_aug` is instant. docs/api.md describes them.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ssl_aug.interrupts import end_commands_at_once

if TYPE_CHECKING:
    from generators.settings import GeneratorSettings
    from ssl_aug.callable_commands import GenerateCommand, TuneCommand
    from ssl_aug.data.base import Dataset, Example, LabeledSet, Split
    from ssl_aug.defaults import default_settings
    from ssl_aug.export.live import torch_dataset
    from ssl_aug.loading import Data, load
    from ssl_aug.settings import DataSettings, Settings, SyntheticSettings
    from ssl_aug.synthetic import SyntheticSet
    from ssl_aug.tuning.settings import TuneSettings

    generate: GenerateCommand
    tune: TuneCommand

end_commands_at_once(sys.orig_argv)  # before all else is imported, which takes a while

__version__ = "0.1.0"

__all__ = [
    "Data",
    "DataSettings",
    "Dataset",
    "Example",
    "GeneratorSettings",
    "LabeledSet",
    "Settings",
    "Split",
    "SyntheticSet",
    "SyntheticSettings",
    "TuneSettings",
    "default_settings",
    "generate",
    "load",
    "torch_dataset",
    "tune",
]

_MODULES = {  # where each name is from
    "ssl_aug.loading": ("Data", "load"),
    "ssl_aug.settings": ("DataSettings", "Settings", "SyntheticSettings"),
    "ssl_aug.tuning.settings": ("TuneSettings",),
    "generators.settings": ("GeneratorSettings",),
    "ssl_aug.data.base": ("Dataset", "Example", "LabeledSet", "Split"),
    "ssl_aug.synthetic": ("SyntheticSet",),
    "ssl_aug.defaults": ("default_settings",),
    "ssl_aug.export.live": ("torch_dataset",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in ("generate", "tune"):
        return import_module(f"ssl_aug.{name}")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'ssl_aug' has no attribute {name!r}: it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
