"""What an evaluation would draw and measure. Torch is loaded only where drawing has to be tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ssl_aug.drawing import foretold as drawing
from ssl_aug.evaluation.conditions import conditions_of, drawn_of_each
from ssl_aug.evaluation.plan import plan_evaluation
from ssl_aug.evaluation.settings import EvaluateSettings
from ssl_aug.runtime import refuse_place


def foretold(settings: EvaluateSettings) -> Iterator[str]:
    """What a run would do, set after set.

    Raises:
        ValueError, OSError: what the run itself would be refused with.
    """
    refuse_place(settings.device, settings.precision)
    plan = plan_evaluation(settings)
    if plan.finished is not None:
        yield f"would measure {len(plan.finished)} images in {plan.finished.folder}"
        return
    for one in plan.asked:
        yield one.name
        conditions = conditions_of(one.settings, plan.dataset, plan.split)
        variant = replace(one.settings, per_sample=drawn_of_each(one.settings, conditions))
        yield drawing.foretold(variant, plan.dataset, replace(plan.split, labeled=conditions))
