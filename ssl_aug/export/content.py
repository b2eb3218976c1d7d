"""What is exported, whatever the target: real and synthetic labeled images, unlabeled, test and validation images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_aug.data.base import LabeledSet, Split
from ssl_aug.synthetic import SCORES, SyntheticSet
from ssl_aug.tables import csv_line

PARTS = ("real", "synthetic", "unlabeled", "test", "validation")  # the last where there are any
COLUMNS = (
    "path", "part", "label", "class_name", "source", "k", "seed",
    "mask_rate", "mask_box", "lender", "sampler", "steps", "guidance", "sha256", *SCORES,
)  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """One image of one part."""

    path: Path
    part: str  # one of PARTS
    number: int  # its place within the part
    label: int | None  # None: unlabeled
    facts: dict[str, str] = field(default_factory=dict)  # a synthetic image's row of its manifest

    @property
    def stem(self) -> str:
        """The file's name in an export: a letter for the part and a number. No reader takes it for anything else."""
        return f"{self.part[0]}{self.number:07d}"


@dataclass(frozen=True)
class Content:
    """All that one export holds."""

    split: Split
    synthetic: SyntheticSet | None  # None: real images only

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.split.labeled.class_names

    @property
    def validation(self) -> LabeledSet:
        return self.split.validation or LabeledSet((), self.class_names)

    def pictures(self, *parts: str) -> Iterator[Picture]:
        """The images of these parts, one part after the other, each in its own order."""
        for part in parts:
            if part == "unlabeled":
                for number, path in enumerate(self.split.unlabeled):
                    yield Picture(path, part, number, None)
            elif part == "synthetic":
                rows = self.synthetic.rows if self.synthetic else ()
                examples = self.synthetic.examples if self.synthetic else ()
                for number, (example, row) in enumerate(zip(examples, rows, strict=True)):
                    yield Picture(example.path, part, number, example.label, row)
            else:
                for number, example in enumerate(self._labeled(part).examples):
                    yield Picture(example.path, part, number, example.label)

    def counts(self) -> dict[str, int]:
        """Number of images of each part; the validation part is named where it is there."""
        counts = {
            "real": len(self.split.labeled),
            "synthetic": len(self.synthetic) if self.synthetic else 0,
            "unlabeled": len(self.split.unlabeled),
            "test": len(self.split.test),
        }
        return counts | ({"validation": len(self.validation)} if self.validation.examples else {})

    def _labeled(self, part: str) -> LabeledSet:
        return {"real": self.split.labeled, "test": self.split.test, "validation": self.validation}[part]

    def require_every_class(self, part: str, why: str) -> None:
        """Refuses a part that lacks a class.

        Args:
            why: what cannot take it, as the error says it.

        Raises:
            ValueError: a class has no image there.
        """
        missing = sorted(set(range(len(self.class_names))) - set(self._labeled(part).labels))
        if missing:
            raise ValueError(
                f"class {self.class_names[missing[0]]!r} has no {part} images, and {why}: "
                "add some, or choose another target with --to"
            )


@dataclass(frozen=True)
class Options:
    """How images are put into an export."""

    link: str = "copy"  # one of `data.settings.LINKS`
    image_size: int | None = None  # pixels of the side, where a target wants one size
    tllib_seed: int = 0  # --seed of the TLlib run that replays the labeled draw


@dataclass(frozen=True)
class Exported:
    """One image as a target's reader gives it back."""

    part: str
    label: int | None
    pixels: NDArray[np.uint8]  # (height, width, 3)


# write(content, folder, final, options, placed) -> the README's loading snippet. `final` is the folder's name when all
# is done; placed(picture, name in the export, sha256) is to be called for each image
Placed = Callable[[Picture, str, str], None]


@contextmanager
def listing(path: Path, class_names: tuple[str, ...], advance: Callable[[], Any]) -> Iterator[Placed]:
    """manifest.csv, written row by row.

    Args:
        advance: called for each image.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(csv_line(COLUMNS))

        def placed(picture: Picture, name: str, sha256: str) -> None:
            label = {} if picture.label is None else {"label": picture.label, "class_name": class_names[picture.label]}
            row = {**picture.facts, "path": name, "part": picture.part, "sha256": sha256, **label}
            file.write(csv_line(row.get(column, "") for column in COLUMNS))
            advance()

        yield placed
