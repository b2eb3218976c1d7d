"""Settings of tuning. No torch here, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass, field

from generators.settings import ABSENT_WHERE_NULL, APPROACHES, PICTURES, decides, rank_that_holds


@dataclass(frozen=True)
class TuneSettings:
    """How the generator is adapted to the training images (paper 3.2, Eq. 10)."""

    # which weights train: anl (SpatialTransformers), anl_lora (small matrices beside these), anl_unconditional (anl
    # without condition), all, or scratch
    approach: str = "anl"
    # of anl_lora's matrices, 1 or more; null: 16 with anl_lora, which alone has one
    rank: int | None = field(default=None, metadata=ABSENT_WHERE_NULL)
    images: str = "train"  # tune on all training images without labels, or on the labeled ones only
    steps: int = field(default=300, metadata=decides(PICTURES))  # optimizer steps; 0: draw with the weights as they are
    batch_size: int = 32  # images per step; paper: 4 GPUs x 8
    base_learning_rate: float = 2.0e-6  # multiplied by the batch size, as CompVis' scripts do; paper: 2.0e-6
    weight_decay: float = 0.01  # AdamW
    flip: bool = True  # horizontal flips
    condition_dropout: float = 0.0  # share of steps' images with the null token; needed for guidance above 1
    gradient_clip: float = 1.0  # largest gradient norm; 0: off
    # parts that each process cuts its share of the batch into: less memory, the same result within rounding, which in
    # bfloat16 is some percent of what tuning moves the weights by; the same holds for the number of processes
    accumulation: int = field(default=1, metadata=decides())
    # computes activations twice: less memory, the same result
    gradient_checkpointing: bool = field(default=False, metadata=decides())
    ema_decay: float | None = None  # average the tuned weights with this decay and use the average; null: off (paper)
    # steps between sample grids, losses at fixed noise and checks for copies; 0: none
    report_every: int = field(default=0, metadata=decides())
    save_every: int = field(default=100, metadata=decides())  # steps between checkpoints to resume from
    seed: int = 0  # of batches, noise and timesteps
    # where tuned weights are kept, a folder for each of these settings
    root: str = field(default="outputs/adapters", metadata=decides())

    def __post_init__(self) -> None:
        if self.approach not in APPROACHES:
            raise ValueError(f"tune.approach={self.approach!r}: choose one of {', '.join(APPROACHES)}")
        object.__setattr__(self, "rank", rank_that_holds(self.approach, self.rank))  # 16 and null are one tuning
        if self.images not in ("train", "labeled"):
            raise ValueError(f"tune.images={self.images!r}: choose train or labeled")
        for name in ("batch_size", "save_every", "accumulation"):
            if getattr(self, name) < 1:
                raise ValueError(f"tune.{name}={getattr(self, name)}: give 1 or more")
        if self.steps < 0:
            raise ValueError(f"tune.steps={self.steps}: give 1 or more, or 0 to draw untuned")
        if self.steps == 0 and self.approach in ("anl_unconditional", "scratch"):
            raise ValueError(f"tune.approach={self.approach} has no effect on tune.steps=0: give tune.approach=anl")
        if self.steps == 0 and self.condition_dropout > 0:
            raise ValueError("tune.condition_dropout has no effect on tune.steps=0: leave it out")
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
