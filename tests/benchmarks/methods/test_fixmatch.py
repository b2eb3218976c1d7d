"""FixMatch's loss against a loop over images, and FixMatch with nothing confident against ERM."""

from __future__ import annotations

import pytest
import torch

from benchmarks.methods.erm import supervised_loss
from benchmarks.methods.fixmatch import FixMatchSettings, masked_pseudo_label_loss, pseudo_label_loss
from tests.benchmarks.conftest import NUM_CLASSES, assert_erms_gradients, confident_step, logits, random_labeled


@pytest.mark.parametrize("strict", [False, True])
def test_pseudo_label_loss_equals_a_loop_over_images(strict: bool) -> None:
    torch.manual_seed(0)
    logits_strong, logits_weak = 3 * torch.randn(2, 40, NUM_CLASSES, dtype=torch.float64)
    logits_weak[7] = 0.0
    logits_weak[8] = torch.tensor([1.0, 1.0, 0.0, 0.0]).log().clamp(min=-1e4)  # confidence 1/2 exactly
    total, kept = 0.0, 0
    for strong, weak in zip(logits_strong, logits_weak, strict=True):
        confidence = weak.softmax(0).max().item()
        if confidence > 0.5 or (confidence == 0.5 and not strict):
            kept += 1
            total -= strong.log_softmax(0)[weak.argmax()].item()
    assert 0 < kept < 40
    loss = pseudo_label_loss(logits_strong, logits_weak, 0.5, strict)
    assert loss.item() == pytest.approx(total / 40, rel=1e-12)


def test_strict_decides_exactly_at_the_threshold() -> None:
    even = torch.zeros(1, 4)
    assert pseudo_label_loss(torch.randn(1, 4), even, 0.25).item() > 0
    assert pseudo_label_loss(torch.randn(1, 4), even, 0.25, strict=True).item() == 0


def test_no_gradient_reaches_the_weak_logits() -> None:
    weak, strong = torch.randn(2, 6, 4).unbind()
    weak.requires_grad_()
    strong.requires_grad_()
    pseudo_label_loss(strong, weak, 0.0).backward()
    assert weak.grad is None
    assert strong.grad is not None and strong.grad.abs().sum() > 0


def test_masked_loss_with_soft_weights_is_a_weighted_mean_over_all_images() -> None:
    strong, label, weight = logits(0, 3), torch.tensor([0, 1, 2]), torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64)
    expected = -(strong[0].log_softmax(0)[0] + 0.5 * strong[1].log_softmax(0)[1]) / 3
    assert masked_pseudo_label_loss(strong, label, weight).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("passes", ["joint", "separate"])
def test_fixmatch_with_nothing_confident_equals_erm(passes: str) -> None:
    fixmatch = FixMatchSettings(threshold=1.0, strict=True, strong_weight=0.1, passes=passes)
    assert_erms_gradients(fixmatch)


def test_a_fixmatch_step_is_its_equation_on_the_logits_of_its_passes() -> None:
    labeled = random_labeled(0)
    settings = FixMatchSettings(threshold=0.5, unlabeled_weight=2.0, strong_weight=0.1, passes="separate")
    output, (labeled_weak, labeled_strong, weak, strong) = confident_step(settings)
    supervised = supervised_loss(labeled_weak, labeled_strong, labeled.target, labeled.weight, 0.1)
    assert output.losses["supervised"].item() == pytest.approx(supervised.item(), rel=1e-6)
    expected = 2 * pseudo_label_loss(strong, weak, 0.5)
    assert output.losses["unlabeled"].item() == pytest.approx(expected.item(), rel=1e-6) and expected > 0
    right = sum(row.argmax().item() == c.item() for row, c in zip(labeled_weak, labeled.target, strict=True))
    sure = sum(row.softmax(0).max().item() >= 0.5 for row in weak)
    assert output.report["labeled_accuracy"].item() == pytest.approx(right / 8) and 0 < right < 8
    assert output.report["confident_share"].item() == pytest.approx(sure / 12) and 0 < sure < 12
