"""What the image-text model's losses ask of an embedding."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from ssl_aug.pretrain.clip import (
    LARGEST_MASK_RATE,
    NAMING_SCALE,
    contrastive_loss,
    masked_half,
    naming_loss,
    reversed_gradient,
    shape_loss,
    view_covariance,
)
from ssl_aug.runtime import derived_seed


def test_the_reversed_gradient_is_the_identity_forwards_and_turns_the_gradient_round() -> None:
    values = torch.tensor([1.0, -2.0], requires_grad=True)
    passed = reversed_gradient(values, 3.0)
    assert torch.equal(passed, values)
    passed.square().sum().backward()
    assert torch.equal(values.grad, -3.0 * 2 * values.detach())


def test_an_embedding_that_shows_the_view_covaries_with_it() -> None:
    azimuth = torch.arange(360) * (2 * math.pi / 360)
    assert view_covariance(torch.stack([azimuth.cos() + 5, azimuth.sin()], 1), azimuth) == pytest.approx(0.5, abs=1e-5)
    assert view_covariance((2 * azimuth).sin()[:, None], azimuth) == pytest.approx(0.25, abs=1e-5)
    # the third harmonic and what does not depend on the view are left alone
    assert view_covariance((3 * azimuth).cos()[:, None], azimuth) == pytest.approx(0, abs=1e-8)
    assert view_covariance(torch.ones(360, 4), azimuth) == 0


def test_naming_looks_at_directions_alone() -> None:
    torch.manual_seed(0)
    embedding, prototypes, shown = torch.randn(5, 8), torch.randn(3, 8), torch.tensor([0, 1, 2, 1, 0])
    loss = naming_loss(F.normalize(embedding, dim=1), prototypes, shown)
    assert loss == pytest.approx(float(naming_loss(F.normalize(embedding, dim=1), 7 * prototypes, shown)), rel=1e-5)
    by_hand = 0.0
    for row, label in zip(embedding, shown.tolist(), strict=True):
        cosines = [NAMING_SCALE * float(F.cosine_similarity(row, one, dim=0)) for one in prototypes]
        by_hand -= cosines[label] - math.log(sum(math.exp(cosine) for cosine in cosines))
    assert loss == pytest.approx(by_hand / 5, rel=1e-5)


def test_shapes_count_where_a_car_is_shown() -> None:
    measures = torch.tensor([[1.0, 2.0], [math.nan, math.nan]])
    assert shape_loss(torch.zeros(2, 2), measures) == 2.5
    assert shape_loss(torch.zeros(1, 2), measures[1:]) == 0


def test_matching_pairs_are_told_from_the_others() -> None:
    directions = torch.eye(4)
    assert contrastive_loss(directions, directions, torch.tensor(100.0)) < 1e-6
    assert contrastive_loss(directions, directions.roll(1, 0), torch.tensor(100.0)) > 50


def test_every_second_picture_loses_a_rectangle_of_any_size_up_to_the_largest() -> None:
    seeds = [derived_seed("mask", number) for number in range(400)]
    erased = masked_half(torch.ones(400, 3, 32, 32), seeds, torch.zeros(3)) == 0
    sides = erased[:, 0].flatten(1).sum(dim=1).sqrt()
    assert float(sides[::2].max()) == 0
    assert float(sides.max()) == round(LARGEST_MASK_RATE * 32)
    assert len(set(sides.tolist())) > 15


def test_a_pictures_rectangle_depends_on_its_seed_alone() -> None:
    images, seeds, fill = torch.rand(20, 3, 32, 32), list(range(2000, 2020)), torch.zeros(3)
    parts = [masked_half(images[i : i + 4], seeds[i : i + 4], fill) for i in range(0, 20, 4)]
    assert torch.equal(masked_half(images, seeds, fill), torch.cat(parts))
