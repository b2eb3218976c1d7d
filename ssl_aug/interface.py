"""What the commands do, for Python: the same rooms, with the data and the settings given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from generators.first_look import refuse_at_once
from ssl_aug.command_line import warn_of_toy
from ssl_aug.drawing.draw import draw_set
from ssl_aug.loading import Data, settings_for
from ssl_aug.progress import Progress, told_to
from ssl_aug.runtime import placement
from ssl_aug.settings import Settings
from ssl_aug.synthetic import SyntheticSet
from ssl_aug.tuning.adapter import refuse_untuned
from ssl_aug.tuning.adapter import tune as tune_weights
from ssl_aug.tuning.plan import plan_tuning


def tune(data: Data, settings: Settings, progress: Progress | None = None) -> Path:
    """Tunes the generator to the training images; returns the file of the tuned weights."""
    settings = settings_for(data, settings)
    warn_of_toy(settings.data.name, settings.generator.name)
    refuse_at_once(settings.generator)
    refuse_untuned(settings)
    with told_to(progress):
        plan = plan_tuning(settings, data.dataset, data.split)
        return tune_weights(settings, plan, placement(settings.device, settings.precision))


def generate(
    data: Data, settings: Settings, out: str | Path | None = None, progress: Progress | None = None
) -> SyntheticSet:
    """Draws synthetic images from each labeled image, tuning first where that was not done."""
    settings = settings_for(data, settings)
    if out is not None:
        if settings.synthetic.root is not None:
            raise ValueError(f"out={out} and synthetic.root={settings.synthetic.root} both name a folder: give one")
        settings = replace(settings, synthetic=replace(settings.synthetic, root=str(out)))
    warn_of_toy(settings.data.name, settings.generator.name)
    refuse_at_once(settings.generator)
    with told_to(progress):
        synthetic = draw_set(settings, data.dataset, data.split)
    if synthetic is None:
        raise ValueError("several processes draw this set: call generate again when all are done, or in one process")
    return synthetic.first(settings.per_sample)
