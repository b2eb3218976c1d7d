"""Every setting of a benchmark run. No torch here, so that `--help` is instant.

A method's own settings stand beside the method, in its file under `benchmarks/methods/`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from ssl_aug.settings import TRAINING, VARIANT, Settings, decides
from ssl_aug.synthetic import SCORES

SCHEDULES = ("exp", "cosine", "multistep", "constant")
PROTOCOLS = ("benchmark", "paper")


@dataclass(frozen=True)
class ModelSettings:
    """The classifier: a timm backbone under the benchmark's bottleneck head."""

    name: str = "embedded"  # embedded (weights that come with the project) or any timm model name
    arguments: dict[str, Any] = field(default_factory=dict)  # further arguments of timm.create_model
    # backbone weights: a .safetensors or torch file; takes the place of pretrained
    checkpoint: str | None = field(default=None, metadata=decides())
    pretrained: bool = False  # timm's weights of this name, from its cache or the network
    bottleneck_width: int = 1024  # features between backbone and head; benchmark: 1024
    dropout: float = 0.5  # before the last layer, 0 to below 1; benchmark: 0.5
    image_size: int | None = None  # pixels; null: the size the backbone was trained at
    mean: list[float] | None = None  # of the training images per channel, in [0, 1]; null: the backbone's own
    std: list[float] | None = None  # likewise

    def __post_init__(self) -> None:
        if self.name == "embedded" and (self.checkpoint or self.pretrained or self.arguments):
            raise ValueError(
                "model.name=embedded brings its own weights: model.checkpoint, model.pretrained and model.arguments "
                "have no effect on it; name a timm model with model.name, or take them out"
            )
        if self.bottleneck_width < 1:
            raise ValueError(f"model.bottleneck_width={self.bottleneck_width}: give 1 or more")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"model.dropout={self.dropout}: give 0 to below 1")
        if self.image_size is not None and self.image_size < 8:
            raise ValueError(f"model.image_size={self.image_size}: give 8 pixels or more, or null")
        for name in ("mean", "std"):
            channels = getattr(self, name)
            if channels is not None and (len(channels) != 3 or not all(0 <= value <= 1 for value in channels)):
                raise ValueError(f"model.{name}={list(channels)}: give three numbers from 0 to 1, or null")
        if self.std is not None and min(self.std) == 0:
            raise ValueError(f"model.std={list(self.std)}: a standard deviation of 0 divides by zero")


@dataclass(frozen=True)
class ViewSettings:
    """How a training image becomes a weak and a strong view."""

    crop_scale_min: float = 0.2  # smallest share of the image's area in a crop, above 0; benchmark: 0.2
    crop_scale_max: float = 1.0  # largest; benchmark: 1
    test_center_share: float = 0.875  # side of the tested center over the picture's, above 0 to 1; benchmark: 224/256
    flip: bool = True  # mirror every second view; false for what has a reading direction
    randaugment: str = "rand-m10-n2-mstd2"  # the strong view's timm string; benchmark: rand-m10-n2-mstd2

    def __post_init__(self) -> None:
        if not 0 < self.crop_scale_min <= self.crop_scale_max <= 1:
            raise ValueError(
                f"view.crop_scale_min={self.crop_scale_min}, view.crop_scale_max={self.crop_scale_max}: "
                "give 0 < min <= max <= 1"
            )
        if not 0 < self.test_center_share <= 1:
            raise ValueError(f"view.test_center_share={self.test_center_share}: give above 0 to 1 (the whole picture)")
        if not re.fullmatch(r"rand(-(m|n|inc)\d+|-(p|mstd|mmax)\d+(\.\d+)?)+", self.randaugment):
            # timm passes over what it does not know without a word
            raise ValueError(
                f"view.randaugment={self.randaugment!r}: give a timm string such as rand-m10-n2-mstd2, of the parts "
                "m (magnitude), n (operations), p (probability), mstd, mmax and inc"
            )


