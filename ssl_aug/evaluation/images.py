"""Which images of a set are measured."""

from __future__ import annotations

import numpy as np
import torch

from ssl_aug.evaluation.sums import Images
from ssl_aug.synthetic import SyntheticSet, why_unlabeled
from ssl_aug.synthetic.set_record import record_of


def images_of(synthetic: SyntheticSet, class_names: tuple[str, ...], num_images: int | None) -> Images:
    """A set's images as they are measured: the first `num_images` of them, those of one reference together.

    Args:
        class_names: the data's, which a set drawn from a few classes need not have all.
    """
    numbers = {name: number for number, name in enumerate(class_names)}
    rows = sorted(synthetic.rows[:num_images], key=lambda row: (int(row["label"]), row["source"], int(row["k"])))
    paths = tuple(synthetic.folder / row["path"] for row in rows)
    sources: dict[tuple[str, str], int] = {}
    groups = [sources.setdefault((row["label"], row["source"]), len(sources)) for row in rows]
    labels = None
    if why_unlabeled(record_of(synthetic.folder)) is None:
        labels = torch.tensor([numbers[row["class_name"]] for row in rows], dtype=torch.int64)
    return Images(paths, labels, torch.tensor(groups, dtype=torch.int64))


def some_of(images: Images, count: int) -> Images:
    """So many of the images, evenly spread; without groups."""
    chosen = np.linspace(0, len(images.paths) - 1, count).round().astype(int)
    labels = None if images.labels is None else images.labels[torch.from_numpy(chosen)]
    return Images(tuple(images.paths[i] for i in chosen), labels)
