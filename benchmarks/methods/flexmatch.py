"""FlexMatch: FixMatch whose threshold is lower for classes that are learned slowly.

Source: Zhang et al., "FlexMatch", arXiv:2110.08263: learning effect Eq. 5, flexible threshold Eq. 6 and 7, warm-up
Eq. 11, mapping Eq. 12, Algorithm 1. The published benchmark (TLlib) leaves the warm-up out, so that all thresholds
start at 0. **Deviations:** counts are kept up to date image by image instead of recounted; the numbers are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from benchmarks.methods.base import Classifier, Labeled, Method, StepOutput, Unlabeled
from benchmarks.methods.erm import supervised_term
from benchmarks.methods.fixmatch import confidence_report, masked_pseudo_label_loss, reaches
from benchmarks.methods.passes import Passes, step_logits
from benchmarks.methods.ranges import Confidence, OneOf, Weight, WeightOrERM, check

MAPPINGS = ("convex", "linear", "concave")
UNUSED = -1  # pseudo-label of an image that has not been predicted with confidence


@dataclass(frozen=True)
class FlexMatchSettings:
    """Defaults are the paper's."""

    threshold: Confidence = 0.95  # tau, of the best learned class, 0 to 1; paper: 0.95
    warmup: bool = True  # compare with the number of unused images while most are unused; benchmark: false
    mapping: Annotated[str, OneOf(MAPPINGS)] = "convex"  # M: convex x/(2-x) (paper), linear x, concave ln(x+1)/ln 2
    unlabeled_weight: WeightOrERM = 1.0  # lambda, above 0; paper: 1
    strict: bool = True  # confidence > threshold (paper, Eq. 9; benchmark); false: >=
    strong_weight: Weight = 0.0  # weight of cross-entropy on labeled strong views, 0 or more; benchmark: 0.1
    passes: Passes = "joint"  # joint: one BatchNorm batch of all views; grouped: each its own; benchmark: separate

    def __post_init__(self) -> None:
        check(self, "method.")


def flexible_thresholds(
    counts: Tensor, num_unused: Tensor, threshold: float, warmup: bool, mapping: str = "convex"
) -> Tensor:
    """T(c) = M(beta(c)) tau, (c,) (Eq. 6, 7, 11, 12).

    beta(c) = sigma(c) / max_c sigma, with warm-up sigma(c) / max(max_c sigma, number of unused images). While one
    class, or no class, has all images, beta is 0, as in the benchmark (Eq. 11 alone would give that class 1).

    Args:
        counts: sigma, (c,) images whose last confident pseudo-label is c.
        num_unused: () images without any.
    """
    largest = torch.maximum(counts.max(), num_unused)
    total = counts.sum() + num_unused
    divisor = largest if warmup else counts.max()
    beta = torch.where(largest == total, 0.0, counts / divisor.clamp(min=1))
    return threshold * {"convex": beta / (2 - beta), "linear": beta, "concave": torch.log2(beta + 1)}[mapping]


def last_of_each(index: Tensor) -> Tensor:
    """Whether no later entry is of the same image, (n,) bool: writing these alone, the later one holds on any device.

    Args:
        index: (n,) positions of images.
    """
    return ~(index[None, :] == index[:, None]).triu(1).any(dim=1)


class FlexMatch(Method):
    """FixMatch with a threshold per class; owns each unlabeled image's last confident pseudo-label."""

    last: Tensor
    counts: Tensor

    def __init__(self, settings: FlexMatchSettings):
        super().__init__()
        self.settings = settings

    def prepare(self, model: Classifier, num_labeled: int, num_unlabeled: int) -> None:
        """All images are unused."""
        self.register_buffer("last", torch.full((num_unlabeled,), UNUSED))
        self.register_buffer("counts", torch.zeros(model.num_classes + 1))  # of each class; of the unused ones at last
        self.counts[UNUSED] = num_unlabeled

    def forward(self, model: Classifier, labeled: Labeled, unlabeled: Unlabeled | None, progress: float) -> StepOutput:
        assert unlabeled is not None
        settings = self.settings
        logits = step_logits(model, labeled, unlabeled, settings.passes, settings.strong_weight)
        supervised = supervised_term(logits, labeled, settings.strong_weight)
        confidence, pseudo_label = logits.weak.softmax(1).max(1)
        thresholds = flexible_thresholds(
            self.counts[:UNUSED], self.counts[UNUSED], settings.threshold, settings.warmup, settings.mapping
        )
        mask = reaches(confidence, thresholds[pseudo_label], settings.strict)
        pseudo = masked_pseudo_label_loss(logits.strong, pseudo_label, mask)
        # after the mask: this step's predictions count from the next one on, and by the fixed threshold
        sure = reaches(confidence, settings.threshold, settings.strict)
        self.remember(unlabeled.index[sure], pseudo_label[sure])
        return StepOutput(
            {"supervised": supervised, "unlabeled": settings.unlabeled_weight * pseudo},
            {**confidence_report(logits.labeled_weak, labeled.target, mask), "threshold": thresholds.mean()},
        )

    @torch.no_grad()
    def remember(self, index: Tensor, pseudo_label: Tensor) -> None:
        """Overwrites the images' last pseudo-labels and moves the counts, in a batch's time.

        Args:
            index: (n,) positions in the unlabeled set; of an image that comes twice the later label holds.
        """
        if len(index) == 0:
            return
        final = last_of_each(index)
        index, pseudo_label = index[final], pseudo_label[final]
        one = torch.ones(len(index), device=self.counts.device, dtype=self.counts.dtype)
        self.counts.index_add_(0, self.last[index] % len(self.counts), -one)  # UNUSED is the last position
        self.counts.index_add_(0, pseudo_label, one)
        self.last[index] = pseudo_label
