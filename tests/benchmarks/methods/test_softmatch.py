"""SoftMatch's weights and alignment against values by hand, and its averages against Algorithm 1 in plain Python."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks.methods.softmatch import SoftMatch, SoftMatchSettings, truncated_gaussian, uniformly_aligned
from tests.benchmarks.conftest import build_classifier, logits, ready


def test_soft_weights_are_one_from_the_mean_on_and_fall_as_a_gaussian_below() -> None:
    mean, variance = torch.tensor(0.6), torch.tensor(0.04)
    weight = truncated_gaussian(torch.tensor([0.9, 0.6, 0.5, 0.2]), mean, variance, 2.0)
    expected = [1.0, 1.0, math.exp(-(0.1**2) / (2 * 0.04 / 4)), math.exp(-(0.4**2) / (2 * 0.04 / 4))]
    assert weight.tolist() == pytest.approx(expected, rel=1e-5)


def test_alignment_raises_classes_that_are_seldom_predicted() -> None:
    probabilities = torch.tensor([[0.6, 0.4], [0.6, 0.4]])
    assert torch.allclose(uniformly_aligned(probabilities, torch.tensor([0.6, 0.4])), torch.full((2, 2), 0.5))
    assert torch.allclose(uniformly_aligned(probabilities, torch.tensor([0.5, 0.5])), probabilities)


def weights_by_hand(batches: list[list[list[float]]], decay: float, order: str) -> list[list[float]]:
    """The paper's Algorithm 1, lines 4 to 8, number by number (order: paper), or USB's, which aligns first."""
    classes = len(batches[0][0])
    mu, variance = 1 / classes, 1.0
    average = [1 / classes] * classes if order == "paper" else None
    found = []
    for batch in batches:
        seen = [sum(p[c] for p in batch) / len(batch) for c in range(classes)]
        average = [decay * a + (1 - decay) * b for a, b in zip(average or seen, seen, strict=True)]
        aligned = []
        for p in batch:
            scaled = [p[c] * (1 / classes) / average[c] for c in range(classes)]
            aligned.append([each / sum(scaled) for each in scaled])
        confidence = [max(p) for p in (batch if order == "paper" else aligned)]
        mean = sum(confidence) / len(confidence)
        mu = decay * mu + (1 - decay) * mean
        spread = sum((each - mean) ** 2 for each in confidence) / (len(confidence) - 1)
        variance = decay * variance + (1 - decay) * spread
        found.append([
            math.exp(-((max(p) - mu) ** 2) / (2 * variance / 2**2)) if max(p) < mu else 1.0 for p in aligned
        ])  # fmt: skip
    return found


@pytest.mark.parametrize("order", ["paper", "usb"])
def test_weights_of_twenty_steps_are_those_of_algorithm_1_or_of_usbs_order(order: str) -> None:
    batches = [(logits(seed, 16) + torch.tensor([1.5, 0.0, 0.0, -1.0])).softmax(1) for seed in range(20)]
    usbs = SoftMatchSettings(decay=0.9, statistics_of="aligned", average_start="first_batch")
    method = ready(SoftMatchSettings(decay=0.9) if order == "paper" else usbs, build_classifier())
    assert isinstance(method, SoftMatch)
    method.double()
    expected = weights_by_hand([batch.tolist() for batch in batches], 0.9, order)
    other = weights_by_hand([batch.tolist() for batch in batches], 0.9, "usb" if order == "paper" else "paper")
    for batch, by_hand in zip(batches, expected, strict=True):
        assert method.weigh(batch).tolist() == pytest.approx(by_hand, abs=1e-6)
    assert max(abs(a - b) for x, y in zip(expected, other, strict=True) for a, b in zip(x, y, strict=True)) > 0.05


def test_a_single_image_moves_the_mean_and_leaves_the_variance() -> None:
    method = ready(SoftMatchSettings(decay=0.5), build_classifier())
    assert isinstance(method, SoftMatch)
    weight = method.weigh(torch.tensor([[0.7, 0.1, 0.1, 0.1]]))
    assert torch.isfinite(weight).all()
    assert (method.mean.item(), method.variance.item()) == pytest.approx((0.5 / 4 + 0.5 * 0.7, 1.0))
