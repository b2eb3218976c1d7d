"""Every setting of a benchmark run. No torch here, so that `--help` is instant.

A method's own settings stand beside the method, in its file under `benchmarks/methods/`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, is_dataclass
from typing import Annotated, Any

from omegaconf import MISSING

from ssl_aug.allowed import (
    Above0,
    AtLeast0,
    AtLeast1,
    Below1,
    Fraction,
    ImageSize,
    NotNegative,
    OneOf,
    PathText,
    Range,
    Share,
    check,
    shown,
)  # fmt: skip
from ssl_aug.settings import TRAINING, VARIANT, Settings, decides, null_was
from ssl_aug.synthetic import SCORES

SCHEDULES = ("exp", "cosine", "multistep", "constant")
PROTOCOLS = ("benchmark", "paper")
BatchSize = Annotated[int, Range(2, why="BatchNorm compares images")]


@dataclass(frozen=True)
class ModelSettings:
    """The classifier: a timm backbone under the benchmark's bottleneck head."""

    name: str = "embedded"  # embedded (weights that come with the project) or any timm model name
    arguments: dict[str, Any] = field(default_factory=dict)  # further arguments of timm.create_model
    # backbone weights: a .safetensors or torch file; takes the place of pretrained
    checkpoint: PathText | None = field(default=None, metadata=decides())
    pretrained: bool = False  # timm's weights of this name, from its cache or the network
    bottleneck_width: AtLeast1 = 1024  # features between backbone and head; benchmark: 1024
    dropout: Below1 = 0.5  # before the last layer, 0 to below 1; benchmark: 0.5
    image_size: ImageSize | None = None  # pixels; null: the size the backbone was trained at
    mean: list[Fraction] | None = None  # of the training images per channel, in [0, 1]; null: the backbone's own
    std: list[Annotated[float, Range(0, 1, above=True, why="it divides")]] | None = None  # likewise

    def __post_init__(self) -> None:
        check(self, "model.")
        if self.name == "embedded" and (self.checkpoint or self.pretrained or self.arguments):
            raise ValueError(
                "model.name=embedded brings its own weights: model.checkpoint, model.pretrained and model.arguments "
                "have no effect on it; name a timm model with model.name, or take them out"
            )
        for name in ("mean", "std"):
            channels = getattr(self, name)
            if channels is not None and len(channels) != 3:
                raise ValueError(f"model.{name}={list(channels)}: give three numbers from 0 to 1, or null")


@dataclass(frozen=True)
class ViewSettings:
    """How a training image becomes a weak and a strong view."""

    crop_scale_min: Share = 0.2  # smallest share of the image's area in a crop, above 0; benchmark: 0.2
    crop_scale_max: Share = 1.0  # largest; benchmark: 1
    test_center_share: Share = 0.875  # side of the tested center over the picture's, above 0 to 1; benchmark: 224/256
    flip: bool = True  # mirror every second view; false for what has a reading direction
    randaugment: str = "rand-m10-n2-mstd2"  # the strong view's timm string; benchmark: rand-m10-n2-mstd2

    def __post_init__(self) -> None:
        check(self, "view.")
        if self.crop_scale_min > self.crop_scale_max:
            raise ValueError(
                f"view.crop_scale_min={self.crop_scale_min}, view.crop_scale_max={self.crop_scale_max}: "
                "give a max of min or more"
            )
        if not re.fullmatch(r"rand(-(m|n|inc)\d+|-(p|mstd|mmax)\d+(\.\d+)?)+", self.randaugment):
            # timm passes over what it does not know without a word
            raise ValueError(
                f"view.randaugment={shown(self.randaugment)}: give a timm string such as rand-m10-n2-mstd2, of the "
                "parts m (magnitude), n (operations), p (probability), mstd, mmax and inc"
            )


