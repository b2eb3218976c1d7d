"""The erased rectangle of masked sampling (paper 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

Box = tuple[int, int, int, int]
_STREAM = 1  # keeps the rectangle's draw apart from the noise of the same seed


def mask_box(seed: int, mask_rate: float, image_size: int) -> Box:
    """The rectangle of one image: (left, top, right, bottom) in pixels, right and bottom exclusive.

    Its sides are delta times the image's (delta = mask_rate), its area delta squared; the upper left corner is
    uniform over all places that keep it inside.

    Deviations: the paper's text draws the offset anew for the lower right corner, which can leave the rectangle
    empty; here it is drawn once.
    """
    side = round(mask_rate * image_size)
    left, top = np.random.default_rng((seed, _STREAM)).integers(0, image_size - side, size=2, endpoint=True)
    return int(left), int(top), int(left) + side, int(top) + side


def erase(images: Tensor, boxes: Sequence[Box], fill: Tensor) -> Tensor:
    """A copy of the images, each without its rectangle.

    Args:
        images: (b, 3, h, w).
        boxes: b rectangles, one per image.
        fill: (3,) color that takes the rectangle's place, in the images' range.
    """
    erased = images.clone()
    for image, (left, top, right, bottom) in zip(erased, boxes, strict=True):
        image[:, top:bottom, left:right] = fill.to(image)[:, None, None]
    return erased
