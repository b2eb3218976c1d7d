"""SoftMatch's weights and alignment against values by hand."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks.methods.softmatch import truncated_gaussian, uniformly_aligned


def test_soft_weights_are_one_from_the_mean_on_and_fall_as_a_gaussian_below() -> None:
    mean, variance = torch.tensor(0.6), torch.tensor(0.04)
    weight = truncated_gaussian(torch.tensor([0.9, 0.6, 0.5, 0.2]), mean, variance, 2.0)
    expected = [1.0, 1.0, math.exp(-(0.1**2) / (2 * 0.04 / 4)), math.exp(-(0.4**2) / (2 * 0.04 / 4))]
    assert weight.tolist() == pytest.approx(expected, rel=1e-5)


def test_alignment_raises_classes_that_are_seldom_predicted() -> None:
    probabilities = torch.tensor([[0.6, 0.4], [0.6, 0.4]])
    assert torch.allclose(uniformly_aligned(probabilities, torch.tensor([0.6, 0.4])), torch.full((2, 2), 0.5))
    assert torch.allclose(uniformly_aligned(probabilities, torch.tensor([0.5, 0.5])), probabilities)
