"""ERM: cross-entropy on the labeled images alone, the baseline of every table.

Source: the published benchmark of Jiang et al. (TLlib), whose supervised term all its methods but one share.
**Deviations:** images carry weights (1 unless the labeled set says otherwise); with weights of 1 it is the
benchmark's term. `strong_weight=0`, the plain form, leaves the strong view's forward pass out altogether.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from benchmarks.classifier import Classifier
from benchmarks.methods.base import Labeled, Method, StepOutput, Unlabeled, accuracy, supervised_cross_entropy
from benchmarks.methods.passes import StepLogits
from benchmarks.methods.ranges import Weight, check


@dataclass(frozen=True)
class ERMSettings:
    """Plain empirical risk minimization has no setting; the benchmark adds one."""

    strong_weight: Weight = 0.0  # weight of the strong view's cross-entropy, 0 or more; benchmark: 0.1

    def __post_init__(self) -> None:
        check(self, "method.")


def supervised_loss(
    logits_weak: Tensor, logits_strong: Tensor | None, target: Tensor, weight: Tensor, strong_weight: float
) -> Tensor:
    """L_sup = H(y, z(l_w)) + lambda_s H(y, z(l_s)), means over the batch.

    Args:
        logits_weak: z(l_w), (b, c), of the weak views.
        logits_strong: z(l_s), (b, c), of the strong views; None leaves that term out.
        target: y, (b,) class indices.
        weight: (b,) weights of the images, 1 for an image that counts once.
        strong_weight: lambda_s, 0.1 in the benchmark.
    """
    loss = supervised_cross_entropy(logits_weak, target, weight)
    if logits_strong is None:
        return loss
    return loss + strong_weight * supervised_cross_entropy(logits_strong, target, weight)


def supervised_term(logits: StepLogits, labeled: Labeled, strong_weight: float) -> Tensor:
    """The supervised loss of a step that also passes unlabeled views."""
    return supervised_loss(logits.labeled_weak, logits.labeled_strong, labeled.target, labeled.weight, strong_weight)


class ERM(Method):
    """Cross-entropy on weak views, and a little of it on strong ones."""

    uses_unlabeled: ClassVar[bool] = False

    def __init__(self, settings: ERMSettings):
        super().__init__()
        self.settings = settings

    def forward(self, model: Classifier, labeled: Labeled, unlabeled: Unlabeled | None, progress: float) -> StepOutput:
        strong_weight = self.settings.strong_weight
        logits_weak = model(labeled.weak)
        logits_strong = model(labeled.strong) if strong_weight > 0 else None
        loss = supervised_loss(logits_weak, logits_strong, labeled.target, labeled.weight, strong_weight)
        return StepOutput({"supervised": loss}, {"labeled_accuracy": accuracy(logits_weak, labeled.target)})
