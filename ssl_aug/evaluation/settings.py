"""What is measured of which sets. No torch here, so that `--help` is instant."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from generators.allowed import AtLeast1, OneOf, PathText, shown
from generators.settings import APPROACHES, MaskRate
from ssl_aug.settings import MEASURES, Settings, decides

SWEEPS = ("mask_rate", "approach", "tune_steps")
FEATURES = ("backbone", "clip")


@dataclass(frozen=True)
class EvaluateSettings(Settings):
    """What is measured, beside all that decides the synthetic set."""

    # mask_rate, approach or tune_steps, or several joined by +; null: one set
    sweep: str | None = field(default=None, metadata=decides(MEASURES))
    # of sweep=mask_rate
    mask_rates: list[MaskRate] = field(default_factory=lambda: [0.0, 0.3, 0.5, 0.7], metadata=decides(MEASURES))
    # of sweep=approach
    approaches: list[Annotated[str, OneOf(APPROACHES)]] = field(
        default_factory=lambda: ["anl", "all", "scratch"], metadata=decides(MEASURES)
    )
    # of sweep=tune_steps
    tune_steps: list[AtLeast1] = field(default_factory=lambda: [500, 1000, 2000], metadata=decides(MEASURES))
    # what distances are measured in: the embedded classifier backbone, or clip
    features: Annotated[str, OneOf(FEATURES)] = field(default="backbone", metadata=decides(MEASURES))
    # of training the classifier that names the classes, on all labels of real images
    judge_steps: AtLeast1 = field(default=1500, metadata=decides(MEASURES))
    # folder for evaluation.json and .csv; null: derived, under outputs/evaluation
    out: PathText | None = field(default=None, metadata=decides())

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = [name for name in self.swept if name not in SWEEPS]
        if unknown:
            raise ValueError(f"sweep={shown(self.sweep)}: choose of {', '.join(SWEEPS)}, joined by +")
        if self.synthetic.root is not None and self.sweep is not None:
            raise ValueError("sweep draws several sets: leave synthetic.root out")
        if self.per_sample < 2:
            raise ValueError(f"per_sample={self.per_sample}: diversity within one reference needs 2 or more")

    @property
    def swept(self) -> tuple[str, ...]:
        return () if self.sweep is None else tuple(self.sweep.split("+"))


def variants(settings: EvaluateSettings) -> Iterator[Settings]:
    """The settings of each set: every combination of the swept values, the last one fastest."""
    guidance, condition = settings.guidance, settings.condition
    if guidance is None and "approach" in settings.swept:  # a model from scratch has no null token: none is guided
        guidance = 1.0
    if settings.swept and condition is None and settings.mask_rate is None:  # the paper's tables
        condition = "image"
    values: dict[str, list[Any]] = {
        "mask_rate": settings.mask_rates,
        "approach": settings.approaches,
        "tune_steps": settings.tune_steps,
    }
    for chosen in itertools.product(*(values[name] for name in settings.swept)):
        of = dict(zip(settings.swept, chosen, strict=True))
        approach = of.get("approach", settings.tune.approach)
        tune = replace(
            settings.tune,
            approach=approach,
            rank=settings.tune.rank if approach == settings.tune.approach else None,
            steps=of.get("tune_steps", settings.tune.steps),
        )
        mask_rate = of.get("mask_rate", settings.mask_rate)
        yield replace(settings, sweep=None, tune=tune, mask_rate=mask_rate, guidance=guidance, condition=condition)


def name_of(variant: Settings, swept: tuple[str, ...]) -> str:
    """What tells this set from the others of its sweep."""
    words = {
        "mask_rate": f"mask {variant.sampling().mask_rate:g}",
        "approach": variant.tune.approach,
        "tune_steps": f"{variant.tune.steps} steps",
    }
    return ", ".join(words[name] for name in swept) or "synthetic"
