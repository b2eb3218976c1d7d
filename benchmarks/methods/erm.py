"""ERM: cross-entropy on the labeled images alone, the baseline of every table.

Source: the published benchmark of Jiang et al. (TLlib), whose supervised term all its methods but one share.
**Deviations:** images carry weights (1 unless the labeled set says otherwise); with weights of 1 it is the
benchmark's term. `strong_weight=0`, the plain form, leaves the strong view's forward pass out altogether. MixUp and
CutMix of the weak views are added, off: what drawings are measured beside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from benchmarks.classifier import Classifier
from benchmarks.methods.base import Labeled, Method, StepOutput, Unlabeled, accuracy, supervised_cross_entropy
from benchmarks.methods.mixing import mixed, refuse_both
from benchmarks.methods.passes import StepLogits
from benchmarks.methods.ranges import NotNegative, Weight, check


@dataclass(frozen=True)
class ERMSettings:
    """Plain empirical risk minimization has no setting; the benchmark adds one."""

    strong_weight: Weight = 0.0  # weight of the strong view's cross-entropy, 0 or more; benchmark: 0.1
    mixup_alpha: NotNegative = 0.0  # of the labeled weak views, 0: off (benchmark); 0.2 is usual
    cutmix_alpha: NotNegative = 0.0  # likewise; 0: off (benchmark); 1 is usual

    def __post_init__(self) -> None:
        check(self, "method.")
        refuse_both(self.mixup_alpha, self.cutmix_alpha)


def supervised_loss(
    logits_weak: Tensor,
    logits_strong: Tensor | None,
    target: Tensor,
    weight: Tensor,
    strong_weight: float,
    mixed_target: Tensor | None = None,
) -> Tensor:
    """L_sup = H(y, z(l_w)) + lambda_s H(y, z(l_s)), means over the batch.

    Args:
        logits_weak: z(l_w), (b, c), of the weak views.
        logits_strong: z(l_s), (b, c), of the strong views; None leaves that term out.
        target: y, (b,) class indices.
        weight: (b,) weights of the images, 1 for an image that counts once.
        strong_weight: lambda_s, 0.1 in the benchmark.
        mixed_target: of weak views that were mixed, (b, c) weights of the classes; None: they were not.
    """
    if mixed_target is None:
        loss = supervised_cross_entropy(logits_weak, target, weight)
    else:
        loss = F.cross_entropy(logits_weak, mixed_target)
    if logits_strong is None:
        return loss
    return loss + strong_weight * supervised_cross_entropy(logits_strong, target, weight)


def supervised_term(
    logits: StepLogits, labeled: Labeled, strong_weight: float, mixed_target: Tensor | None = None
) -> Tensor:
    """The supervised loss of a step that also passes unlabeled views."""
    return supervised_loss(
        logits.labeled_weak, logits.labeled_strong, labeled.target, labeled.weight, strong_weight, mixed_target
    )


class ERM(Method):
    """Cross-entropy on weak views, and a little of it on strong ones."""

    uses_unlabeled: ClassVar[bool] = False

    def __init__(self, settings: ERMSettings):
        super().__init__()
        self.settings = settings

    def forward(self, model: Classifier, labeled: Labeled, unlabeled: Unlabeled | None, progress: float) -> StepOutput:
        strong_weight = self.settings.strong_weight
        labeled, mixed_target = mixed(labeled, model.num_classes, self.settings.mixup_alpha, self.settings.cutmix_alpha)
        logits_weak = model(labeled.weak)
        logits_strong = model(labeled.strong) if strong_weight > 0 else None
        loss = supervised_loss(logits_weak, logits_strong, labeled.target, labeled.weight, strong_weight, mixed_target)
        return StepOutput({"supervised": loss}, {"labeled_accuracy": accuracy(logits_weak, labeled.target)})
