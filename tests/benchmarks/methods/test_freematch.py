"""FreeMatch's thresholds and fairness against values by hand, and a step against both."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks.methods.fixmatch import masked_pseudo_label_loss
from benchmarks.methods.freematch import FreeMatch, FreeMatchSettings, fairness_loss, self_adaptive_thresholds
from tests.benchmarks.conftest import NUM_CLASSES, confident_step, logits


def test_self_adaptive_thresholds_scale_with_the_expected_share_of_a_class() -> None:
    found = self_adaptive_thresholds(torch.tensor(0.8), torch.tensor([0.5, 0.25, 0.25]))
    assert found.tolist() == pytest.approx([0.8, 0.4, 0.4])


def test_fairness_loss_equals_sums_by_hand_and_is_zero_without_images() -> None:
    strong = logits(0, 6)
    mask = torch.tensor([True, True, False, True, True, True])
    expectation = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
    histogram = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    kept = [row.softmax(0) for row, m in zip(strong, mask, strict=True) if m]
    mean = [sum(row[c].item() for row in kept) / 5 for c in range(4)]
    share = [sum(row.argmax().item() == c for row in kept) / 5 for c in range(4)]
    a = [expectation[c].item() / histogram[c].item() for c in range(4)]
    b = [mean[c] / share[c] if share[c] else 0.0 for c in range(4)]
    expected = sum(a[c] / sum(a) * math.log(b[c] / sum(b) + 1e-12) for c in range(4))
    assert fairness_loss(strong, mask, expectation, histogram).item() == pytest.approx(expected, rel=1e-6)
    assert fairness_loss(strong, torch.zeros(6, dtype=torch.bool), expectation, histogram).item() == 0


def test_a_freematch_step_is_its_equations_on_the_logits_of_its_passes() -> None:
    settings = FreeMatchSettings(decay=0.6, unlabeled_weight=2.0, fairness_weight=0.5, passes="separate")
    output, (_, weak, strong) = confident_step(settings)
    confidence, pseudo_label = weak.softmax(1).max(1)
    # all averages start at 1/4, and this step's predictions count in it
    overall = 0.6 / 4 + 0.4 * confidence.mean()
    expectation = 0.6 / 4 + 0.4 * weak.softmax(1).mean(0)
    histogram = 0.6 / 4 + 0.4 * torch.bincount(pseudo_label, minlength=NUM_CLASSES) / 12
    mask = confidence > self_adaptive_thresholds(overall, expectation)[pseudo_label]
    assert 0 < mask.sum() < 12
    unlabeled = 2 * masked_pseudo_label_loss(strong, pseudo_label, mask)
    assert output.losses["unlabeled"].item() == pytest.approx(unlabeled.item(), rel=1e-6)
    fairness = 0.5 * fairness_loss(strong, mask, expectation, histogram)
    assert output.losses["fairness"].item() == pytest.approx(fairness.item(), rel=1e-5)
    assert output.report["confident_share"].item() == pytest.approx(mask.sum().item() / 12)


def test_freematch_warns_where_most_classes_have_no_image_in_a_batch() -> None:
    (line,) = FreeMatch(FreeMatchSettings()).caveats(196, 32)
    assert "196 classes and train.unlabeled_batch_size=32" in line and "fairness_weight=0" in line
    assert FreeMatch(FreeMatchSettings()).caveats(32, 32) == []
    assert FreeMatch(FreeMatchSettings(fairness_weight=0.0)).caveats(196, 32) == []
