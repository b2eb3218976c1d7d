"""UDA's consistency against a loop over images, its annealing, and what it becomes at the edges."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks.methods.fixmatch import pseudo_label_loss
from benchmarks.methods.uda import UDASettings, annealing_threshold, consistency_loss, not_yet_known
from tests.benchmarks.conftest import assert_erms_gradients, confident_step, logits, random_labeled


@pytest.mark.parametrize("temperature_on", ["target", "student"])
@pytest.mark.parametrize("mean_over", ["all", "kept"])
def test_consistency_loss_equals_a_loop_over_images(temperature_on: str, mean_over: str) -> None:
    strong, weak = logits(0), logits(1)
    total, kept = 0.0, 0
    for s, w in zip(strong, weak, strict=True):
        if w.softmax(0).max() > 0.7:
            kept += 1
            target = (w / 0.4 if temperature_on == "target" else w).softmax(0)
            student = (s / 0.4 if temperature_on == "student" else s).softmax(0)
            total += sum(p.item() * math.log(p.item() / q.item()) for p, q in zip(target, student, strict=True))
    assert 0 < kept < 40
    loss = consistency_loss(strong, weak, 0.7, 0.4, temperature_on, mean_over, strict=True)
    assert loss.item() == pytest.approx(total / (kept if mean_over == "kept" else 40), rel=1e-9)


def test_uda_with_vanishing_temperature_is_fixmatch() -> None:
    strong, weak = logits(0), logits(1)
    loss = consistency_loss(strong, weak, 0.6, 1e-6)
    assert loss.item() == pytest.approx(pseudo_label_loss(strong, weak, 0.6).item(), rel=1e-9)


def test_with_nothing_confident_uda_has_no_unlabeled_loss() -> None:
    assert consistency_loss(logits(0), logits(1), 1.0, 0.4, mean_over="kept", strict=True).item() == 0


def test_annealing_lets_the_labeled_signal_in_from_one_over_k_to_one() -> None:
    for schedule in ("linear", "log", "exp"):
        values = [annealing_threshold(schedule, t, 10) for t in (0.0, 0.3, 0.6, 0.999)]
        assert values == sorted(values)
        assert values[0] == pytest.approx(0.1 + (math.exp(-5) * 0.9 if schedule == "exp" else 0))
        assert values[-1] == pytest.approx(1.0, abs=0.01)
    assert annealing_threshold("none", 0.0, 10) == 1.0
    known = not_yet_known(torch.tensor([[5.0, 0.0], [0.0, 5.0]]), torch.tensor([0, 0]), 0.5)
    assert known.tolist() == [0.0, 1.0]


def test_without_annealing_and_confidence_uda_is_erm() -> None:
    uda = UDASettings(threshold=1.0, strict=True, annealing="none", strong_weight=0.1, passes="separate")
    assert_erms_gradients(uda)


def test_a_uda_step_is_its_equation_on_the_logits_of_its_passes() -> None:
    labeled = random_labeled(0)
    settings = UDASettings(
        threshold=0.5, temperature_on="student", mean_over="kept", unlabeled_weight=2.0, passes="separate"
    )
    output, (labeled_weak, weak, strong) = confident_step(settings)
    expected = 2 * consistency_loss(strong, weak, 0.5, 0.4, "student", "kept", strict=True)
    assert output.losses["unlabeled"].item() == pytest.approx(expected.item(), rel=1e-6) and expected > 0
    sure = sum(row.softmax(0).max().item() > 0.5 for row in weak)
    assert output.report["confident_share"].item() == pytest.approx(sure / 12) and 0 < sure < 12
    # annealing at the start: the mean is over the images whose class is not likelier than chance
    likely = [row.softmax(0)[c].item() for row, c in zip(labeled_weak, labeled.target, strict=True)]
    left = [-math.log(p) for p in likely if p <= 1 / 4]
    assert output.losses["supervised"].item() == pytest.approx(sum(left) / len(left), rel=1e-5) and len(left) < 8
