"""Measures against closed forms and slow, obvious versions."""

import pytest
import torch

from ssl_aug.evaluation.measures import (
    Moments,
    MomentSums,
    PairDistances,
    ScoreSums,
    copy_limit,
    frechet_distance,
    kernel_distance,
    near_copy_rate,
    precision_recall,
    share_interval,
)


def features(num: int, seed: int, mean: float = 0.0, std: float = 1.0, width: int = 4) -> torch.Tensor:
    return mean + std * torch.randn(num, width, generator=torch.Generator().manual_seed(seed))


def moments(rows: torch.Tensor, batch_size: int = 7) -> Moments:
    sums = MomentSums(rows.shape[1])
    for batch in rows.split(batch_size):
        sums.add(batch)
    return sums.moments()


def test_moments_of_batches_are_those_of_all_images() -> None:
    rows = features(50, 0, mean=1000.0)
    found = moments(rows)
    assert found.count == 50
    torch.testing.assert_close(found.mean, rows.double().mean(dim=0))
    torch.testing.assert_close(found.covariance, torch.cov(rows.double().T))


def test_frechet_distance_of_gaussians_is_the_closed_form() -> None:
    one, other = features(4000, 0), features(4000, 1, mean=2.0, std=3.0)
    # |mu - mu'|^2 + sum over the axes of (sigma - sigma')^2
    distance = frechet_distance(moments(one, 1000), moments(other, 1000))
    assert distance == pytest.approx(4 * 2.0**2 + 4 * (3.0 - 1.0) ** 2, rel=0.05)
    assert frechet_distance(moments(one), moments(one)) == pytest.approx(0.0, abs=1e-9)


def test_kernel_distance_is_the_unbiased_mmd_of_the_cubic_kernel() -> None:
    x, y = features(21, 0).double(), features(33, 1, mean=1.0).double()

    def kernel(a: torch.Tensor, b: torch.Tensor) -> float:
        return float((a @ b / 4 + 1) ** 3)

    within = sum(
        kernel(one[i], one[j]) / (len(one) * (len(one) - 1))
        for one in (x, y)
        for i in range(len(one))
        for j in range(len(one))
        if i != j
    )
    between = sum(kernel(a, b) for a in x for b in y) / (21 * 33)
    assert kernel_distance(x, y)[0] == pytest.approx(within - 2 * between, rel=1e-9)
    with pytest.raises(ValueError, match="20 images"):
        kernel_distance(x[:19], y)


def test_the_standard_error_of_the_kernel_distance_is_its_spread_over_new_images() -> None:
    found = [kernel_distance(features(60, 2 * seed), features(60, 2 * seed + 1, mean=0.5)) for seed in range(60)]
    estimates, errors = (torch.tensor(column) for column in zip(*found, strict=True))
    assert float(errors.mean() / estimates.std()) == pytest.approx(1.0, abs=0.25)


def test_inception_score_is_one_for_a_constant_answer_and_the_number_of_classes_for_sure_ones() -> None:
    for logits, score in ((torch.zeros(12, 3), 1.0), (1000 * torch.eye(3).repeat(4, 1), 3.0)):
        sums = ScoreSums(2, 3)
        for rows in (slice(0, 5), slice(5, 12)):
            sums.add(logits[rows], torch.tensor([0] * 6 + [1] * 6)[rows])
        assert sums.score() == pytest.approx((score, 0.0))


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
    assert copy_limit(train, torch.arange(200)) == copy_limit(train)


def test_pairwise_distance_looks_only_within_a_group_also_across_batches() -> None:
    def mean(rows: torch.Tensor, groups: list[int], batch_size: int) -> float | None:
        distances = PairDistances(rows.shape[1])
        for batch, of in zip(rows.split(batch_size), torch.tensor(groups).split(batch_size), strict=True):
            distances.add(batch, of)
        return distances.mean()

    both = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    for batch_size in (1, 3, 4):
        assert mean(both, [0, 0, 1, 1], batch_size) == pytest.approx(0.5)
        assert mean(both, [0, 0, 1, 2], batch_size) == pytest.approx(0.0)
        assert mean(both, [0, 1, 2, 3], batch_size) is None


def test_the_interval_of_a_share_is_wide_for_few_images_and_stays_within_0_and_1() -> None:
    assert share_interval(16, 64) == pytest.approx((0.160, 0.368), abs=0.001)  # R: binom.confint(16, 64, "wilson")
    low, high = share_interval(0, 5)
    assert low == 0.0 and 0.4 < high < 0.5
