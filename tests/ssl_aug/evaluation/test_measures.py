"""Measures against closed forms and slow, obvious versions."""

import pytest
import torch

from ssl_aug.evaluation.measures import (
    frechet_distance,
    inception_score,
    kernel_distance,
    mean_pairwise_distance,
    near_copy_rate,
    precision_recall,
)


def features(num: int, seed: int, mean: float = 0.0, std: float = 1.0, width: int = 4) -> torch.Tensor:
    return mean + std * torch.randn(num, width, generator=torch.Generator().manual_seed(seed))


def test_frechet_distance_of_gaussians_is_the_closed_form() -> None:
    one, other = features(4000, 0), features(4000, 1, mean=2.0, std=3.0)
    # |mu - mu'|^2 + sum over the axes of (sigma - sigma')^2
    assert frechet_distance(one, other) == pytest.approx(4 * 2.0**2 + 4 * (3.0 - 1.0) ** 2, rel=0.05)
    assert frechet_distance(one, one) == pytest.approx(0.0, abs=1e-5)


def test_kernel_distance_is_the_unbiased_mmd_of_the_cubic_kernel() -> None:
    x, y = features(6, 0).double(), features(6, 1, mean=1.0).double()

    def kernel(a: torch.Tensor, b: torch.Tensor) -> float:
        return float((a @ b / 4 + 1) ** 3)

    within = sum(kernel(s[i], s[j]) for s in (x, y) for i in range(6) for j in range(6) if i != j) / 30
    between = sum(kernel(a, b) for a in x for b in y) / 36
    mean, std = kernel_distance(x, y)  # the only subset of six images is all of them
    assert mean == pytest.approx(within - 2 * between, rel=1e-6)
    assert std == pytest.approx(0.0, abs=1e-9)


def test_inception_score_is_one_for_a_constant_answer_and_the_number_of_classes_for_sure_ones() -> None:
    assert inception_score(torch.zeros(6, 3)) == pytest.approx(1.0)
    assert inception_score(1000 * torch.eye(3).repeat(4, 1)) == pytest.approx(3.0)


def test_precision_falls_with_strange_images_and_recall_with_missing_ones() -> None:
    left, right, far = features(40, 0), features(40, 1, mean=50.0), features(40, 2, mean=-500.0)
    precision, recall = precision_recall(torch.cat([left, right]), torch.cat([left, far]))
    assert precision == pytest.approx(0.5)
    assert recall == pytest.approx(0.5)
    with pytest.raises(ValueError, match="need 4 images"):
        precision_recall(left[:3], right)


def test_copies_of_training_images_are_near_copies_and_other_images_are_not() -> None:
    train, others = features(200, 0, width=16), features(200, 1, width=16)
    drawn = torch.cat([train[:50] * 1.001, others[:150]])
    assert near_copy_rate(train, train[:10]) == 1.0
    assert near_copy_rate(train, drawn) == pytest.approx(0.25, abs=0.03)


def test_pairwise_distance_looks_only_within_a_group() -> None:
    same, crosswise = torch.tensor([[1.0, 0.0], [2.0, 0.0]]), torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    both = torch.cat([same, crosswise])
    assert mean_pairwise_distance(both, torch.tensor([0, 0, 1, 1])) == pytest.approx(0.5)
    assert mean_pairwise_distance(both, torch.tensor([0, 0, 1, 2])) == pytest.approx(0.0)
    with pytest.raises(ValueError, match="per_sample of 2"):
        mean_pairwise_distance(both, torch.arange(4))
