"""SoftMatch: every pseudo-label counts, by a truncated Gaussian of its confidence.

Source: Chen et al., "SoftMatch", arXiv:2301.10921: truncated Gaussian Eq. 5, mean and variance of a batch Eq. 6, their
moving averages Eq. 7, uniform alignment Eq. 8, weight Eq. 9, Algorithm 1. It is not in the published benchmark;
`protocol=benchmark` gives it the benchmark's passes and labeled strong views. USB (microsoft/Semi-supervised-learning)
aligns first and takes mean and variance of what is aligned: `statistics_of=aligned average_start=first_batch`.
**Deviations:** none in the loss. Where the paper is silent: the mean prediction starts at 1/C, as in its authors' first
release; a batch of a single image has no variance (Eq. 7 divides by U - 1) and leaves the moving one as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from benchmarks.methods.alignment import aligned
from benchmarks.methods.base import Classifier, Labeled, Method, StepOutput, Unlabeled, accuracy
from benchmarks.methods.erm import supervised_term
from benchmarks.methods.fixmatch import masked_pseudo_label_loss
from benchmarks.methods.passes import Passes, step_logits
from benchmarks.methods.ranges import Above0, Below1, OneOf, Weight, check

STATISTICS = ("raw", "aligned")
STARTS = ("uniform", "first_batch")


@dataclass(frozen=True)
class SoftMatchSettings:
    """Defaults are the paper's."""

    num_sigmas: Above0 = 2.0  # n: the weight falls with deviation sigma / n below the mean, above 0; paper: 2
    decay: Below1 = 0.999  # m of the moving mean and variance, 0 to below 1; paper: 0.999
    uniform_alignment: bool = True  # weigh by probabilities that were aligned to equally likely classes; paper: true
    # confidences whose mean and variance are followed: raw (paper, Algorithm 1, lines 4 to 7) or aligned (USB)
    statistics_of: Annotated[str, OneOf(STATISTICS)] = "raw"
    # of the mean prediction: uniform, 1/C (authors' first release), or first_batch, what that batch says (USB)
    average_start: Annotated[str, OneOf(STARTS)] = "uniform"
    unlabeled_weight: Above0 = 1.0  # above 0; paper: 1
    strong_weight: Weight = 0.0  # weight of cross-entropy on labeled strong views, 0 or more; benchmark: 0.1
    passes: Passes = "joint"  # joint: one BatchNorm batch of all views; grouped: each its own; benchmark: separate

    def __post_init__(self) -> None:
        check(self, "method.")


def truncated_gaussian(confidence: Tensor, mean: Tensor, variance: Tensor, num_sigmas: float = 2.0) -> Tensor:
    """lambda = exp(-min(max_c p - mu, 0)^2 / (2 sigma^2 / n^2)), (u,) in (0, 1]; 1 from the mean on (Eq. 5).

    Args:
        confidence: max_c p, (u,). mean, variance: mu and sigma^2, (). num_sigmas: n, 2 in the paper.
    """
    below = (confidence - mean).clamp(max=0)
    return torch.exp(-(below**2) / (2 * variance.clamp(min=1e-12) / num_sigmas**2))


def uniformly_aligned(probabilities: Tensor, average: Tensor) -> Tensor:
    """Norm(p u(c) / E[p]), (u, c): as if all classes were predicted equally often (Eq. 8).

    Args:
        average: E[p], (c,) moving average of predictions.
    """
    return aligned(probabilities, torch.full_like(average, 1 / len(average)), average)


class SoftMatch(Method):
    """Pseudo-labels under soft weights; owns the confidences' moving mean and variance and the mean prediction."""

    mean: Tensor
    variance: Tensor
    average: Tensor

    def __init__(self, settings: SoftMatchSettings):
        super().__init__()
        self.settings = settings

    def prepare(self, model: Classifier, num_labeled: int, num_unlabeled: int) -> None:
        """mu starts at 1/C and sigma^2 at 1 (section 3.2); the mean prediction at 1/C, or unknown, which is 0."""
        share = 1 / model.num_classes
        self.register_buffer("mean", torch.tensor(share))
        self.register_buffer("variance", torch.ones(()))
        start = share if self.settings.average_start == "uniform" else 0.0
        self.register_buffer("average", torch.full((model.num_classes,), start))

    def forward(self, model: Classifier, labeled: Labeled, unlabeled: Unlabeled | None, progress: float) -> StepOutput:
        settings = self.settings
        logits = step_logits(model, labeled, unlabeled, settings.passes, settings.strong_weight)
        supervised = supervised_term(logits, labeled, settings.strong_weight)
        probabilities = logits.weak.softmax(1)
        weight = self.weigh(probabilities)
        pseudo = masked_pseudo_label_loss(logits.strong, probabilities.argmax(1), weight)
        return StepOutput(
            {"supervised": supervised, "unlabeled": settings.unlabeled_weight * pseudo},
            {"labeled_accuracy": accuracy(logits.labeled_weak, labeled.target), "mean_weight": weight.mean()},
        )

    @torch.no_grad()
    def weigh(self, probabilities: Tensor) -> Tensor:
        """Moves the averages by a batch of weak views' probabilities, (u, c), and returns the images' weights, (u,)."""
        settings, keep = self.settings, self.settings.decay
        uniform = probabilities
        if settings.uniform_alignment:
            seen = probabilities.mean(0)
            is_new = self.average.sum() == 0
            self.average.copy_(torch.where(is_new, seen, self.average.lerp(seen, 1 - keep)))
            uniform = uniformly_aligned(probabilities, self.average)
        followed = (uniform if settings.statistics_of == "aligned" else probabilities).max(1).values
        self.mean.lerp_(followed.mean(), 1 - keep)
        if len(followed) > 1:
            self.variance.lerp_(followed.var(), 1 - keep)  # of U - 1, as Eq. 7
        return truncated_gaussian(uniform.max(1).values, self.mean, self.variance, settings.num_sigmas)
