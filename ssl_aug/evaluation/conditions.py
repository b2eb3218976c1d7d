"""Which images condition the drawings that are measured, and how many are drawn of each. No torch here."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ssl_aug.data.base import Dataset, Example, LabeledSet, Split
from ssl_aug.data.split import draw_subset
from ssl_aug.evaluation.settings import EvaluateSettings
from ssl_aug.settings import Settings


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
