"""DST's worst-case loss against a loop over images, and its reversed gradient."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks.methods.dst import ReversedGradient, reversal_coefficient, worst_case_loss
from tests.benchmarks.conftest import logits


def test_worst_case_loss_equals_a_loop_over_images() -> None:
    labeled, unlabeled = logits(0, 6), logits(1, 9)
    label, pseudo_label = logits(2, 6).argmax(1), logits(3, 9).argmax(1)
    right = -sum(row.log_softmax(0)[c].item() for row, c in zip(labeled, label, strict=True)) / 6
    wrong = (
        -sum(math.log(1 - row.softmax(0)[c].item() + 1e-6) for row, c in zip(unlabeled, pseudo_label, strict=True)) / 9
    )
    assert worst_case_loss(labeled, unlabeled, label, pseudo_label, 2.0).item() == pytest.approx(2 * right + wrong)


def test_the_gradient_is_reversed_by_a_coefficient_that_grows_to_a_tenth() -> None:
    features = torch.ones(3, requires_grad=True)
    ReversedGradient.apply(features, 0.25).sum().backward()
    assert features.grad is not None and features.grad.tolist() == [-0.25] * 3
    assert reversal_coefficient(0) == 0
    assert reversal_coefficient(1000) == pytest.approx(0.1 * math.tanh(0.5))
    assert reversal_coefficient(1e6) == pytest.approx(0.1)
