"""Which images condition the drawings that are measured, and how many are drawn of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ssl_aug.data.base import Dataset, Example, LabeledSet, Split
from ssl_aug.data.split import draw_subset
from ssl_aug.evaluation.settings import EvaluateSettings
from ssl_aug.evaluation.sums import Images
from ssl_aug.settings import Settings
from ssl_aug.synthetic import SyntheticSet, why_unlabeled
from ssl_aug.synthetic.set_record import record_of


def conditions_of(settings: EvaluateSettings, dataset: Dataset, split: Split) -> LabeledSet:
    """The images of `conditions`: the labeled ones, or num_images of the others, evenly spread over their list.

    Of classes only those are named that have an image among them.

    Raises:
        ValueError: conditions=test, and there are no test images.
    """
    if settings.drawn_from == "labeled":
        return split.labeled
    pool = dataset.train if settings.drawn_from == "train" else dataset.test
    if not pool.examples:
        raise ValueError(f"conditions={settings.drawn_from}: {dataset.name} has no such images, choose others")
    count = min(settings.num_images or len(pool), len(pool))
    chosen = [pool.examples[i] for i in np.linspace(0, len(pool) - 1, count).round().astype(int)]
    labels = sorted({example.label for example in chosen})
    numbers = {label: number for number, label in enumerate(labels)}
    examples = tuple(Example(example.path, numbers[example.label]) for example in chosen)
    return LabeledSet(examples, tuple(pool.class_names[label] for label in labels))


def drawn_of_each(settings: EvaluateSettings, conditions: LabeledSet) -> int:
    """How many images are drawn of each condition."""
    if settings.num_images is None:
        return settings.per_sample if settings.drawn_from == "labeled" else 1
    return -(-settings.num_images // len(conditions))


def tuning_images(settings: Settings, dataset: Dataset, split: Split) -> tuple[Path, ...]:
    """What the generator of these settings is tuned on; all training images where it is not tuned."""
    images = split.labeled.paths if settings.tune.images == "labeled" else dataset.training_images
    return (
        images if settings.data.subset is None else draw_subset(images, settings.data.subset, settings.data.split_seed)
    )


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
