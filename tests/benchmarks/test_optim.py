"""Schedules at known steps, and which weights learn how fast."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from benchmarks.methods.base import Classifier
from benchmarks.methods.erm import ERM, ERMSettings
from benchmarks.optim import build_optimizer, learning_rate, set_learning_rate
from benchmarks.settings import TrainSettings


def test_schedules_have_the_benchmarks_end_points() -> None:
    for step in (0, 77, 999):
        assert learning_rate("constant", 0.03, step, 1000, 4e-4) == 0.03
    assert learning_rate("exp", 0.03, 0, 10000, 4e-4) == 0.03
    assert learning_rate("exp", 1.0, 10000, 10000, 4e-4) == pytest.approx(0.299, abs=5e-4)  # ERM, 10k steps
    assert learning_rate("exp", 1.0, 30000, 30000, 4e-4) == pytest.approx(0.146, abs=5e-4)  # FixMatch, 30k steps
    assert learning_rate("cosine", 0.5, 0, 100, 0.0) == 0.5
    assert learning_rate("cosine", 1.0, 100, 100, 0.0) == pytest.approx(0.195, abs=5e-4)
    assert learning_rate("cosine", 1.0, 50, 100, 0.0) == pytest.approx(math.cos(7 * math.pi / 32))


def test_the_backbone_learns_more_slowly_and_everything_decays(make_classifier: Callable[..., Classifier]) -> None:
    model = make_classifier()
    settings = TrainSettings(backbone_lr_factor=0.1, weight_decay=5e-4, momentum=0.9)
    optimizer = build_optimizer(model, ERM(ERMSettings()), settings)
    set_learning_rate(optimizer, 0.02)
    slow, fast = optimizer.param_groups
    assert slow["lr"] == pytest.approx(0.002) and fast["lr"] == 0.02
    assert {id(p) for p in slow["params"]} == {id(p) for p in model.backbone.parameters()}
    assert len(slow["params"]) + len(fast["params"]) == len(list(model.parameters()))
    for group in optimizer.param_groups:
        assert group["nesterov"] and group["momentum"] == 0.9 and group["weight_decay"] == 5e-4


def test_a_step_is_nesterovs(make_classifier: Callable[..., Classifier]) -> None:
    model = make_classifier()
    optimizer = build_optimizer(model, ERM(ERMSettings()), TrainSettings(weight_decay=0.0, momentum=0.9))
    set_learning_rate(optimizer, 0.5)
    before = model.head.bias.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    torch.testing.assert_close(model.head.bias.detach(), before - 0.5 * (1 + 0.9))  # g + momentum * g


def test_without_momentum_it_is_plain_gradient_descent(make_classifier: Callable[..., Classifier]) -> None:
    optimizer = build_optimizer(make_classifier(), ERM(ERMSettings()), TrainSettings(momentum=0.0))
    assert not optimizer.param_groups[0]["nesterov"]
