"""Settings of tuning. No torch here, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from generators.allowed import Above0, AnyWhole, AtLeast1, Below1, NotNegative, OneOf, PathText, Range, check
from generators.settings import ABSENT_WHERE_NULL, APPROACHES, PICTURES, decides, rank_that_holds


@dataclass(frozen=True)
class TuneSettings:
    """How the generator is adapted to the training images (paper 3.2, Eq. 10)."""

    # which weights train: anl (SpatialTransformers), anl_lora (small matrices beside these), anl_unconditional (anl
    # without condition), all, or scratch
    approach: Annotated[str, OneOf(APPROACHES)] = "anl"
    # of anl_lora's matrices, 1 or more; null: 16 with anl_lora, which alone has one
    rank: AtLeast1 | None = field(default=None, metadata=ABSENT_WHERE_NULL)
    # tune on all training images without labels, or on the labeled ones only
    images: Annotated[str, OneOf(("train", "labeled"))] = "train"
    # optimizer steps; 0: draw with the weights as they are
    steps: Annotated[int, Range(0, low_means="untuned")] = field(default=300, metadata=decides(PICTURES))
    batch_size: AtLeast1 = 32  # images per step; paper: 4 GPUs x 8
    # multiplied by the batch size, as CompVis' scripts do; paper: 2.0e-6
    base_learning_rate: Above0 = 2.0e-6
    weight_decay: NotNegative = 0.01  # AdamW
    flip: bool = True  # horizontal flips
    condition_dropout: Below1 = 0.0  # share of steps' images with the null token; needed for guidance above 1
    gradient_clip: Annotated[float, Range(0, low_means="off")] = 1.0  # largest gradient norm; 0: off
    # parts that each process cuts its share of the batch into: less memory, the same result within rounding, which in
    # bfloat16 is some percent of what tuning moves the weights by; the same holds for the number of processes
    accumulation: AtLeast1 = field(default=1, metadata=decides())
    # computes activations twice: less memory, the same result
    gradient_checkpointing: bool = field(default=False, metadata=decides())
    # average the tuned weights with this decay and use the average; null: off (paper)
    ema_decay: Annotated[float, Range(0, 1, above=True, below=True)] | None = None
    # steps between sample grids, losses at fixed noise and checks for copies; 0: none
    report_every: Annotated[int, Range(0, low_means="off")] = field(default=0, metadata=decides())
    save_every: AtLeast1 = field(default=100, metadata=decides())  # steps between checkpoints to resume from
    seed: AnyWhole = 0  # of batches, noise and timesteps
    # where tuned weights are kept, a folder for each of these settings
    root: PathText = field(default="outputs/adapters", metadata=decides())

    def __post_init__(self) -> None:
        check(self, "tune.")
        object.__setattr__(self, "rank", rank_that_holds(self.approach, self.rank))  # 16 and null are one tuning
        if self.steps == 0 and self.approach in ("anl_unconditional", "scratch"):
            raise ValueError(f"tune.approach={self.approach} has no effect on tune.steps=0: give tune.approach=anl")
        if self.steps == 0 and self.condition_dropout > 0:
            raise ValueError("tune.condition_dropout has no effect on tune.steps=0: leave it out")
