"""SoftMatch: every pseudo-label counts, by a truncated Gaussian of its confidence.

Source: Chen et al., "SoftMatch", arXiv:2301.10921: weight Eq. 5, moving mean and variance Eq. 7 and 8, uniform
alignment Eq. 9. It is not in the published benchmark; `protocol=benchmark` gives it the benchmark's passes and labeled
strong views. **Deviations:** none in the loss.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.methods.base import Classifier, Labeled, Method, StepOutput, Unlabeled, accuracy
from benchmarks.methods.erm import supervised_term
from benchmarks.methods.fixmatch import masked_pseudo_label_loss
from benchmarks.methods.passes import Passes, step_logits
from benchmarks.methods.ranges import Above0, Below1, Weight, check


@dataclass(frozen=True)
class SoftMatchSettings:
    """Defaults are the paper's."""

    num_sigmas: Above0 = 2.0  # n: the weight falls with deviation sigma / n below the mean, above 0; paper: 2
    decay: Below1 = 0.999  # m of the moving mean and variance, 0 to below 1; paper: 0.999
    uniform_alignment: bool = True  # weigh by probabilities that were aligned to equally likely classes; paper: true
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
    """Norm(p u(c) / E[p]), (u, c): as if all classes were predicted equally often (Eq. 9).

    Args:
        average: E[p], (c,) moving average of predictions.
    """
    aligned = probabilities / (len(average) * average.clamp(min=1e-12))
    return aligned / aligned.sum(1, keepdim=True)


class SoftMatch(Method):
    """Pseudo-labels under soft weights; owns the confidences' moving mean and variance and the mean prediction."""

    mean: Tensor
    variance: Tensor
    average: Tensor

    def __init__(self, settings: SoftMatchSettings):
        super().__init__()
        self.settings = settings

    def prepare(self, model: Classifier, num_unlabeled: int) -> None:
        """mu starts at 1/C, sigma^2 at 1, every class as likely (Algorithm 1)."""
        self.register_buffer("mean", torch.tensor(1 / model.num_classes))
        self.register_buffer("variance", torch.ones(()))
        self.register_buffer("average", torch.full((model.num_classes,), 1 / model.num_classes))

    def forward(self, model: Classifier, labeled: Labeled, unlabeled: Unlabeled | None, progress: float) -> StepOutput:
        settings = self.settings
        logits = step_logits(model, labeled, unlabeled, settings.passes, settings.strong_weight)
        supervised = supervised_term(logits, labeled, settings.strong_weight)
        probabilities = logits.weak.softmax(1)
        pseudo_label = probabilities.argmax(1)
        if settings.uniform_alignment:
            self.average.lerp_(probabilities.mean(0), 1 - settings.decay)
            probabilities = uniformly_aligned(probabilities, self.average)
        confidence = probabilities.max(1).values
        self.mean.lerp_(confidence.mean(), 1 - settings.decay)
        self.variance.lerp_(confidence.var(), 1 - settings.decay)  # of U - 1, as Eq. 8
        weight = truncated_gaussian(confidence, self.mean, self.variance, settings.num_sigmas)
        pseudo = masked_pseudo_label_loss(logits.strong, pseudo_label, weight)
        return StepOutput(
            {"supervised": supervised, "unlabeled": settings.unlabeled_weight * pseudo},
            {"labeled_accuracy": accuracy(logits.labeled_weak, labeled.target), "mean_weight": weight.mean()},
        )
