"""The erased rectangle and the noise belong to an image's own seed."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from generators.masks import erase, mask_box
from generators.seeded_noise import seeded_noise

SEEDS = st.integers(0, 2**63 - 1)


@given(SEEDS, st.floats(0, 0.99), st.integers(8, 256))
def test_the_rectangle_has_delta_times_the_sides_and_lies_inside(seed: int, delta: float, size: int) -> None:
    left, top, right, bottom = mask_box(seed, delta, size)
    assert right - left == bottom - top == round(delta * size)
    assert 0 <= left <= right <= size
    assert 0 <= top <= bottom <= size


def test_rectangles_reach_every_corner() -> None:
    boxes = [mask_box(seed, 0.5, 8) for seed in range(400)]
    assert {box[:2] for box in boxes} == {(left, top) for left in range(5) for top in range(5)}


def test_erase_fills_exactly_the_rectangle_and_leaves_the_input_alone() -> None:
    images = torch.zeros(2, 3, 8, 8)
    erased = erase(images, [(0, 0, 4, 4), (2, 3, 6, 7)], torch.tensor([0.1, 0.2, 0.3]))
    assert images.abs().max() == 0
    for image, (left, top, right, bottom) in zip(erased, [(0, 0, 4, 4), (2, 3, 6, 7)], strict=True):
        assert torch.allclose(image[:, top:bottom, left:right].mean((1, 2)), torch.tensor([0.1, 0.2, 0.3]))
        assert (image != 0).sum() == 3 * 16


def test_mask_rate_zero_erases_nothing() -> None:
    images = torch.rand(1, 3, 8, 8)
    assert torch.equal(erase(images, [mask_box(5, 0.0, 8)], torch.zeros(3)), images)


@given(st.lists(SEEDS, min_size=1, max_size=5))
def test_noise_of_an_image_does_not_depend_on_its_batch(seeds: list[int]) -> None:
    together = seeded_noise(seeds, (2, 3))
    assert torch.equal(together, torch.cat([seeded_noise([seed], (2, 3)) for seed in seeds]))
    assert torch.equal(together[0], seeded_noise(seeds[::-1], (2, 3))[-1])
