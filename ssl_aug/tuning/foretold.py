"""What a tuning would do, and what it is refused for: known before any work. No torch here."""

from __future__ import annotations

from generators.settings import TUNED
from ssl_aug.data.build import load_and_tell
from ssl_aug.runtime import refuse_place
from ssl_aug.settings import Settings
from ssl_aug.tuning.plan import plan_tuning, would_fetch


def foretold(settings: Settings) -> str:
    """What a run with these settings would do, in words.

    Raises:
        ValueError, OSError: what the run itself would be refused with.
    """
    refuse_untuned(settings)
    refuse_place(settings.device, settings.precision)
    dataset, split = load_and_tell(settings.data)
    fetched_first = would_fetch(settings.generator)
    if fetched_first is not None:
        return fetched_first
    plan = plan_tuning(settings, dataset, split)
    if plan.adapter.is_file():
        return f"{plan.adapter} is already there: nothing would be tuned"
    return f"would tune on {len(plan.images)} images for {settings.tune.steps} steps and write {plan.adapter}"


def refuse_untuned(settings: Settings) -> None:
    """Raises ValueError where these settings leave nothing to tune."""
    if settings.generator.name not in TUNED:
        raise ValueError(
            f"generator={settings.generator.name} is not tuned: leave this step out, or give one of {', '.join(TUNED)}"
        )
    if settings.tune.steps == 0:
        raise ValueError("tune.steps=0 leaves nothing to tune: draw with it, python -m ssl_aug.generate tune.steps=0")
