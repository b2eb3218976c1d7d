"""UDA: strong views follow the sharpened predictions of weak ones; the labeled signal is let in gradually.

Source: Xie et al., "Unsupervised Data Augmentation for Consistency Training", arXiv:1904.12848: loss Eq. 1 and section
3.3 (confidence mask beta, sharpening tau), training signal annealing section 3.4. The published benchmark (TLlib) puts
the temperature on the student, averages over the kept images alone and has no annealing: `protocol=benchmark`.
**Deviations:** none in the loss; domain-relevance filtering of the paper is not here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated

from torch import Tensor
from torch.nn import functional as F

from benchmarks.methods.base import Classifier, Labeled, Method, StepOutput, Unlabeled
from benchmarks.methods.erm import supervised_term
from benchmarks.methods.fixmatch import confidence_report, confident
from benchmarks.methods.passes import Passes, StepLogits, step_logits
from benchmarks.methods.ranges import Above0, Confidence, OneOf, Weight, check

TEMPERATURES = ("target", "student")
MEANS = ("all", "kept")
ANNEALINGS = ("none", "linear", "log", "exp")


@dataclass(frozen=True)
class UDASettings:
    """Defaults are the paper's (its ImageNet setting)."""

    threshold: Confidence = 0.5  # beta, least confidence of a weak view, 0 to 1; paper: 0.5 (ImageNet), 0.8 (CIFAR-10)
    temperature: Above0 = 0.4  # tau, above 0; paper: 0.4
    temperature_on: Annotated[str, OneOf(TEMPERATURES)] = "target"  # target: sharpened (paper); benchmark: student
    # all images, an image that is not confident counts 0 (paper); benchmark: kept
    mean_over: Annotated[str, OneOf(MEANS)] = "all"
    # of the training signal: none, linear, log or exp; benchmark: none
    annealing: Annotated[str, OneOf(ANNEALINGS)] = "linear"
    unlabeled_weight: Above0 = 1.0  # lambda, above 0; paper: 1
    strict: bool = True  # confidence > beta (paper's code, benchmark); false: >=
    strong_weight: Weight = 0.0  # weight of cross-entropy on labeled strong views, 0 or more; benchmark: 0.1
    passes: Passes = "joint"  # joint: one BatchNorm batch of all views; grouped: each its own; benchmark: separate

    def __post_init__(self) -> None:
        check(self, "method.")


def consistency_loss(
    logits_strong: Tensor,
    logits_weak: Tensor,
    threshold: float,
    temperature: float,
    temperature_on: str = "target",
    mean_over: str = "all",
    strict: bool = False,
) -> Tensor:
    """Mean of 1[max_c p_c >= beta] KL(p^sharp || p(y | A(u))), p = softmax(logits_weak) (UDA, section 3.3).

    Args:
        threshold: beta, 0 to 1; strict: the test is > beta. The others: as in `masked_consistency_loss`.
    """
    _, mask = confident(logits_weak.detach(), threshold, strict)
    return masked_consistency_loss(logits_strong, logits_weak, mask, temperature, temperature_on, mean_over)


def masked_consistency_loss(
    logits_strong: Tensor, logits_weak: Tensor, mask: Tensor, temperature: float, temperature_on: str, mean_over: str
) -> Tensor:
    """Mean of mask KL(p^sharp || p(y | A(u))), p^sharp = softmax(logits_weak / tau). No gradient reaches `logits_weak`.

    Args:
        logits_strong, logits_weak: (u, c). mask: (u,) whether an image counts.
        temperature: tau. temperature_on: "student" divides the strong logits instead, as the benchmark.
        mean_over: "all" u images, or those "kept" (at least 1).
    """
    teacher = logits_weak.detach()
    on_target, on_student = (temperature, 1.0) if temperature_on == "target" else (1.0, temperature)
    log_target = F.log_softmax(teacher / on_target, dim=1)
    divergence = F.kl_div(
        F.log_softmax(logits_strong / on_student, dim=1), log_target, log_target=True, reduction="none"
    )
    total = (mask * divergence.sum(1)).sum()
    return total / (mask.sum().clamp(min=1) if mean_over == "kept" else len(mask))


def annealing_threshold(schedule: str, progress: float, num_classes: int) -> float:
    """eta_t = alpha_t (1 - 1/K) + 1/K: labeled images whose class is likelier than this are left out (section 3.4).

    alpha_t: linear t/T, log 1 - exp(-5 t/T), exp exp(5 (t/T - 1)); none: 1, nothing is left out.
    """
    alpha = {
        "none": 1.0,
        "linear": progress,
        "log": 1 - math.exp(-5 * progress),
        "exp": math.exp(5 * (progress - 1)),
    }[schedule]
    return alpha * (1 - 1 / num_classes) + 1 / num_classes


def not_yet_known(logits: Tensor, target: Tensor, eta: float) -> Tensor:
    """1[p(y* | x) <= eta], (b,) without gradient: the labeled images that are still trained on."""
    likely = logits.detach().softmax(1).gather(1, target[:, None])[:, 0]
    return (likely <= eta).float()


class UDA(Method):
    """Supervised cross-entropy under annealing, and consistency of strong with weak views."""

    def __init__(self, settings: UDASettings):
        super().__init__()
        self.settings = settings

    def forward(self, model: Classifier, labeled: Labeled, unlabeled: Unlabeled | None, progress: float) -> StepOutput:
        settings = self.settings
        logits = step_logits(model, labeled, unlabeled, settings.passes, settings.strong_weight)
        supervised = self._supervised(logits, labeled, progress)
        _, mask = confident(logits.weak, settings.threshold, settings.strict)
        consistency = masked_consistency_loss(
            logits.strong, logits.weak, mask, settings.temperature, settings.temperature_on, settings.mean_over
        )
        return StepOutput(
            {"supervised": supervised, "unlabeled": settings.unlabeled_weight * consistency},
            confidence_report(logits.labeled_weak, labeled.target, mask),
        )

    def _supervised(self, logits: StepLogits, labeled: Labeled, progress: float) -> Tensor:
        settings = self.settings
        if settings.annealing == "none":
            return supervised_term(logits, labeled, settings.strong_weight)
        eta = annealing_threshold(settings.annealing, progress, logits.labeled_weak.shape[1])
        kept = not_yet_known(logits.labeled_weak, labeled.target, eta)
        # the mean is over the images that are left (the paper's own code): weights are scaled up for it
        weight = labeled.weight * kept * (len(kept) / kept.sum().clamp(min=1))
        return supervised_term(logits, replace(labeled, weight=weight), settings.strong_weight)
