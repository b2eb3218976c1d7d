"""Whether a picture of the embedded world shows a car of some paint, by its pixels alone."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

WINDOW = (slice(26, 48), slice(16, 48))  # rows and columns of a 64 x 64 picture where the car's body is
SHARE = 0.2  # of the window's pixels, from which the car counts as painted so
PAINTS = ("red", "blue", "white")  # those that hue, saturation and value tell from the rest


def has_paint(images: NDArray[np.uint8], paint: str) -> NDArray[np.bool_]:
    """(n,) whether more than `SHARE` of the pixels in the middle have the paint's color.

    On real toycars, red and blue are found always, and in 2 of 1000 cars of another paint; half the white ones are
    (at dusk white is grey), and 1 of 14 others, most of them silver.

    Args:
        images: (n, 64, 64, 3).
        paint: one of PAINTS.
    """
    hue, saturation, value = _hsv(images[:, *WINDOW].astype(np.float64) / 255)
    if paint == "red":
        mask = ((hue < 14) | (hue > 344)) & (saturation > 0.55) & (value > 0.15)
    elif paint == "blue":
        mask = (np.abs(hue - 222) < 18) & (saturation > 0.5) & (value > 0.12)
    elif paint == "white":
        mask = (saturation < 0.16) & (value > 0.62)
    else:
        raise ValueError(f"paint={paint!r}: choose one of {', '.join(PAINTS)}")
    found: NDArray[np.bool_] = mask.mean(axis=(1, 2)) > SHARE
    return found


def paint_in(prompt: str | None) -> str | None:
    """The first paint that a prompt names, where it is one of PAINTS."""
    words = re.findall(r"[a-z]+", (prompt or "").lower())
    return next((word for word in words if word in PAINTS), None)


def _hsv(rgb: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Hue in degrees, saturation and value in [0, 1], of (..., 3) colors in [0, 1]."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    value, least = rgb.max(-1), rgb.min(-1)
    chroma = value - least
    safe = np.where(chroma == 0, 1, chroma)
    hue = np.select(
        [value == red, value == green],
        [((green - blue) / safe) % 6, (blue - red) / safe + 2],
        (red - green) / safe + 4,
    )
    return 60 * hue, chroma / np.where(value == 0, 1, value), value
