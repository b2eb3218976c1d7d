"""Settings of the images. No torch here, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from generators.allowed import AtLeast0, AtLeast1, FreeText, PathText, Range, check
from generators.settings import ABSENT_WHERE_NULL, PICTURES, TRAINING, VARIANT, decides

LINKS = ("copy", "hard", "symbolic")  # how image files get into an export or a set


def labels_told(labels_per_class: int | None) -> str:
    """How many labels are known, in the words of titles."""
    return "all labels" if labels_per_class is None else f"{labels_per_class} labels per class"


@dataclass(frozen=True)
class DataSettings:
    """Which images, and how many of their labels are known."""

    name: str = "toycars"  # one of DATASETS
    # folder of the dataset, with csv the list; null for datasets that are made, not read
    root: PathText | None = field(default=None, metadata=decides())
    # paper: 4; null: every training image keeps its label (image_folder, csv and hf, unless a number is given)
    labels_per_class: AtLeast1 | None = 4
    split_seed: Annotated[int, Range(0, 2**32 - 1)] = 0  # which images are labeled; the benchmark: 0
    # more labeled images of each class, to select by: no method trains on them
    validation_per_class: AtLeast0 = field(default=0, metadata=decides(TRAINING, VARIANT))
    # tune the generator on this many training images only; paper: 1000 and 25
    subset: AtLeast1 | None = field(default=None, metadata=decides(PICTURES))
    crop_to_box: bool = False  # stanford_cars: cut each photo to its annotated box
    attribute: FreeText | None = None  # celeba: the attribute that is the class; null: Smiling
    # hf: the column of the images; null: the one of the type Image
    image_column: FreeText | None = field(default=None, metadata=ABSENT_WHERE_NULL)
    # hf: the column of the labels; null: the one ClassLabel, or the one with a usual name (label, class, category, ...)
    label_column: FreeText | None = field(default=None, metadata=ABSENT_WHERE_NULL)

    def __post_init__(self) -> None:
        check(self, "data.")

    @property
    def labels_told(self) -> str:
        """How many labels are known, in the words of titles."""
        return labels_told(self.labels_per_class)
