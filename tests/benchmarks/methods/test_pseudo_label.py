"""Pseudo Label's ramp, the views that it passes, and when it is ERM."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmarks.methods.fixmatch import pseudo_label_loss
from benchmarks.methods.pseudo_label import PseudoLabelSettings, ramp
from tests.benchmarks.conftest import (
    MakeClassifier,
    assert_erms_gradients,
    confident_step,
    random_labeled,
    random_unlabeled,
    ready,
)


def test_the_ramp_is_zero_then_linear_then_one() -> None:
    assert [ramp(t, 0.1, 0.6) for t in (0.0, 0.05, 0.1, 0.35, 0.6, 0.9)] == pytest.approx([0, 0, 0, 0.5, 1, 1])
    assert ramp(0.0, 0.0, 0.0) == 1.0


def test_pseudo_label_teaches_the_view_that_it_was_read_from(make_classifier: MakeClassifier) -> None:
    model = make_classifier()
    seen: list[tuple[Tensor, bool]] = []
    model.register_forward_pre_hook(lambda module, inputs: seen.append((inputs[0], torch.is_grad_enabled())))
    labeled, unlabeled = random_labeled(0), random_unlabeled(0)
    settings = PseudoLabelSettings(threshold=0.0, ramp_end=0.1, strong_weight=0.1, passes="separate")
    ready(settings, model)(model, labeled, unlabeled, 0.5)
    expected = [(labeled.weak, True), (labeled.strong, True), (unlabeled.weak, True)]
    assert all(a is b and x == y for (a, x), (b, y) in zip(seen, expected, strict=True))


def test_with_nothing_confident_pseudo_label_is_erm() -> None:
    settings = PseudoLabelSettings(threshold=1.0, strict=True, strong_weight=0.1, passes="separate")
    assert_erms_gradients(settings)


def test_a_pseudo_label_step_is_its_equation_on_the_logits_of_its_passes() -> None:
    settings = PseudoLabelSettings(threshold=0.5, unlabeled_weight=3.0, passes="separate")
    output, (_, weak) = confident_step(settings, progress=0.35)
    expected = 3 * 0.5 * pseudo_label_loss(weak, weak, 0.5)  # the ramp is half of its way
    assert output.losses["unlabeled"].item() == pytest.approx(expected.item(), rel=1e-6) and expected > 0
    sure = sum(row.softmax(0).max().item() >= 0.5 for row in weak)
    assert output.report["confident_share"].item() == pytest.approx(sure / 12) and 0 < sure < 12