@dataclass(frozen=True)
class TrainSettings:
    """The training loop. Values are the published benchmark's unless a recipe says otherwise."""

    steps: AtLeast1 = 10000  # optimizer steps; benchmark: ERM 10000, FixMatch 30000
    batch_size: BatchSize = 32  # labeled images per step; benchmark: 32
    unlabeled_batch_size: BatchSize = 32  # unlabeled images per step; benchmark: 32
    learning_rate: Above0 = 0.03  # at step 0, of the new layers; benchmark: 0.03 (ERM)
    backbone_lr_factor: NotNegative = 0.1  # the backbone's learning rate over it; benchmark: 0.1
    # exp, cosine, multistep or constant; benchmark: exp (Self-Tuning: multistep)
    schedule: Annotated[str, OneOf(SCHEDULES)] = "exp"
    gamma: NotNegative = 4.0e-4  # exp: lr0 * (1 + gamma * step)^-0.75; benchmark: 4e-4
    momentum: Below1 = 0.9  # Nesterov, 0 to below 1; benchmark: 0.9
    weight_decay: NotNegative = 5.0e-4  # on every parameter; benchmark: 5e-4
    # largest norm of all gradients together; 0: off (benchmark)
    gradient_clip: Annotated[float, Range(0, low_means="off")] = 0.0
    # memory order of images and weights; null: on where it is faster (half precision, and depthwise convolutions on a
    # CPU); moves results by rounding alone
    channels_last: bool | None = field(default=None, metadata=null_was(False))
    compile: bool = False  # the backbone, with torch.compile: minutes at first, faster steps; needs a C++ compiler
    ema_decay: Below1 = 0.0  # per step, of an averaged copy that is evaluated too; 0: none (benchmark)
    eval_every: AtLeast1 = 500  # steps between evaluations, which also save a state to resume from; benchmark: 500
    log_every: AtLeast1 = field(default=20, metadata=decides())  # steps between rows of log.csv
    eval_batch_size: AtLeast1 = 128  # test images per forward pass
    # processes that prepare images; 0: the training process itself; null: 0 on a CPU, whose cores all train, and on a
    # GPU one for each core but one, at most 8 and what /dev/shm has room for
    num_workers: AtLeast0 | None = field(default=None, metadata=decides())
    # decoded images kept in memory, half for training, shared by all workers, and half for test; 0: none
    cache_megabytes: AtLeast0 = field(default=1024, metadata=decides())

    def __post_init__(self) -> None:
        check(self, "train.")


@dataclass(frozen=True)
class MixSettings:
    """How synthetic images join the labeled ones; the defaults are the paper's: all are labeled images like others."""

    # of each labeled batch, above 0 to below 1; null: as they come
    synthetic_share: Annotated[float, Range(0, 1, above=True, below=True)] | None = None
    # of a synthetic image in the supervised loss, above 0
    synthetic_weight: Annotated[float, Range(0, above=True, why="or for none augment=false")] = 1.0
    # times this score of the image: class_score or source_score; null: all alike
    weight_by: Annotated[str, OneOf(SCORES)] | None = None
    keep_share: Share | None = None  # of each class's images, those of the highest class_score, to 1; null: all

    def __post_init__(self) -> None:
        check(self, "mix.")

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
    protocol: Annotated[str, OneOf(PROTOCOLS)] = field(default="benchmark", metadata=decides(TRAINING, VARIANT))
    model: ModelSettings = field(default_factory=ModelSettings, metadata=decides(TRAINING, VARIANT))
    train: TrainSettings = field(default_factory=TrainSettings, metadata=decides(TRAINING, VARIANT))
    view: ViewSettings = field(default_factory=ViewSettings, metadata=decides(TRAINING, VARIANT))
    mix: MixSettings = field(default_factory=MixSettings, metadata=decides(TRAINING))
    # every run gets a new numbered folder in here, but what a grid has done
    runs: PathText = field(default="outputs/runs", metadata=decides())
    # folder of a run that was stopped: go on there, with its settings
    resume: PathText | None = field(default=None, metadata=decides())

    def __post_init__(self) -> None:
        super().__post_init__()
        if is_dataclass(self.method):
            check(self.method, "method.")  # of another package, which need not have done it
        if self.train.compile and getattr(self.method, "passes", None) == "grouped":  # not every method has passes
            raise ValueError(
                "train.compile=true with method.passes=grouped: grouped passes exchange BatchNorm's forward in every "
                "step, which a compiled network would miss or compile anew; choose one of them"
            )
        if self.mix.name and not self.augment:
            raise ValueError(f"mix ({self.mix.name}) has no effect without synthetic images: add augment=true")
