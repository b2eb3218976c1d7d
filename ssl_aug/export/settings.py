"""What is exported, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from generators.allowed import AtLeast1, OneOf, PathText, Range
from ssl_aug.data.settings import LINKS
from ssl_aug.settings import Settings

TARGETS = ("folder", "lists", "usb", "numpy", "hf", "webdataset")


@dataclass(frozen=True)
class ExportSettings(Settings):
    """What is exported, and how, beside all that names the split and the synthetic set."""

    to: Annotated[str, OneOf(TARGETS)] | None = None  # one of TARGETS
    out: PathText | None = None  # the folder to write; must not exist
    real_only: bool = False  # leave the synthetic images out
    link: Annotated[str, OneOf(LINKS)] = "copy"  # copy, hard or symbolic
    size: AtLeast1 | None = None  # numpy: pixels of the images' sides; null: the synthetic images' own
    tllib_seed: Annotated[int, Range(0, 2**32 - 1)] = 0  # lists: --seed of the TLlib run that replays the draw
    check: bool = False  # read the export back and compare it

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.to is None:
            raise ValueError(f"--to is missing: choose one of {', '.join(TARGETS)}")
        if self.out is None:
            raise ValueError("--out is missing: name a new folder for the export")
        if self.link != "copy" and self.to in ("numpy", "webdataset"):
            raise ValueError(f"--link {self.link} has no effect on --to {self.to}, which holds no image files")
        if self.size is not None and self.to != "numpy":
            raise ValueError(f"--size {self.size} has no effect on --to {self.to}: images keep their own size")
        if self.tllib_seed != 0 and self.to != "lists":
            raise ValueError(f"--tllib-seed {self.tllib_seed} has no effect on --to {self.to}: only lists replays")
