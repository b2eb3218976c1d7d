"""What is measured of which sets. No torch here, so that `--help` is instant."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from generators.allowed import AtLeast1, ImageSize, OneOf, PathText, shown
from generators.settings import ABSENT_WHERE_NULL, APPROACHES, TUNED, MaskRate
from ssl_aug.settings import EMBEDDED_DATA, MEASURES, Settings, decides, deciding, deciding_pictures

SWEEPS = ("mask_rate", "approach", "tune_steps")
FEATURES = ("backbone", "clip", "inception")
TIMM = "timm/"  # before a model's name in `features`
CONDITIONS_OF = ("labeled", "train", "test")
JUDGE_STEPS = 1500
KNOWN_TO_EMBEDDED = "toycars"  # the data that the package's own networks were trained for
# A measure's setting that came later: null is how things were before.
NEW: Any = {**decides(MEASURES), **ABSENT_WHERE_NULL}


@dataclass(frozen=True)
class EvaluateSettings(Settings):
    """What is measured, beside all that decides the synthetic set."""

    # mask_rate, approach or tune_steps, or several joined by +; null: one set
    sweep: str | None = field(default=None, metadata=decides(MEASURES))
    # the paper's table 1 or 3, with its figures beside ours; short settings on toycars, the paper's on other data
    table: Annotated[str, OneOf(("1", "3"))] | None = field(default=None, metadata=NEW)
    # the paper's figure 1 or 4: drawings and distance after more and more steps of tuning
    figure: Annotated[str, OneOf(("1", "4"))] | None = field(default=None, metadata=NEW)
    # of sweep=mask_rate and table=3; null: 0, 0.3, 0.5, 0.7, and 0 to 0.9 in the table
    mask_rates: list[MaskRate] | None = field(default=None, metadata=decides())
    # of sweep=approach, table=1 and figures; null: anl, all, scratch, and those of the paper
    approaches: list[Annotated[str, OneOf(APPROACHES)]] | None = field(default=None, metadata=decides())
    # of sweep=tune_steps, tables (one number) and figures; null: 500, 1000, 2000, and those of the paper
    tune_steps: list[AtLeast1] | None = field(default=None, metadata=decides())
    # images that are drawn and measured; null: per_sample of each labeled one, one of each with other conditions
    num_images: AtLeast1 | None = field(default=None, metadata=NEW)
    # whose images condition the drawings: labeled, train (seen in tuning), test (unseen); null: labeled, in the paper's
    # tables train
    conditions: Annotated[str, OneOf(CONDITIONS_OF)] | None = field(default=None, metadata=NEW)
    # what distances are measured in: inception (FID and IS), timm/NAME (such as timm/vit_small_patch14_dinov2.lvd142m),
    # clip (the generator's), or backbone (the embedded one, toycars alone); null: backbone, in the paper's tables of
    # photos inception
    features: str | None = field(default=None, metadata=decides())
    # file of the timm model's weights; null: timm's own, fetched where that is allowed
    features_checkpoint: PathText | None = field(default=None, metadata=decides())
    features_image_size: ImageSize | None = field(default=None, metadata=NEW)  # of the timm model; null: its own
    # file of the Inception weights of 2015; null: in torch hub's cache, or fetched where that is allowed
    inception_checkpoint: PathText | None = field(default=None, metadata=decides())
    inception_unverified: bool = field(default=False, metadata=decides())  # take another file; nothing is called FID
    # of training the classifier that names the classes, on all labels of real images; null: 1500 on toycars and digits
    # (500 in tables), elsewhere it is fitted to the features
    judge_steps: AtLeast1 | None = field(default=None, metadata=decides())
    # folder for evaluation.json, .csv and near_copies.csv; null: derived, under outputs/evaluation
    out: PathText | None = field(default=None, metadata=decides())

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = [name for name in self.swept if name not in SWEEPS]
        if unknown:
            raise ValueError(f"sweep={shown(self.sweep)}: choose of {', '.join(SWEEPS)}, joined by +")
        if sum(one is not None for one in (self.sweep, self.table, self.figure)) > 1:
            raise ValueError("sweep, table and figure each name the sets to measure: give one of them")
        named = "sweep" if self.sweep else "table" if self.table else "figure"
        if self.synthetic.root is not None and (self.sweep or self.of_paper):
            raise ValueError(f"{named} draws several sets: leave synthetic.root out")
        if self.of_paper and self.generator.name not in TUNED:
            raise ValueError(
                f"{named} compares tunings: generator={self.generator.name} is not tuned, give another one"
            )
        if self.drawn_from != "labeled" and self.tune.images == "labeled":
            raise ValueError(
                f"conditions={self.drawn_from} draws from images that tune.images=labeled does not tune on: give "
                "tune.images=train, or conditions=labeled"
            )
        if self.measured_in not in FEATURES and not self.measured_in.startswith(TIMM):
            raise ValueError(f"features={shown(self.features)}: choose one of {', '.join(FEATURES)}, {TIMM}NAME")
        if self.judge_steps is not None and self.data.name not in EMBEDDED_DATA:
            raise ValueError(
                f"judge_steps={self.judge_steps} has no effect on data={self.data.name}: the network that it trains "
                "comes with the package and knows rendered cars alone, leave it out"
            )

    @property
    def swept(self) -> tuple[str, ...]:
        return () if self.sweep is None else tuple(self.sweep.split("+"))

    @property
    def of_paper(self) -> str | None:
        """`table 1` and so on; None for sets that the paper does not name."""
        return f"table {self.table}" if self.table else f"figure {self.figure}" if self.figure else None

    @property
    def is_small(self) -> bool:
        """Whether the paper's tables are made with the short settings of the embedded world."""
        return self.data.name in EMBEDDED_DATA

    @property
    def measured_in(self) -> str:
        """The features that hold."""
        return self.features or ("inception" if self.of_paper and not self.is_small else "backbone")

    @property
    def drawn_from(self) -> str:
        """Whose images condition the drawings."""
        return self.conditions or ("train" if self.of_paper else "labeled")

    @property
    def judge_trained_for(self) -> int:
        """Steps; only where the data come with the package."""
        return self.judge_steps or (500 if self.of_paper else JUDGE_STEPS)


