"""What is exported, and how."""

from __future__ import annotations

from dataclasses import dataclass

from ssl_aug.data.copying import LINKS
from ssl_aug.settings import Settings

TARGETS = ("folder", "lists", "usb", "numpy", "hf", "webdataset")


@dataclass(frozen=True)
class ExportSettings(Settings):
    """What is exported, and how, beside all that names the split and the synthetic set."""

    to: str | None = None  # one of TARGETS
    out: str | None = None  # the folder to write; must not exist
    real_only: bool = False  # leave the synthetic images out
    link: str = "copy"  # copy, hard or symbolic
    size: int | None = None  # numpy: pixels of the images' sides; null: the synthetic images' own
    tllib_seed: int = 0  # lists: --seed of the TLlib run that replays the draw
    check: bool = False  # read the export back and compare it

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.to not in TARGETS:
            given = "is missing" if self.to is None else f"{self.to}: there is no such target"
            raise ValueError(f"--to {given}; choose one of {', '.join(TARGETS)}")
        if self.out is None:
            raise ValueError("--out is missing: name a new folder for the export")
        if self.link not in LINKS:
            raise ValueError(f"--link {self.link}: choose one of {', '.join(LINKS)}")
        if self.link != "copy" and self.to in ("numpy", "webdataset"):
            raise ValueError(f"--link {self.link} has no effect on --to {self.to}, which holds no image files")
        if self.size is not None and self.to != "numpy":
            raise ValueError(f"--size {self.size} has no effect on --to {self.to}: images keep their own size")
        if self.size is not None and self.size < 1:
            raise ValueError(f"--size {self.size}: give 1 pixel or more")
        if self.tllib_seed != 0 and self.to != "lists":
            raise ValueError(f"--tllib-seed {self.tllib_seed} has no effect on --to {self.to}: only lists replays")
        if not 0 <= self.tllib_seed < 2**32:
            raise ValueError(f"--tllib-seed {self.tllib_seed}: give 0 to {2**32 - 1}")
