"""Pseudo Label: the model's own confident predictions on weak views are targets of the same views.

Source: Lee, "Pseudo-Label", ICML 2013 workshop: loss Eq. 15, ramp of its weight Eq. 16. The published benchmark (TLlib)
adds a threshold and leaves the ramp out. **Deviations:** the source counts its ramp in passes over its own data
(T1 = 100, T2 = 600); here both are shares of the training.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from benchmarks.methods.base import Classifier, Labeled, Method, StepOutput, Unlabeled
from benchmarks.methods.erm import supervised_loss
from benchmarks.methods.fixmatch import confidence_report, confident, masked_pseudo_label_loss
from benchmarks.methods.passes import Passes, forward_views
from benchmarks.methods.ranges import Confidence, Fraction, Weight, WeightOrERM, check


@dataclass(frozen=True)
class PseudoLabelSettings:
    """Defaults are the paper's."""

    threshold: Confidence = 0.0  # least confidence of a pseudo-label, 0 to 1; paper: none; benchmark: 0.95
    unlabeled_weight: WeightOrERM = 3.0  # alpha_f, above 0; paper: 3; benchmark: 1
    ramp_start: Fraction = 0.1  # T1, share of the training before which the weight is 0; benchmark: 0
    ramp_end: Fraction = 0.6  # T2, share from which it is full; benchmark: 0
    strict: bool = False  # confidence > threshold; false: >=; benchmark: true
    strong_weight: Weight = 0.0  # weight of cross-entropy on labeled strong views, 0 or more; benchmark: 0.1
    passes: Passes = "joint"  # joint: one BatchNorm batch of all views; grouped: each its own; benchmark: separate

    def __post_init__(self) -> None:
        check(self, "method.")
        if self.ramp_start > self.ramp_end:
            raise ValueError(
                f"method.ramp_start={self.ramp_start}, method.ramp_end={self.ramp_end}: give an end of start or more"
            )


def ramp(progress: float, start: float, end: float) -> float:
    """alpha(t) / alpha_f (Eq. 16): 0 before T1, rising linearly to 1 at T2.

    Args:
        progress: t, share of the training that is done. start, end: T1 and T2, likewise.
    """
    if progress < start:
        return 0.0
    return min(1.0, (progress - start) / (end - start)) if end > start else 1.0


class PseudoLabel(Method):
    """Supervised cross-entropy, and that of weak views with their own predictions."""

    def __init__(self, settings: PseudoLabelSettings):
        super().__init__()
        self.settings = settings

    def forward(self, model: Classifier, labeled: Labeled, unlabeled: Unlabeled | None, progress: float) -> StepOutput:
        assert unlabeled is not None
        settings = self.settings
        views: list[Tensor | None] = [
            labeled.weak, labeled.strong if settings.strong_weight > 0 else None, unlabeled.weak,
        ]  # fmt: skip
        labeled_weak, labeled_strong, weak = forward_views(model, views, settings.passes)
        assert labeled_weak is not None and weak is not None
        supervised = supervised_loss(
            labeled_weak, labeled_strong, labeled.target, labeled.weight, settings.strong_weight
        )
        # one pass is student and, without gradient, its own teacher
        pseudo_label, mask = confident(weak.detach(), settings.threshold, settings.strict)
        pseudo = masked_pseudo_label_loss(weak, pseudo_label, mask)
        weight = settings.unlabeled_weight * ramp(progress, settings.ramp_start, settings.ramp_end)
        return StepOutput(
            {"supervised": supervised, "unlabeled": weight * pseudo},
            confidence_report(labeled_weak, labeled.target, mask),
        )