@dataclass(frozen=True)
class TrainSettings:
    """The training loop. Values are the published benchmark's unless a recipe says otherwise."""

    steps: int = 10000  # optimizer steps; benchmark: ERM 10000, FixMatch 30000
    batch_size: int = 32  # labeled images per step; benchmark: 32
    unlabeled_batch_size: int = 32  # unlabeled images per step; benchmark: 32
    learning_rate: float = 0.03  # at step 0, of the new layers; benchmark: 0.03 (ERM)
    backbone_lr_factor: float = 0.1  # the backbone's learning rate over it; benchmark: 0.1
    schedule: str = "exp"  # exp, cosine, multistep or constant; benchmark: exp (Self-Tuning: multistep)
    gamma: float = 4.0e-4  # exp: lr0 * (1 + gamma * step)^-0.75; benchmark: 4e-4
    momentum: float = 0.9  # Nesterov, 0 to below 1; benchmark: 0.9
    weight_decay: float = 5.0e-4  # on every parameter; benchmark: 5e-4
    gradient_clip: float = 0.0  # largest norm of all gradients together; 0: off (benchmark)
    channels_last: bool = False  # memory order of images that tensor cores like; moves results by rounding alone
    compile: bool = False  # the backbone, with torch.compile: minutes at first, faster steps; needs a C++ compiler
    ema_decay: float = 0.0  # per step, of an averaged copy that is evaluated too; 0: none (benchmark)
    eval_every: int = 500  # steps between evaluations, which also save a state to resume from; benchmark: 500
    log_every: int = field(default=20, metadata=decides())  # steps between rows of log.csv
    eval_batch_size: int = 128  # test images per forward pass
    # processes that prepare images; 0: the training process itself
    num_workers: int = field(default=0, metadata=decides())
    # decoded images kept in memory, half for training and half for test; 0: none
    cache_megabytes: int = field(default=1024, metadata=decides())

    def __post_init__(self) -> None:
        for name in ("batch_size", "unlabeled_batch_size"):
            if getattr(self, name) < 2:
                raise ValueError(f"train.{name}={getattr(self, name)}: give 2 or more, BatchNorm compares images")
        for name in ("steps", "eval_every", "log_every", "eval_batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"train.{name}={getattr(self, name)}: give 1 or more")
        for name in ("num_workers", "cache_megabytes", "weight_decay", "gamma", "backbone_lr_factor", "gradient_clip"):
            if getattr(self, name) < 0:
                raise ValueError(f"train.{name}={getattr(self, name)}: give 0 or more")
        if self.learning_rate <= 0:
            raise ValueError(f"train.learning_rate={self.learning_rate}: give a positive number")
        for name in ("momentum", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"train.{name}={getattr(self, name)}: give 0 to below 1")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"train.schedule={self.schedule!r}: choose one of {', '.join(SCHEDULES)}")


@dataclass(frozen=True)
class MixSettings:
    """How synthetic images join the labeled ones; the defaults are the paper's: all are labeled images like others."""

    synthetic_share: float | None = None  # of each labeled batch, above 0 to below 1; null: as they come
    synthetic_weight: float = 1.0  # of a synthetic image in the supervised loss, above 0
    weight_by: str | None = None  # times this score of the image: class_score or source_score; null: all alike
    keep_share: float | None = None  # of each class's images, those of the highest class_score, to 1; null: all

    def __post_init__(self) -> None:
        if self.synthetic_share is not None and not 0 < self.synthetic_share < 1:
            raise ValueError(f"mix.synthetic_share={self.synthetic_share}: give above 0 to below 1, or null")
        if self.synthetic_weight <= 0:
            raise ValueError(f"mix.synthetic_weight={self.synthetic_weight}: give above 0; for none, augment=false")
        if self.weight_by is not None and self.weight_by not in SCORES:
            raise ValueError(f"mix.weight_by={self.weight_by}: choose one of {', '.join(SCORES)}, or null")
        if self.keep_share is not None and not 0 < self.keep_share <= 1:
            raise ValueError(f"mix.keep_share={self.keep_share}: give above 0 to 1, or null")

    @property
    def name(self) -> str:
        """What differs from the paper's mixing, in words; empty where nothing does."""
        words = [
            f"share {self.synthetic_share:g}" if self.synthetic_share is not None else "",
            f"weight {self.synthetic_weight:g}" if self.synthetic_weight != 1 else "",
            f"by {self.weight_by}" if self.weight_by is not None else "",
            f"best {self.keep_share:g}" if self.keep_share is not None else "",
        ]
        return ", ".join(word for word in words if word)


@dataclass(frozen=True)
class BenchmarkSettings(Settings):
    """One run: one method on one split, with or without the synthetic set of the shared settings."""

    method: Any = field(default=MISSING, metadata=decides(TRAINING, VARIANT))  # settings of one of METHODS
    # train on the labeled set with its synthetic images
    augment: bool = field(default=False, metadata=decides(TRAINING))
    # benchmark: as the published one computes a step; paper: as the method's paper does
    protocol: str = field(default="benchmark", metadata=decides(TRAINING, VARIANT))
    model: ModelSettings = field(default_factory=ModelSettings, metadata=decides(TRAINING, VARIANT))
    train: TrainSettings = field(default_factory=TrainSettings, metadata=decides(TRAINING, VARIANT))
    view: ViewSettings = field(default_factory=ViewSettings, metadata=decides(TRAINING, VARIANT))
    mix: MixSettings = field(default_factory=MixSettings, metadata=decides(TRAINING))
    # every run gets a new numbered folder in here, but what a grid has done
    runs: str = field(default="outputs/runs", metadata=decides())
    # folder of a run that was stopped: go on there, with its settings
    resume: str | None = field(default=None, metadata=decides())

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"protocol={self.protocol!r}: choose one of {', '.join(PROTOCOLS)}")
        if self.train.compile and getattr(self.method, "passes", None) == "grouped":  # not every method has passes
            raise ValueError(
                "train.compile=true with method.passes=grouped: grouped passes exchange BatchNorm's forward in every "
                "step, which a compiled network would miss or compile anew; choose one of them"
            )
        if self.mix.name and not self.augment:
            raise ValueError(f"mix ({self.mix.name}) has no effect without synthetic images: add augment=true")