def refuse_without_effect(settings: EvaluateSettings) -> None:
    """Raises ValueError for a setting of other features, or of another table, than is asked for."""
    of_tunings = settings.table == "1" or settings.figure is not None
    for name, values, has_effect, way in (
        ("mask_rates", settings.mask_rates, settings.table == "3", "sweep=mask_rate or table=3"),
        ("approaches", settings.approaches, of_tunings, "sweep=approach, table=1 or a figure"),
        ("tune_steps", settings.tune_steps, settings.of_paper is not None, "sweep=tune_steps, a table or a figure"),
    ):
        swept = {"mask_rates": "mask_rate", "approaches": "approach", "tune_steps": "tune_steps"}[name]
        if values is not None and not has_effect and swept not in settings.swept:
            raise ValueError(f"{name}={shown(values)} has no effect here: leave it out, or give {way}")
    for name, value, needed in (
        ("features_checkpoint", settings.features_checkpoint, f"{TIMM}NAME"),
        ("features_image_size", settings.features_image_size, f"{TIMM}NAME"),
        ("inception_checkpoint", settings.inception_checkpoint, "inception"),
        ("inception_unverified", settings.inception_unverified or None, "inception"),
    ):
        if value is not None and not settings.measured_in.startswith(needed.removesuffix("NAME")):
            raise ValueError(
                f"{name}={shown(value)} has no effect on features={settings.measured_in}: leave it out, or give "
                f"features={needed}"
            )


def refuse_words_of_others(settings: EvaluateSettings, words: Sequence[str]) -> None:
    """Raises ValueError for a word that sets what a table or figure of the paper chooses itself."""
    chosen = {"tune.steps": "tune_steps=[...]", "mask_rate": "mask_rates=[...] of table=3"}
    if settings.table != "3":
        chosen["tune.approach"] = "approaches=[...]"
    for word in words:
        name = word.partition("=")[0]
        if settings.of_paper and name in chosen:
            raise ValueError(f"{word} has no effect on {settings.of_paper}: leave it out, or give {chosen[name]}")


def held_values(settings: EvaluateSettings) -> dict[str, Any]:
    """What holds of the settings that may be left to the others."""
    return {
        "mask_rates": settings.mask_rates or [0.0, 0.3, 0.5, 0.7],
        "approaches": settings.approaches or ["anl", "all", "scratch"],
        "tune_steps": settings.tune_steps or [500, 1000, 2000],
        "features": settings.measured_in,
        "judge_steps": settings.judge_trained_for,
    }


def deciding_figures(settings: EvaluateSettings) -> dict[str, Any]:
    """All that decides an evaluation's figures, each value as it holds."""
    return {**deciding_pictures(settings), **deciding(settings, MEASURES), **held_values(settings)}


def variants(settings: EvaluateSettings) -> Iterator[EvaluateSettings]:
    """The settings of each set of a sweep: every combination of the swept values, the last one fastest."""
    guidance, condition = settings.guidance, settings.condition
    if guidance is None and "approach" in settings.swept:  # a model from scratch has no null token: none is guided
        guidance = 1.0
    if settings.swept and condition is None and settings.mask_rate is None:  # the paper's tables
        condition = "image"
    held = held_values(settings)
    values: dict[str, list[Any]] = {
        "mask_rate": held["mask_rates"],
        "approach": held["approaches"],
        "tune_steps": held["tune_steps"],
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
