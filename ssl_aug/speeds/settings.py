"""What is measured. No torch here, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass, field

from generators.allowed import AtLeast1, PathText, check, shown
from ssl_aug.data.settings import DataSettings
from ssl_aug.settings import Device, Precision

NETWORKS = ("embedded", "medium", "full")
JOBS = ("drawing", "tuning", "training")


@dataclass(frozen=True)
class SpeedSettings:
    """Which parts are measured, how often, and with what."""

    jobs: str = "all"  # all, or one or more of drawing, tuning, training, joined by +
    # of drawing and tuning: embedded (9.6 M), medium (47 M), full (400.9 M, the paper's: minutes, 5 GB, tuning 13 GB),
    # joined by +
    networks: str = "embedded"
    # images drawn at once, one row for each; null: 32 of embedded, 8 of medium, 1 of full, eight times as many on a GPU
    batch_sizes: list[AtLeast1] | None = None
    rounds: AtLeast1 = 5  # in which the ways take turns; the ratio's least and greatest are of them
    paper: bool = True  # measure the stages of the paper's run too, full size with random weights: minutes, 5 GB
    profile: bool = False  # print the operations that take longest, of the plain way and of ours
    # drawing with torch.compile too: up to minutes at first, its results are kept; needs a C++ compiler
    compile: bool = False
    # of the training part; photos are larger than the toycars and take longer to read
    data: DataSettings = field(default_factory=DataSettings)
    out: PathText | None = None  # JSON file; null: a new one in outputs/speed
    device: Device = "auto"  # auto, cpu or cuda
    # what is measured beside float32, and what the paper's run is told for: auto, fp32, bf16 or fp16
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        check(self)
        for name, chosen, known in (
            ("jobs", self.job_names, JOBS),
            ("networks", self.network_names, NETWORKS),
        ):
            if set(chosen) - set(known) or len(set(chosen)) < len(chosen):
                raise ValueError(f"{name}={shown(getattr(self, name))}: choose of {', '.join(known)}, joined by +")

    @property
    def job_names(self) -> tuple[str, ...]:
        return JOBS if self.jobs == "all" else tuple(self.jobs.split("+"))

    @property
    def network_names(self) -> tuple[str, ...]:
        return tuple(self.networks.split("+"))
