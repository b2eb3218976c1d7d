"""Mean Teacher: the student is to say what a moving average of its own weights says of another view.

Source: Tarvainen and Valpola, "Mean teachers are better role models", arXiv:1703.01780: consistency Eq. 1, teacher Eq.
2, weights and ramp of its section 3 and appendix B. The published benchmark (TLlib mean_teacher.py) takes unlabeled
images alone, the sum over images and classes, and a teacher that is the student's plain mean at first. **Deviations:**
none in the loss. The tested network is the student, as in the benchmark; the paper tests the teacher, which
`train.ema_decay=0.999` does too. Adam, its ramps and Gaussian noise on the input are not here; the benchmark's ramp
moves once in 500 steps, here in each.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.classifier import Classifier
from benchmarks.methods.base import Labeled, Method, StepOutput, Unlabeled, accuracy
from benchmarks.methods.erm import supervised_loss
from benchmarks.methods.passes import Passes, forward_views
from benchmarks.methods.pi_model import (
    AveragedOver,
    ConsistencyOn,
    compared,
    ramp_up,
    squared_difference,
    two_evaluations,
    weak_twice,
)
from benchmarks.methods.ranges import Below1, Fraction, Weight, WeightOrERM, check


@dataclass(frozen=True)
class MeanTeacherSettings:
    """Defaults are the paper's (CIFAR-10)."""

    momentum: Below1 = 0.999  # alpha of the teacher's weights, 0 to below 1; paper and benchmark: 0.999
    # alpha before ramp_end; null: at most 1 - 1/t in step t; paper: 0.99; benchmark: null
    early_momentum: Below1 | None = 0.99
    unlabeled_weight: WeightOrERM = 100.0  # of the consistency, above 0; paper: 100; benchmark: 0.1
    # mean of the squares: images_and_classes (paper), images, or nothing, their sum (benchmark)
    averaged_over: AveragedOver = "images_and_classes"
    consistency_on: ConsistencyOn = "all"  # all images (paper), or unlabeled ones (benchmark)
    ramp_end: Fraction = 0.267  # share of the training from which the weight is full; authors: 40000 of 150000 steps
    strong_weight: Weight = 0.0  # weight of cross-entropy on labeled strong views, 0 or more; benchmark: 0.1
    passes: Passes = "joint"  # joint: one pass of each network; grouped: BatchNorm per view; benchmark: separate

    def __post_init__(self) -> None:
        check(self, "method.")


def teacher_momentum(step: int, progress: float, settings: MeanTeacherSettings) -> float:
    """alpha of the update after `step` steps, 1 or more (Eq. 2)."""
    if settings.early_momentum is None:
        return min(settings.momentum, 1 - 1 / step)
    return settings.early_momentum if progress < settings.ramp_end else settings.momentum


@torch.no_grad()
def follow(follower: nn.Module, leader: nn.Module, momentum: float) -> None:
    """theta' <- alpha theta' + (1 - alpha) theta (Eq. 2) of parameters; BatchNorm statistics are the follower's."""
    for slow, fast in zip(follower.parameters(), leader.parameters(), strict=True):
        slow.lerp_(fast.detach(), 1 - momentum)


class MeanTeacher(Method):
    """Supervised cross-entropy, and the squared difference from the teacher; owns the teacher."""

    steps: Tensor

    def __init__(self, settings: MeanTeacherSettings):
        super().__init__()
        self.settings = settings
        self.view_kinds = weak_twice(settings.consistency_on)

    def prepare(self, model: Classifier, num_labeled: int, num_unlabeled: int) -> None:
        """The teacher starts as the student."""
        self.teacher = copy.deepcopy(model).requires_grad_(False)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, model: Classifier, labeled: Labeled, unlabeled: Unlabeled | None, progress: float) -> StepOutput:
        assert unlabeled is not None
        settings, on = self.settings, self.settings.consistency_on
        if (step := int(self.steps)) > 0:  # the step before has changed the student
            follow(self.teacher, model, teacher_momentum(step, progress, settings))
        self.steps += 1
        first, second = two_evaluations(labeled, unlabeled, on, settings.strong_weight)
        labeled_weak, labeled_strong, weak = forward_views(model, first, settings.passes)
        # train mode: its dropout and batch statistics are noise that the student is to see through
        labeled_target, target = forward_views(self.teacher, second, settings.passes, without_gradient=(0, 1))
        assert labeled_weak is not None
        difference = squared_difference(
            compared(labeled_weak, weak, on), compared(labeled_target, target, on), settings.averaged_over
        )
        supervised = supervised_loss(
            labeled_weak, labeled_strong, labeled.target, labeled.weight, settings.strong_weight
        )
        weight = settings.unlabeled_weight * ramp_up(progress, settings.ramp_end)
        return StepOutput(
            {"supervised": supervised, "unlabeled": weight * difference},
            {"labeled_accuracy": accuracy(labeled_weak, labeled.target), "difference": difference.detach()},
        )
