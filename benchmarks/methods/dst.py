"""DST: pseudo-labels are made by one head and learned by another, and a third shows the worst that they could do.

Source: Chen et al., "Debiased Self-Training for Semi-Supervised Learning", arXiv:2202.07136: pseudo head Eq. 3 and 4,
worst-case head Eq. 5 to 7, overall loss Eq. 8; the published benchmark (TLlib dst.py) for widths, the reversal's
coefficient and the order of passes. **Deviations:** the worst-case term on labeled images takes the main head's own
predictions as labels, as that code does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.classifier import in_full_precision
from benchmarks.methods.base import Classifier, Labeled, Method, StepOutput, Unlabeled, supervised_cross_entropy
from benchmarks.methods.fixmatch import confidence_report, confident, masked_pseudo_label_loss
from benchmarks.methods.ranges import Above0, AtLeast1, Below1, Confidence, Weight, check

HIGHEST_REVERSAL = 0.1  # the coefficient's limit
REVERSAL_STEPS = 1000.0  # after which it is about half of it


@dataclass(frozen=True)
class DSTSettings:
    """Defaults are the paper's, on FixMatch."""

    threshold: Confidence = 0.7  # least confidence of a pseudo-label, 0 to 1; paper and benchmark: 0.7
    worst_weight: Above0 = 1.0  # eta, of the worst-case estimation, above 0; paper: 1
    worst_labeled_weight: Weight = 1.0  # eta', of its labeled part, 0 or more; paper: 1; benchmark on Cars: 2
    unlabeled_weight: Above0 = 1.0  # lambda, of the pseudo head's loss, above 0; paper: 1
    width: AtLeast1 = 2048  # of the two heads' hidden layer; benchmark: 2048
    dropout: Below1 = 0.5  # in them, 0 to below 1; benchmark: 0.5
    strict: bool = True  # confidence > threshold (benchmark); false: >=
    strong_weight: Weight = 0.0  # weight of cross-entropy on labeled strong views, 0 or more; benchmark: 0.1

    def __post_init__(self) -> None:
        check(self, "method.")


def worst_case_loss(
    worst_labeled: Tensor, worst_unlabeled: Tensor, label: Tensor, pseudo_label: Tensor, labeled_weight: float
) -> Tensor:
    """eta' H(h_w(l), label) + mean -log(1 - p_w(pseudo_label | u)) (Eq. 6, in the benchmark's weights).

    Its minimum is a head that is right on labeled images and as wrong as can be on unlabeled ones.

    Args:
        worst_labeled, worst_unlabeled: the worst-case head's logits, (b, c) and (u, c).
        label, pseudo_label: the main head's predictions, (b,) and (u,).
        labeled_weight: eta'.
    """
    likely = worst_unlabeled.softmax(1).gather(1, pseudo_label[:, None])[:, 0]
    wrong = -torch.log((1 - likely + 1e-6).clamp(max=1.0)).mean()
    return labeled_weight * F.cross_entropy(worst_labeled, label) + wrong


def reversal_coefficient(step: float) -> float:
    """2 h / (1 + exp(-step / 1000)) - h with h = 0.1: 0 at the start, 0.1 in the end."""
    return 2 * HIGHEST_REVERSAL / (1 + math.exp(-step / REVERSAL_STEPS)) - HIGHEST_REVERSAL


class ReversedGradient(torch.autograd.Function):
    """The identity, whose gradient is multiplied by minus a coefficient: min-max in one backward pass."""

    @staticmethod
    def forward(context: Any, features: Tensor, coefficient: float) -> Tensor:
        context.coefficient = coefficient
        return features.view_as(features)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -context.coefficient * gradient, None


class DST(Method):
    """FixMatch with three heads on the model's features; owns two of them."""

    steps: Tensor

    def __init__(self, settings: DSTSettings):
        super().__init__()
        self.settings = settings

    def prepare(self, model: Classifier, num_labeled: int, num_unlabeled: int) -> None:
        """The pseudo head and the worst-case head, two layers each."""
        width, dropout = self.settings.width, self.settings.dropout

        def head() -> nn.Sequential:
            hidden = nn.Linear(model.num_features, width)
            return nn.Sequential(hidden, nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, model.num_classes))

        self.pseudo_head, self.worst_head = head(), head()
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, model: Classifier, labeled: Labeled, unlabeled: Unlabeled | None, progress: float) -> StepOutput:
        assert unlabeled is not None
        settings = self.settings
        losses: dict[str, Tensor] = {}
        if settings.strong_weight > 0:
            strong_logits = model(labeled.strong)
            strong = supervised_cross_entropy(strong_logits, labeled.target, labeled.weight)
            losses["labeled_strong"] = settings.strong_weight * strong
        # labeled and unlabeled weak views in one pass, with common BatchNorm statistics
        count = len(labeled.weak)
        features = model.features(torch.cat([labeled.weak, unlabeled.weak]))
        logits = model.logits(features)
        losses["supervised"] = supervised_cross_entropy(logits[:count], labeled.target, labeled.weight)
        coefficient = reversal_coefficient(float(self.steps))
        self.steps += 1
        worst = in_full_precision(self.worst_head, ReversedGradient.apply(features, coefficient))
        predicted = logits.detach().argmax(1)
        losses["worst_case"] = settings.worst_weight * worst_case_loss(
            worst[:count], worst[count:], predicted[:count], predicted[count:], settings.worst_labeled_weight
        )
        student = in_full_precision(self.pseudo_head, model.features(unlabeled.strong))
        pseudo_label, mask = confident(logits[count:].detach(), settings.threshold, settings.strict)
        losses["unlabeled"] = settings.unlabeled_weight * masked_pseudo_label_loss(student, pseudo_label, mask)
        return StepOutput(losses, confidence_report(logits[:count], labeled.target, mask))
