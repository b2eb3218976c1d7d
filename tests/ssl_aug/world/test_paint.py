"""The pixel measure of paint against pictures whose paint is known."""

import colorsys

import numpy as np
import pytest

from ssl_aug.world import toycars
from ssl_aug.world.paint import _hsv, has_paint, paint_in
from ssl_aug.world.scene import sample_scene


def test_hue_saturation_and_value_are_those_of_the_standard_library() -> None:
    colors = np.random.default_rng(0).random((200, 3))
    colors[:3] = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [1, 0, 0]])
    ours = np.stack(_hsv(colors), axis=-1) / [360, 1, 1]
    assert ours == pytest.approx(np.array([colorsys.rgb_to_hsv(*color) for color in colors.tolist()]), abs=1e-9)


def test_red_and_blue_cars_are_found_and_others_are_not() -> None:
    numbers = [(label, i) for label in range(24) for i in range(8)]
    images = np.stack([toycars.image(label, "test", i) for label, i in numbers])
    paints = np.array([
        sample_scene(np.random.default_rng([7, label, 1, i]), toycars.RANGES).paint for label, i in numbers
    ])  # fmt: skip
    for paint in ("red", "blue"):
        found = has_paint(images, paint)
        assert found[paints == paint].mean() > 0.9
        assert found[paints != paint].mean() < 0.02
    white = has_paint(images, "white")
    assert white[paints == "white"].mean() > 5 * white[~np.isin(paints, ("white", "silver"))].mean()


def test_a_prompt_names_its_paint() -> None:
    assert [paint_in(text) for text in ("a red car", "a car of White paint", "a colored car", None)] == [
        "red", "white", None, None,
    ]  # fmt: skip
