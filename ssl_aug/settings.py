"""Every setting of generation as dataclasses; `ssl_aug.command_line` is the way to them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from generators.settings import APPROACHES, TUNED, GeneratorSettings, SamplingSettings

# settings of tuning that do not move its result (but for rounding)
NOT_DECIDING_TUNE = ("root", "save_every", "report_every", "accumulation", "gradient_checkpointing")
EMBEDDED = Path(__file__).parent / "embedded"  # the weights that come with the package
EMBEDDED_GUIDANCE = 2.0
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")


@dataclass
class DataSettings:
    """Which images, and how many of their labels are known."""

    name: str = "toycars"  # one of DATASETS
    root: str | None = None  # folder of the dataset; null for datasets that are made, not read
    labels_per_class: int = 4  # paper: 4
    split_seed: int = 0  # which images are labeled; the benchmark: 0
    validation_per_class: int = 0  # more labeled images of each class, to select by: no method trains on them
    subset: int | None = None  # tune the generator on this many training images only; paper: 1000 and 25
    crop_to_box: bool = False  # stanford_cars: cut each photo to its annotated box
    attribute: str | None = None  # celeba: the attribute that is the class; null: Smiling


@dataclass
class TuneSettings:
    """How the generator is adapted to the training images (paper 3.2, Eq. 10)."""

    # which weights train: anl (SpatialTransformers), anl_unconditional (the same, without condition), all, or scratch
    approach: str = "anl"
    images: str = "train"  # tune on all training images without labels, or on the labeled ones only
    steps: int = 300  # optimiser steps
    batch_size: int = 32  # images per step; paper: 4 GPUs x 8
    base_learning_rate: float = 2.0e-6  # multiplied by the batch size, as CompVis' scripts do; paper: 2.0e-6
    weight_decay: float = 0.01  # AdamW
    flip: bool = True  # horizontal flips
    condition_dropout: float = 0.0  # share of steps' images with the null token; needed for guidance above 1
    gradient_clip: float = 1.0  # largest gradient norm; 0: off
    # parts that each process cuts its share of the batch into: less memory, the same result within rounding, which in
    # bfloat16 is some percent of what tuning moves the weights by; the same holds for the number of processes
    accumulation: int = 1
    gradient_checkpointing: bool = False  # computes activations twice: less memory, the same result
    ema_decay: float | None = None  # average the tuned weights with this decay and use the average; null: off (paper)
    report_every: int = 0  # steps between sample grids, losses at fixed noise and checks for copies; 0: none
    save_every: int = 100  # steps between checkpoints to resume from
    seed: int = 0  # of batches, noise and timesteps
    root: str = "outputs/adapters"  # where tuned weights are kept, a folder for each of these settings

    def __post_init__(self) -> None:
        if self.approach not in APPROACHES:
            raise ValueError(f"tune.approach={self.approach!r}: choose one of {', '.join(APPROACHES)}")
        if self.images not in ("train", "labeled"):
            raise ValueError(f"tune.images={self.images!r}: choose train or labeled")
        for name in ("steps", "batch_size", "save_every", "accumulation"):
            if getattr(self, name) < 1:
                raise ValueError(f"tune.{name}={getattr(self, name)}: give 1 or more")
        if self.base_learning_rate <= 0:
            raise ValueError(f"tune.base_learning_rate={self.base_learning_rate}: give a positive number")
        if self.gradient_clip < 0:
            raise ValueError(f"tune.gradient_clip={self.gradient_clip}: give 0 (off) or more")
        if self.report_every < 0:
            raise ValueError(f"tune.report_every={self.report_every}: give 0 (off) or more")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(f"tune.ema_decay={self.ema_decay}: give above 0 to below 1, or null")
        if not 0 <= self.condition_dropout < 1:
            raise ValueError(f"tune.condition_dropout={self.condition_dropout}: give 0 to below 1")


@dataclass
class SyntheticSettings:
    """Where the synthetic set lies."""

    root: str | None = None  # its folder; null: derived from the other settings, under outputs/synthetic


@dataclass
class Settings(SamplingSettings):
    """All that decides a synthetic set. Every command shares these names."""

    data: DataSettings = field(default_factory=DataSettings)
    generator: GeneratorSettings = field(default_factory=GeneratorSettings)
    tune: TuneSettings = field(default_factory=TuneSettings)
    synthetic: SyntheticSettings = field(default_factory=SyntheticSettings)
    per_sample: int = 10  # synthetic images per labeled image; paper: 10
    guidance: float | None = None  # type: ignore[assignment]  # scale; 1: off (paper); null: embedded 2, others 1
    # image (paper); borrowed: its class, with all else of another labeled image; none: the null token;
    # null: borrowed for the embedded weights where it has an effect and no mask_rate, mask_fill or strength is given
    condition: str | None = None  # type: ignore[assignment]
    # of condition=borrowed: each class's mean is of its labeled images, or of train: of those and the tuning images
    # without label that are as near to it; null: as tune.images
    class_means: str | None = None
    # delta: side of the erased rectangle over the image's side, 0 to below 1; null: 0 where borrowed, else 0.5 (paper)
    mask_rate: float | None = None  # type: ignore[assignment]
    batch_size: int = 32  # images drawn together: the unit of work and of resume; moves results by rounding alone
    seed: int = 0
    device: str = "auto"  # auto, cpu or cuda
    precision: str = "auto"  # auto, fp32, bf16 or fp16
    dry_run: bool = False  # print what would be done, and stop

    def __post_init__(self) -> None:
        if self.condition is None:
            self.condition = "borrowed" if self._borrows() else "image"
        if self.mask_rate is None:
            self.mask_rate = 0.0 if self.condition == "borrowed" else SamplingSettings.mask_rate
        if self.class_means is None and self.condition == "borrowed":
            self.class_means = self.tune.images
        if self.guidance is None:
            self.guidance = self._own_guidance()
        super().__post_init__()
        if self.per_sample < 1:
            raise ValueError(f"per_sample={self.per_sample}: give 1 or more")
        if self.batch_size < 1:
            raise ValueError(f"batch_size={self.batch_size}: give 1 or more")
        if self.device not in DEVICES:
            raise ValueError(f"device={self.device!r}: choose one of {', '.join(DEVICES)}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision={self.precision!r}: choose one of {', '.join(PRECISIONS)}")
        if self.tune.approach == "anl_unconditional":
            for name, has_effect in (
                ("prompt", self.prompt is not None),
                ("guidance", self.guidance != 1),
                ("tune.condition_dropout", self.tune.condition_dropout > 0),
                ("generator.tokens", self.generator.tokens != "pooled"),
                ("condition=borrowed", self.condition == "borrowed"),
            ):
                if has_effect:
                    raise ValueError(f"{name} has no effect on tune.approach=anl_unconditional: leave it out")
        if self.prompt is not None and self.generator.tokens != "pooled":
            raise ValueError("a prompt is one token: use generator.tokens=pooled with it")
        if self.class_means not in (None, "train", "labeled"):
            raise ValueError(f"class_means={self.class_means!r}: choose train or labeled, or null")
        if self.condition == "borrowed":
            self._check_borrowing()
        elif self.class_means is not None:
            raise ValueError(
                f"class_means has no effect on condition={self.condition}: leave it out, or give condition=borrowed"
            )
        has_null_token = self.generator.name == "embedded" and self.tune.approach != "scratch"
        if self.guidance != 1 and self.tune.condition_dropout == 0 and not has_null_token:
            raise ValueError(
                f"guidance={self.guidance} needs a null token that was trained: set tune.condition_dropout=0.1 too"
            )
        is_unconditional = self.tune.approach == "anl_unconditional"
        if self.condition == "none" and self.tune.condition_dropout == 0 and not (has_null_token or is_unconditional):
            raise ValueError("condition=none needs a null token that was trained: set tune.condition_dropout=0.1 too")

    def _borrows(self) -> bool:
        """The embedded weights draw what the condition tells and little else: what varies has to come from there."""
        follows_image = self.generator.name == "embedded" and self.tune.approach in ("anl", "all")
        masks = self.mask_rate is not None or self.mask_fill != SamplingSettings.mask_fill
        is_asked_otherwise = masks or self.prompt is not None or self.strength < 1
        is_possible = self.data.labels_per_class > 1 and self.generator.tokens == "pooled"
        return follows_image and is_possible and not is_asked_otherwise

    def _check_borrowing(self) -> None:
        if self.generator.name not in TUNED:
            raise ValueError(f"condition=borrowed has no effect on generator={self.generator.name}: leave it out")
        if self.generator.tokens != "pooled":
            raise ValueError("condition=borrowed exchanges one token: use generator.tokens=pooled with it")
        if self.data.labels_per_class < 2:
            raise ValueError("condition=borrowed compares images of one class: give data.labels_per_class=2 or more")
        if self.class_means == "train" and self.tune.images == "labeled":
            raise ValueError(
                "class_means=train takes images that tune.images=labeled leaves out: leave one of them out"
            )

    def _own_guidance(self) -> float:
        """A model as small as the embedded one follows its condition loosely: 2 there, off where it means nothing."""
        is_guided = self.tune.approach in ("anl", "all") and self.condition != "none"
        return EMBEDDED_GUIDANCE if self.generator.name == "embedded" and is_guided else 1.0


def to_dict(settings: Any) -> dict[str, Any]:
    """Plain nested dictionaries of a settings dataclass, for JSON and YAML."""
    from omegaconf import OmegaConf

    return cast(dict[str, Any], OmegaConf.to_container(OmegaConf.structured(settings)))


def short_hash(content: Any) -> str:
    """8 hex digits that stand for plain data."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def deciding(settings: Settings) -> dict[str, Any]:
    """The settings that decide the pictures: not how many, not where they lie, not on which device they are drawn."""
    everything = to_dict(settings)
    kept = {name: everything[name] for name in (*to_dict(SamplingSettings()), "data", "generator", "tune")}
    if settings.condition == "borrowed":
        kept["class_means"] = settings.class_means
    del kept["data"]["root"]
    del kept["data"]["validation_per_class"]
    for name in NOT_DECIDING_TUNE:
        del kept["tune"][name]
    for name in ("checkpoint", "clip_checkpoint"):  # wherever they lie: the set's `model_id` says what is in them
        del kept["generator"][name]
    return kept
