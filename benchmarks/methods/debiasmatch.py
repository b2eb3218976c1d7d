"""DebiasMatch: FixMatch whose pseudo-labels and margins are corrected for the classes that are predicted too often.

Source: Wang et al., "Debiased Learning from Naturally Imbalanced Pseudo-Labels", arXiv:2201.01490: debiased logits
Eq. 5, moving average Eq. 6, adaptive marginal loss Eq. 7. In the published benchmark (TLlib) the moving average starts
anew every 500 steps: `protocol=benchmark`. **Deviations:** none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from benchmarks.methods.base import Classifier, Labeled, Method, StepOutput, Unlabeled
from benchmarks.methods.erm import supervised_term
from benchmarks.methods.fixmatch import confidence_report, confident, masked_pseudo_label_loss
from benchmarks.methods.passes import Passes, step_logits
from benchmarks.methods.ranges import Below1, Confidence, Range, Weight, WeightOrFixMatch, check


@dataclass(frozen=True)
class DebiasMatchSettings:
    """Defaults are the paper's."""

    threshold: Confidence = 0.95  # least debiased confidence of a pseudo-label, 0 to 1; paper: 0.95
    debias: WeightOrFixMatch = 0.5  # lambda of the debiasing, above 0; paper: 0.5; benchmark: 1
    decay: Below1 = 0.999  # m of the moving average of predictions, 0 to below 1; paper: 0.999
    # steps after which that average starts anew; 0: never (paper); benchmark: 500
    reset_steps: Annotated[int, Range(0, low_means="never")] = 0
    unlabeled_weight: WeightOrFixMatch = 1.0  # above 0; paper: 1
    strict: bool = False  # confidence > threshold; false: >=; benchmark: true
    strong_weight: Weight = 0.0  # weight of cross-entropy on labeled strong views, 0 or more; benchmark: 0.1
    passes: Passes = "joint"  # joint: one BatchNorm batch of all views; grouped: each its own; benchmark: separate

    def __post_init__(self) -> None:
        check(self, "method.")


def moving_average(average: Tensor, logits_weak: Tensor, decay: float) -> Tensor:
    """p_hat <- m p_hat + (1 - m) 1/U sum_u softmax(logits_weak_u), (c,) (Eq. 6); all images count, sure or not."""
    return decay * average + (1 - decay) * logits_weak.softmax(1).mean(0)


def log_average(average: Tensor) -> Tensor:
    """log p_hat, finite also for a class that is never predicted."""
    return average.clamp(min=1e-12).log()


def debiased(
    logits_strong: Tensor, logits_weak: Tensor, average: Tensor, debias: float, threshold: float, strict: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Student logits z_s + lambda log p_hat (Eq. 7), and pseudo-labels and mask of z_w - lambda log p_hat (Eq. 5).

    Args:
        logits_strong, logits_weak: z_s and z_w, (u, c); no gradient reaches z_w.
        average: p_hat, (c,) probabilities.
        debias: lambda. threshold, strict: as in FixMatch's `confident`.
    """
    shift = debias * log_average(average)
    return logits_strong + shift, *confident(logits_weak.detach() - shift, threshold, strict)


def debiased_loss(
    logits_strong: Tensor, logits_weak: Tensor, average: Tensor, debias: float, threshold: float, strict: bool = False
) -> Tensor:
    """FixMatch's loss of what `debiased` makes of the logits (Eq. 5, 7); takes the same arguments."""
    return masked_pseudo_label_loss(*debiased(logits_strong, logits_weak, average, debias, threshold, strict))


class DebiasMatch(Method):
    """FixMatch under debiasing; owns the moving average of predictions."""

    average: Tensor
    steps: Tensor

    def __init__(self, settings: DebiasMatchSettings):
        super().__init__()
        self.settings = settings

    def prepare(self, model: Classifier, num_labeled: int, num_unlabeled: int) -> None:
        """Every class is as likely."""
        self.register_buffer("average", torch.full((model.num_classes,), 1 / model.num_classes))
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, model: Classifier, labeled: Labeled, unlabeled: Unlabeled | None, progress: float) -> StepOutput:
        settings = self.settings
        logits = step_logits(model, labeled, unlabeled, settings.passes, settings.strong_weight)
        supervised = supervised_term(logits, labeled, settings.strong_weight)
        if settings.reset_steps and self.steps % settings.reset_steps == 0:
            self.average.fill_(1 / len(self.average))
        self.steps += 1
        self.average.copy_(moving_average(self.average, logits.weak, settings.decay))
        student, pseudo_label, mask = debiased(
            logits.strong, logits.weak, self.average, settings.debias, settings.threshold, settings.strict
        )
        pseudo = masked_pseudo_label_loss(student, pseudo_label, mask)
        return StepOutput(
            {"supervised": supervised, "unlabeled": settings.unlabeled_weight * pseudo},
            confidence_report(logits.labeled_weak, labeled.target, mask),
        )
