"""Pi Model: two evaluations of an image, under other augmentation and dropout, are to say the same.

Source: Laine and Aila, "Temporal Ensembling for Semi-Supervised Learning", arXiv:1610.02242: Algorithm 1, ramp and
weight of its section 2.1. The published benchmark (TLlib pi_model.py) takes unlabeled images alone, the mean of sums
over classes, and a small weight that is not scaled. **Deviations:** none in the loss. Of the paper's surroundings,
Gaussian noise on the input, Adam and its schedule are not here; the benchmark's ramp moves once in 500 steps, here in
each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from benchmarks.classifier import Classifier
from benchmarks.methods.base import Labeled, Method, StepOutput, Unlabeled, ViewKinds, accuracy
from benchmarks.methods.erm import supervised_loss
from benchmarks.methods.passes import Passes, forward_views
from benchmarks.methods.ranges import Fraction, OneOf, Weight, WeightOrERM, check

CONSISTENT = ("all", "unlabeled")
AVERAGES = ("images_and_classes", "images", "nothing")

ConsistencyOn = Annotated[str, OneOf(CONSISTENT)]
AveragedOver = Annotated[str, OneOf(AVERAGES)]


@dataclass(frozen=True)
class PiModelSettings:
    """Defaults are the paper's (CIFAR-10)."""

    unlabeled_weight: WeightOrERM = 100.0  # w_max, above 0; paper: 100; benchmark: 0.1
    scaled: bool = True  # w_max times the share of labeled images (paper); benchmark: false
    # mean of the squares: images_and_classes (paper), images (benchmark), or nothing, their sum
    averaged_over: AveragedOver = "images_and_classes"
    consistency_on: ConsistencyOn = "all"  # all images (paper), or unlabeled ones (benchmark)
    ramp_end: Fraction = 0.267  # share of the training from which the weight is full; paper: 80 of 300 epochs
    strong_weight: Weight = 0.0  # weight of cross-entropy on labeled strong views, 0 or more; benchmark: 0.1
    passes: Passes = "joint"  # joint: a pass per evaluation; grouped: BatchNorm per view; benchmark: separate

    def __post_init__(self) -> None:
        check(self, "method.")


def ramp_up(progress: float, end: float) -> float:
    """exp(-5 (1 - T)^2), T rising from 0 to 1 at `end`: 0.0067 at the start, 1 from `end` on.

    Args:
        progress: share of the training that is done. end: likewise; 0: no ramp.
    """
    return math.exp(-5 * (1 - progress / end) ** 2) if progress < end else 1.0


def squared_difference(logits: Tensor, other_logits: Tensor, averaged_over: str) -> Tensor:
    """1/(C B) sum_b ||z_b - z~_b||^2 with z = softmax(logits) (Algorithm 1); gradients reach both.

    Args:
        logits, other_logits: (b, c). averaged_over: "images" leaves out 1/C, "nothing" 1/B as well.
    """
    squares = (logits.softmax(1) - other_logits.softmax(1)) ** 2
    if averaged_over == "images_and_classes":
        return squares.mean()
    return squares.sum(1).mean() if averaged_over == "images" else squares.sum()


def weak_twice(consistency_on: str) -> ViewKinds:
    """Two weak views: the second stands in `more` of labeled images, which have a strong one too, else in `strong`."""
    return ViewKinds(("weak", "strong", "weak") if consistency_on == "all" else ("weak", "strong"), ("weak", "weak"))


def two_evaluations(
    labeled: Labeled, unlabeled: Unlabeled, consistency_on: str, strong_weight: float
) -> tuple[list[Tensor | None], list[Tensor | None]]:
    """The views of the first evaluation, labeled weak and strong and unlabeled weak, and those of the second."""
    first = [labeled.weak, labeled.strong if strong_weight > 0 else None, unlabeled.weak]
    return first, [labeled.more[0] if consistency_on == "all" else None, unlabeled.strong]


def compared(labeled_logits: Tensor | None, logits: Tensor | None, consistency_on: str) -> Tensor:
    """The logits that are compared, (b + u, c) of all images or (u, c) of the unlabeled ones."""
    present = [labeled_logits, logits] if consistency_on == "all" else [logits]
    return torch.cat([one for one in present if one is not None])


class PiModel(Method):
    """Supervised cross-entropy, and the squared difference between two evaluations."""

    def __init__(self, settings: PiModelSettings):
        super().__init__()
        self.settings = settings
        self.view_kinds = weak_twice(settings.consistency_on)

    def prepare(self, model: Classifier, num_labeled: int, num_unlabeled: int) -> None:
        """M/N of the weight; decided by the data, so no state."""
        self.labeled_share = num_labeled / (num_labeled + num_unlabeled)

    def forward(self, model: Classifier, labeled: Labeled, unlabeled: Unlabeled | None, progress: float) -> StepOutput:
        assert unlabeled is not None
        settings, on = self.settings, self.settings.consistency_on
        first, second = two_evaluations(labeled, unlabeled, on, settings.strong_weight)
        labeled_weak, labeled_strong, weak = forward_views(model, first, settings.passes)
        labeled_again, again = forward_views(model, second, settings.passes)
        assert labeled_weak is not None
        difference = squared_difference(
            compared(labeled_weak, weak, on), compared(labeled_again, again, on), settings.averaged_over
        )
        weight = settings.unlabeled_weight * ramp_up(progress, settings.ramp_end)
        weight *= self.labeled_share if settings.scaled else 1.0
        supervised = supervised_loss(
            labeled_weak, labeled_strong, labeled.target, labeled.weight, settings.strong_weight
        )
        return StepOutput(
            {"supervised": supervised, "unlabeled": weight * difference},
            {"labeled_accuracy": accuracy(labeled_weak, labeled.target), "difference": difference.detach()},
        )
