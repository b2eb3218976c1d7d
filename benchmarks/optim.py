"""The benchmark's optimiser and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from benchmarks.methods.base import Classifier
from benchmarks.settings import TrainSettings


def learning_rate(schedule: str, lr0: float, step: int, steps: int, gamma: float) -> float:
    """Learning rate of optimiser step `step` (from 0) of `steps`.

    exp: lr0 (1 + gamma t)^-0.75. cosine: lr0 cos(7 pi t / 16 T), FixMatch's, which ends near 0.195 lr0.
    """
    if schedule == "exp":
        return lr0 * (1 + gamma * step) ** -0.75
    if schedule == "cosine":
        return lr0 * math.cos(7 * math.pi * step / (16 * steps))
    assert schedule == "constant"
    return lr0


def build_optimizer(model: Classifier, method: nn.Module, settings: TrainSettings) -> torch.optim.SGD:
    """SGD with Nesterov momentum; weight decay on every parameter, BatchNorm and biases included.

    The pretrained backbone learns more slowly, by `settings.backbone_lr_factor`; a method's own parameters
    learn like the new layers.
    """
    new_layers = [*model.bottleneck.parameters(), *model.head.parameters(), *method.parameters()]
    groups = [
        {"params": _trained(model.backbone.parameters()), "factor": settings.backbone_lr_factor},
        {"params": _trained(new_layers), "factor": 1.0},
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
