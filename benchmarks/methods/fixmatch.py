"""FixMatch: confident predictions on weak views are the targets of strong views.

Source: Sohn et al., "FixMatch", arXiv:2001.07685: supervised term Eq. 3, unlabeled term Eq. 4, confidence
test ">=" as there. The published benchmark of Jiang et al. (TLlib) computes a step otherwise;
`protocol=benchmark` (default) sets what it does, `protocol=paper` what the paper does. **Deviations:** none
in the loss; MixUp and CutMix of labeled weak views are added, off. Of the paper's surroundings, CTAugment and
Cutout are not here (the strong view is the benchmark's RandAugment), and ratio of batch sizes, EMA and
schedule are `train.*` settings, which a protocol does not touch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.methods.base import Classifier, Labeled, Method, StepOutput, Unlabeled, accuracy
from benchmarks.methods.erm import supervised_term
from benchmarks.methods.mixing import mixed, refuse_both
from benchmarks.methods.passes import Passes, step_logits
from benchmarks.methods.ranges import Confidence, NotNegative, Weight, WeightOrERM, check


@dataclass(frozen=True)
class FixMatchSettings:
    """Defaults are the paper's."""

    threshold: Confidence = 0.95  # tau, least confidence of a pseudo-label, 0 to 1; paper: 0.95 (0.7 on ImageNet)
    unlabeled_weight: WeightOrERM = 1.0  # lambda_u, above 0; paper: 1
    strict: bool = False  # confidence > tau; false: >= tau, as the paper; benchmark: true
    strong_weight: Weight = 0.0  # weight of cross-entropy on labeled strong views, 0 or more; benchmark: 0.1
    passes: Passes = "joint"  # joint: one BatchNorm batch of all views; grouped: each its own; benchmark: separate
    mixup_alpha: NotNegative = 0.0  # of the labeled weak views, 0: off (paper); 0.2 is usual
    cutmix_alpha: NotNegative = 0.0  # likewise; 0: off (paper); 1 is usual

    def __post_init__(self) -> None:
        check(self, "method.")
        refuse_both(self.mixup_alpha, self.cutmix_alpha)


def reaches(confidence: Tensor, threshold: Tensor | float, strict: bool = False) -> Tensor:
    """Whether confidence >= tau (strict: >), (u,); tau is one for all images or one each, (u,)."""
    return confidence > threshold if strict else confidence >= threshold


def confident(logits_weak: Tensor, threshold: float, strict: bool = False) -> tuple[Tensor, Tensor]:
    """Pseudo-labels argmax_c p_c, (u,), and whether max_c p_c >= tau (strict: >), (u,), with p = softmax(logits)."""
    confidence, pseudo_label = logits_weak.softmax(1).max(1)
    return pseudo_label, reaches(confidence, threshold, strict)


def masked_pseudo_label_loss(logits_strong: Tensor, pseudo_label: Tensor, mask: Tensor) -> Tensor:
    """1/U sum_u mask_u H(pseudo_label_u, p(y | A(u))): the mean is over all U images.

    Args:
        logits_strong: (u, c) of the strong views A(u). pseudo_label: (u,) class indices, or (u, c) probabilities.
        mask: (u,) whether an image counts, or how much.
    """
    losses = torch.nn.functional.cross_entropy(logits_strong, pseudo_label, reduction="none")  # (u,)
    return (mask * losses).mean()


def pseudo_label_loss(logits_strong: Tensor, logits_weak: Tensor, threshold: float, strict: bool = False) -> Tensor:
    """1/U sum_u 1[max_c q_u >= tau] H(argmax_c q_u, p(y | A(u))), FixMatch Eq. 4.

    The mean is over all U images: one that is not confident counts as zero. No gradient reaches
    `logits_weak`.

    Args:
        logits_strong: (u, c) of the strong views A(u).
        logits_weak: (u, c) of the weak views, q_u = softmax(logits_weak).
        threshold: tau, 0 to 1.
        strict: the test is > tau, as in the benchmark.
    """
    pseudo_label, mask = confident(logits_weak.detach(), threshold, strict)
    return masked_pseudo_label_loss(logits_strong, pseudo_label, mask)


def confidence_report(labeled_logits: Tensor, target: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """What methods with pseudo-labels log: accuracy on the labeled batch, and the share of images in the mask."""
    return {"labeled_accuracy": accuracy(labeled_logits, target), "confident_share": mask.float().mean()}


class FixMatch(Method):
    """Supervised cross-entropy and pseudo-labels above one fixed threshold."""

    def __init__(self, settings: FixMatchSettings):
        super().__init__()
        self.settings = settings

    def forward(self, model: Classifier, labeled: Labeled, unlabeled: Unlabeled | None, progress: float) -> StepOutput:
        settings = self.settings
        labeled, mixed_target = mixed(labeled, model.num_classes, settings.mixup_alpha, settings.cutmix_alpha)
        logits = step_logits(model, labeled, unlabeled, settings.passes, settings.strong_weight)
        supervised = supervised_term(logits, labeled, settings.strong_weight, mixed_target)
        pseudo_label, mask = confident(logits.weak, settings.threshold, settings.strict)
        pseudo = masked_pseudo_label_loss(logits.strong, pseudo_label, mask)
        return StepOutput(
            {"supervised": supervised, "unlabeled": settings.unlabeled_weight * pseudo},
            confidence_report(logits.labeled_weak, labeled.target, mask),
        )
