"""Where a tuning lies: its folder stands for all that decides the tuned weights. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from generators.settings import TUNING, deciding
from ssl_aug.settings import Settings, short_hash


def tuning_folder(
    settings: Settings, dataset: str, model_id: str, images_id: str, classes: Sequence[str] | None
) -> Path:
    """The folder of a tuning, whatever its number of steps.

    Args:
        dataset: its name.
        model_id: of the pretrained weights.
        images_id: of the images that it is tuned on.
        classes: the class's name of each of these, where the condition has it.
    """
    tune, sampling = deciding(settings.tune, TUNING, unless_said=[TUNING]), settings.sampling()
    decided: list[Any] = [model_id, images_id, tune, settings.generator.image_size, settings.generator.tokens]
    if classes is not None:
        decided += [sampling.condition, sampling.class_prompt, tuple(classes)]
    return Path(settings.tune.root) / f"{dataset}-{settings.tune.approach}-{short_hash(decided)}"
