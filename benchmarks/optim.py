"""The benchmark's optimizer and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from benchmarks.methods.base import Classifier, Method
from benchmarks.settings import TrainSettings

MILESTONES = (0.2, 0.4, 0.6, 0.8)  # shares of the training


def learning_rate(schedule: str, lr0: float, step: int, steps: int, gamma: float) -> float:
    """Learning rate of optimizer step `step` (from 0) of `steps`.

    exp: lr0 (1 + gamma t)^-0.75. cosine: lr0 cos(7 pi t / 16 T), FixMatch's, which ends near 0.195 lr0.
    multistep: a tenth at each of MILESTONES, Self-Tuning's in the benchmark (epochs 12, 24, 36, 48 of 60).
    """
    if schedule == "exp":
        return lr0 * (1 + gamma * step) ** -0.75
    if schedule == "multistep":
        return lr0 * 0.1 ** sum(step >= share * steps for share in MILESTONES)
    if schedule == "cosine":
        return lr0 * math.cos(7 * math.pi * step / (16 * steps))
    assert schedule == "constant"
    return lr0


def build_optimizer(model: Classifier, method: Method, settings: TrainSettings) -> torch.optim.SGD:
    """SGD with Nesterov momentum; weight decay on every parameter, BatchNorm and biases included.

    The pretrained backbone learns more slowly, by `settings.backbone_lr_factor`; a method's own parameters
    learn like the new layers, unless it says otherwise.
    """
    slow, fast = [*model.backbone.parameters()], [*model.bottleneck.parameters(), *model.head.parameters()]
    (slow if method.learns_like_backbone else fast).extend(method.parameters())
    groups = [
        {"params": _trained(slow), "factor": settings.backbone_lr_factor},
        {"params": _trained(fast), "factor": 1.0},
    ]
    return torch.optim.SGD(
        groups,
        lr=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=settings.momentum > 0,
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    """`value` for the new layers, `value` times its factor for every other group."""
    for group in optimizer.param_groups:
        group["lr"] = value * group["factor"]


def _trained(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    return [parameter for parameter in parameters if parameter.requires_grad]
