"""Views are functions of their seed."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.settings import ViewSettings
from benchmarks.views import TrainViews, as_tensor, crop_box, generators_kept
from benchmarks.views import test_view as view_for_test
from ssl_aug.runtime import derived_seed

MEAN = (0.485, 0.456, 0.406)


@pytest.fixture
def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8))


def test_the_same_seed_gives_the_same_views_and_another_seed_others(picture: Image.Image) -> None:
    views = TrainViews(ViewSettings(), 16, MEAN)
    for view in (views.weak, views.strong):
        first = view(picture, 5)
        random.random(), np.random.rand(), torch.rand(1)
        assert torch.equal(view(picture, 5), first)
        assert not torch.equal(view(picture, 6), first)
        assert first.shape == (3, 16, 16) and first.dtype == torch.uint8


def test_global_generators_are_left_as_they_were(picture: Image.Image) -> None:
    views = TrainViews(ViewSettings(), 16, MEAN)
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = random.random(), np.random.rand(), torch.rand(1).item()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    views.weak(picture, 0), views.strong(picture, 0)
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == expected
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    views.of_batch("strong", [picture] * 2, [0, 1])
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == expected
    before = random.getstate()
    with pytest.raises(RuntimeError), generators_kept():
        random.random()
        raise RuntimeError
    assert random.getstate() == before


def test_a_batchs_views_are_its_images_own(picture: Image.Image) -> None:
    views = TrainViews(ViewSettings(), 16, MEAN)
    for kind, view in (("weak", views.weak), ("strong", views.strong)):
        found = views.of_batch(kind, [picture] * 5, range(5))
        assert torch.equal(found, torch.stack([view(picture, seed) for seed in range(5)]))


def test_a_strong_view_is_what_its_seed_says_whatever_was_drawn_before(picture: Image.Image) -> None:
    """Step by step, each image with generators of its own: stored runs saw these views."""
    views = TrainViews(ViewSettings(), 16, MEAN)
    expected = []
    for seed in range(20):
        own = random.Random(derived_seed(seed, "strong"))
        view = picture.crop(crop_box(40, 30, (0.2, 1.0), own)).resize((16, 16), Image.Resampling.BILINEAR)
        if own.random() < 0.5:
            view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        drawn = own.getrandbits(63)
        random.seed(drawn), np.random.seed(drawn % 2**32)
        expected.append(np.array(views.rand_augment(view)).transpose(2, 0, 1))
    assert np.array_equal(views.of_batch("strong", [picture] * 20, range(20)).numpy(), np.stack(expected))


def test_strong_and_weak_views_have_crops_of_their_own(picture: Image.Image) -> None:
    views = TrainViews(ViewSettings(randaugment="rand-m0-n0"), 16, MEAN)  # no operation: crop and flip remain
    assert not torch.equal(views.weak(picture, 0), views.strong(picture, 0))


def test_the_whole_image_without_flip_is_only_resized() -> None:
    square = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
    views = TrainViews(ViewSettings(crop_scale_min=1.0, flip=False), 16, MEAN)
    seen = {views.weak(square, seed).numpy().tobytes() for seed in range(20)}
    assert np.asarray(square).transpose(2, 0, 1).tobytes() in seen
    flipping = TrainViews(ViewSettings(crop_scale_min=1.0), 16, MEAN)
    mirrored = np.asarray(square)[:, ::-1].transpose(2, 0, 1).tobytes()
    assert mirrored in {flipping.weak(square, seed).numpy().tobytes() for seed in range(20)}
    assert mirrored not in seen


def test_crops_keep_to_the_allowed_shares_and_ratios() -> None:
    generator = random.Random(0)
    shares, ratios = [], []
    for _ in range(2000):
        left, top, right, bottom = crop_box(200, 100, (0.2, 1.0), generator)
        assert 0 <= left < right <= 200 and 0 <= top < bottom <= 100
        shares.append((right - left) * (bottom - top) / 20000)
        ratios.append((right - left) / (bottom - top))
    assert 0.19 < min(shares) < 0.25 and max(shares) <= 1
    assert 0.74 < min(ratios) < 0.8 and 1.25 < max(ratios) < 1.36


def test_a_crop_that_never_fits_becomes_the_central_one() -> None:
    assert crop_box(90, 10, (1.0, 1.0), random.Random(0)) == (38, 0, 51, 10)
    assert crop_box(12, 90, (1.0, 1.0), random.Random(0)) == (0, 37, 12, 53)


def test_the_test_view_squashes_and_cuts_the_center() -> None:
    pixels = np.zeros((64, 128, 3), dtype=np.uint8)
    pixels[:, 64:] = 255
    view = view_for_test(Image.fromarray(pixels), 56)
    assert view.shape == (3, 56, 56)
    assert (view[:, :, :26] == 0).all() and (view[:, :, 30:] == 255).all()  # still half and half
    same_size = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    expected = same_size[4:60, 4:60].transpose(2, 0, 1)  # 56 * 256 / 224 = 64: nothing to resize
    assert np.array_equal(view_for_test(Image.fromarray(same_size), 56).numpy(), expected)


def test_the_whole_picture_is_tested_where_nothing_is_cut_away() -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
    assert torch.equal(view_for_test(picture, 16, 1.0), as_tensor(picture))
    assert not torch.equal(view_for_test(picture, 16), as_tensor(picture))


@pytest.mark.parametrize("share", [0.0, 1.1])
def test_shares_of_the_tested_center_are_checked(share: float) -> None:
    with pytest.raises(ValueError, match=r"view\.test_center_share="):
        ViewSettings(test_center_share=share)


@pytest.mark.parametrize("wrong", ["rand-q9", "rand-m10-nine", "augmix-m3", "rand-mten", ""])
def test_a_string_that_timm_would_pass_over_is_named(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"view\.randaugment="):
        ViewSettings(randaugment=wrong)


@pytest.mark.parametrize(("least", "most", "named"), [(0.0, 1.0, "min"), (0.2, 1.5, "max"), (0.2, 0.1, "min")])
def test_crop_scales_are_shares_in_order(least: float, most: float, named: str) -> None:
    with pytest.raises(ValueError, match=rf"view\.crop_scale_{named}="):
        ViewSettings(crop_scale_min=least, crop_scale_max=most)


def test_the_rarest_draw_of_posterize_leaves_black_and_does_not_stop_a_run(picture: Image.Image) -> None:
    views = TrainViews(ViewSettings(randaugment="rand-m0-n15"), 8, (0.5, 0.5, 0.5))  # magnitude 0: no bits are kept
    (operation,) = (operation for operation in views.rand_augment.ops if operation.name == "Posterize")
    operation.prob = 1.0
    assert np.asarray(operation(picture)).max() == 0
    operation.magnitude = 10  # four bits
    assert np.array_equal(np.asarray(operation(picture)), np.asarray(picture) & 0xF0)
