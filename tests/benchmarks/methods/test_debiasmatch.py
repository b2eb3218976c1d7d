"""DebiasMatch's loss against a loop over images, its moving average, and when it is FixMatch or ERM."""

from __future__ import annotations

import copy

import pytest
import torch

from benchmarks.methods.debiasmatch import DebiasMatch, DebiasMatchSettings, debiased_loss, moving_average
from benchmarks.methods.fixmatch import pseudo_label_loss
from tests.benchmarks.conftest import (
    NUM_CLASSES,
    MakeClassifier,
    assert_erms_gradients,
    confident_step,
    logits,
    random_labeled,
    random_unlabeled,
    ready,
)


def test_debiased_loss_equals_a_loop_over_images() -> None:
    strong, weak = logits(0), logits(1)
    average = torch.tensor([0.7, 0.1, 0.15, 0.05], dtype=torch.float64)
    total, kept = 0.0, 0
    for s, w in zip(strong, weak, strict=True):
        p = (w - 0.8 * average.log()).softmax(0)
        if p.max() >= 0.7:
            kept += 1
            total -= (s + 0.8 * average.log()).log_softmax(0)[p.argmax()].item()
    assert 0 < kept < 40
    assert debiased_loss(strong, weak, average, 0.8, 0.7).item() == pytest.approx(total / 40, rel=1e-9)


def test_with_equal_classes_debiasmatch_is_fixmatch() -> None:
    strong, weak = logits(0), logits(1)
    even = torch.full((NUM_CLASSES,), 1 / NUM_CLASSES, dtype=torch.float64)
    assert debiased_loss(strong, weak, even, 1.0, 0.7).item() == pytest.approx(
        pseudo_label_loss(strong, weak, 0.7).item(), rel=1e-9
    )


def test_the_moving_average_starts_anew_where_the_benchmarks_does(make_classifier: MakeClassifier) -> None:
    model = make_classifier()
    model.head.bias.data.copy_(torch.tensor([4.0, 0.0, 0.0, 0.0]))
    averages = {}
    for reset in (0, 2):
        method = ready(DebiasMatchSettings(decay=0.5, reset_steps=reset), copy.deepcopy(model))
        assert isinstance(method, DebiasMatch)
        for step in range(3):
            method(copy.deepcopy(model), random_labeled(0), random_unlabeled(step), 0.0)
        averages[reset] = method.average
    assert averages[0][0] > averages[2][0] > 1 / NUM_CLASSES
    even = torch.full((NUM_CLASSES,), 0.25, dtype=torch.float64)
    assert torch.allclose(moving_average(even, logits(0), 0.9), 0.9 * even + 0.1 * logits(0).softmax(1).mean(0))


def test_with_nothing_confident_debiasmatch_is_erm() -> None:
    settings = DebiasMatchSettings(threshold=1.0, strict=True, strong_weight=0.1, passes="separate")
    assert_erms_gradients(settings)


def test_a_debiasmatch_step_is_its_equation_on_the_logits_of_its_passes() -> None:
    settings = DebiasMatchSettings(threshold=0.5, debias=0.8, decay=0.6, unlabeled_weight=2.0, passes="separate")
    output, (_, weak, strong) = confident_step(settings)
    average = 0.6 * torch.full((NUM_CLASSES,), 1 / NUM_CLASSES) + 0.4 * weak.softmax(1).mean(0)  # this step's, too
    expected = 2 * debiased_loss(strong, weak, average, 0.8, 0.5)
    assert output.losses["unlabeled"].item() == pytest.approx(expected.item(), rel=1e-5) and expected > 0
    sure = sum((row - 0.8 * average.log()).softmax(0).max().item() >= 0.5 for row in weak)
    assert output.report["confident_share"].item() == pytest.approx(sure / 12) and 0 < sure < 12
