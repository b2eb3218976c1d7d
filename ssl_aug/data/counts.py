"""The line on the data that every command says first: how many images of which part."""

from __future__ import annotations

import sys
from collections import Counter

from ssl_aug.data.base import Dataset, Split
from ssl_aug.runtime import is_first_process


def told(dataset: Dataset, split: Split, labels_per_class: int | None) -> str:
    """`image_folder: 3 classes, 12 labeled, 3 unlabeled, 0 validation, 6 test images` and what a number sets aside."""
    num_validation = len(split.validation) if split.validation else 0
    line = (
        f"{dataset.name}: {len(dataset.class_names)} classes, {len(split.labeled)} labeled, {len(split.unlabeled)} "
        f"unlabeled, {num_validation} validation, {len(split.test)} test images"
    )
    if labels_per_class is None:
        return line
    counts = Counter(split.labeled.labels)
    aside = len(split.unlabeled) - len(dataset.extra_unlabeled)
    if not aside and min(counts.values()) >= labels_per_class:
        return line
    line += f" (data.labels_per_class={labels_per_class} sets aside the labels of {aside} images; null uses all"
    fewer = [name for label, name in enumerate(dataset.class_names) if counts[label] < labels_per_class]
    return f"{line}; classes with fewer images: {len(fewer)}, among them {fewer[0]!r})" if fewer else f"{line})"


def tell(dataset: Dataset, split: Split, labels_per_class: int | None) -> None:
    """Prints it, and what was left out, on stderr: of several processes the first alone."""
    if not is_first_process():
        return
    for line in (told(dataset, split, labels_per_class), *dataset.notes):
        print(line, file=sys.stderr, flush=True)
