"""The few-label draw and the small training sets. The draw replays the benchmark of Jiang et al. (2022)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssl_aug.data.base import Dataset, LabeledSet, Split


def draw_labeled(labels: Sequence[int], num_classes: int, per_class: int | Sequence[int], seed: int) -> list[int]:
    """Positions of the labeled images, class after class.

    One random stream serves all classes in order, so the draw of a class depends on the sizes of the classes
    before it; within a class the positions are taken in file order. Source: TLlib's few-label split
    (Transfer-Learning-Library, semi-supervised image classification), reproduced bit for bit.

    Args:
        labels: one class index per training image, in file order.
        per_class: how many of every class, or of each.
    """
    classes = np.asarray(labels, dtype=np.int64)
    ends = np.cumsum(np.bincount(classes, minlength=num_classes))[:num_classes]
    of_classes = np.split(np.argsort(classes, kind="stable"), ends)[:num_classes]  # positions in file order
    generator = np.random.RandomState(seed)
    drawn: list[int] = []
    for class_index, of_class in enumerate(of_classes):
        count = per_class if isinstance(per_class, int) else per_class[class_index]
        drawn.extend(generator.choice(of_class, count, replace=False).tolist())
    return drawn


def few_label_split(
    dataset: Dataset,
    labels_per_class: int | None,
    split_seed: int,
    validation_per_class: int = 0,
    may_take_fewer: bool = False,
) -> Split:
    """Hides all but `labels_per_class` labels of each class; the unlabeled images exclude the labeled ones.

    The validation images are drawn from what the labeled draw left, and leave the unlabeled set; the labeled set does
    not depend on their number. Where all labels are known they are drawn first.

    Args:
        labels_per_class: None for all.
        may_take_fewer: of a class with fewer images than that, all are labeled.

    Raises:
        ValueError: a class has fewer training images than labels are asked for, or a number is out of range.
    """
    sizes = _checked_sizes(dataset, labels_per_class, split_seed, validation_per_class, may_take_fewer)
    num_classes, examples = len(dataset.class_names), dataset.train.examples
    chosen: set[int] = set()
    drawn: list[int] = []
    if labels_per_class is not None:
        counts = np.minimum(sizes - validation_per_class, labels_per_class).tolist()
        drawn = draw_labeled(dataset.train.labels, num_classes, counts, split_seed)
        chosen = set(drawn)
    validation = dataset.validation
    if validation_per_class:
        left = [i for i in range(len(examples)) if i not in chosen]
        held_out = [
            left[i]
            for i in draw_labeled([examples[i].label for i in left], num_classes, validation_per_class, split_seed)
        ]
        validation = LabeledSet(tuple(examples[i] for i in held_out), dataset.class_names)
        chosen |= set(held_out)
    rest = [i for i in range(len(examples)) if i not in chosen]
    if labels_per_class is None:
        drawn, rest = rest, []
    labeled = LabeledSet(tuple(examples[i] for i in drawn), dataset.class_names)
    unlabeled = tuple(examples[i].path for i in rest)
    return Split(labeled, unlabeled + dataset.extra_unlabeled, dataset.test, validation)


def _checked_sizes(
    dataset: Dataset, labels_per_class: int | None, split_seed: int, validation_per_class: int, may_take_fewer: bool
) -> NDArray[np.int64]:
    """The number of training images of each class, which must be enough; arguments and errors of `few_label_split`."""
    if labels_per_class is not None and labels_per_class < 1:
        raise ValueError(f"data.labels_per_class={labels_per_class}: at least 1 is needed")
    if not 0 <= split_seed < 2**32:
        raise ValueError(f"data.split_seed={split_seed}: give 0 to {2**32 - 1}")
    if validation_per_class < 0:
        raise ValueError(f"data.validation_per_class={validation_per_class}: give 0 (none) or more")
    if validation_per_class and dataset.validation is not None:
        raise ValueError(
            f"data.validation_per_class={validation_per_class}: {dataset.name} has {len(dataset.validation)} "
            "validation images of its own: leave it out, or take them away"
        )
    sizes = np.bincount(dataset.train.labels, minlength=len(dataset.class_names))
    asked = 1 if labels_per_class is None or may_take_fewer else labels_per_class
    if sizes.min() < asked + validation_per_class:
        smallest = int(sizes.argmin())
        labels = "null" if labels_per_class is None else labels_per_class
        more = f" and data.validation_per_class={validation_per_class}" if validation_per_class else ""
        raise ValueError(
            f"class {dataset.class_names[smallest]!r} has {sizes[smallest]} training images, "
            f"data.labels_per_class={labels}{more} asks for more: use at most {sizes.min()}, "
            "null for all labels, or add images"
        )
    return sizes


def draw_subset(paths: Sequence[Path], num_images: int, seed: int) -> tuple[Path, ...]:
    """`num_images` of the images, drawn without regard to class, in file order (the paper's 1k and 25).

    A smaller subset of the same seed is part of a larger one.

    Raises:
        ValueError: there are fewer images.
    """
    if not 1 <= num_images <= len(paths):
        raise ValueError(
            f"data.subset={num_images}: there are {len(paths)} training images, give 1 to {len(paths)} or null for all"
        )
    kept = np.sort(np.random.RandomState(seed).permutation(len(paths))[:num_images])
    return tuple(paths[i] for i in kept)
