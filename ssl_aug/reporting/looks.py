"""Pictures as small squares, and what can be told from these alone: blank ones, copies, repetitions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssl_aug.data.reading import read_square
from ssl_aug.runtime import progress_bar

READERS = 4  # threads; Pillow decodes outside Python's lock
GRID = 16  # pixels of a side at which pictures are compared
WIDTH = 3 * GRID * GRID
MOST_ASKED = 2000  # real pictures whose nearest other one is looked for, at equal distances
AT_ONCE = 2**24  # correlations that are in memory at once
# Correlation of two pictures at GRID x GRID pixels from which they show the same thing in the same place. Of 1,500
# photos of cars no two reach 0.90, of 480 rendered cars none 0.95.
SAME = 0.97
USUAL = 0.99  # share of real pictures whose nearest other one tells how near pictures are that are not the same
BLANK = 4.0  # standard deviation of all channels, in steps of 256, below which a picture shows nothing
# Correlation of pixels that lie a GRAIN-th of the side apart, below which a picture is little more than noise. The
# lowest of 600 photos of cars is 0.46, the highest of 48 drawings of a network with random weights 0.11.
NOISE, GRAIN = 0.25, 32


class Facts(NamedTuple):
    """What a picture's pixels tell."""

    is_blank: bool  # nearly one color
    is_noise: bool  # neighboring pixels have little to do with each other
    signature: NDArray[np.float32]  # (3 * GRID^2,) of unit length; zeros of a blank one


@dataclass(frozen=True)
class Look:
    """A picture's central square, (s, s, 3) in 0..255, s a multiple of GRID; None, and why, where there is none."""

    pixels: NDArray[np.uint8] | None
    why_none: str = ""

    @cached_property
    def facts(self) -> Facts:
        """Nothing is told of a picture that is not there."""
        return Facts(False, False, np.zeros(WIDTH, np.float32)) if self.pixels is None else facts_of(self.pixels)


def facts_of(pixels: NDArray[np.uint8]) -> Facts:
    """What a picture's pixels tell; the signature holds means of blocks, less their mean, so that products of two are
    correlations.
    """
    size = pixels.shape[0]
    block, lag = size // GRID, max(1, size // GRAIN)
    means = pixels.astype(np.float32).reshape(GRID, block, GRID, block, 3).mean(axis=(1, 3)).ravel()
    flat = pixels - pixels.mean(axis=(0, 1), dtype=np.float32)
    variance = np.square(flat).mean(axis=(0, 1))
    if variance.max() < BLANK**2:
        return Facts(True, False, np.zeros(WIDTH, np.float32))
    beside = ((flat[lag:] * flat[:-lag]).mean() + (flat[:, lag:] * flat[:, :-lag]).mean()) / 2
    means -= means.mean()
    return Facts(False, bool(beside < NOISE * variance.mean()), means / max(1e-6, float(np.linalg.norm(means))))


def read_looks(paths: Sequence[Path], size_px: int, hidden: bool = False) -> list[Look]:
    """The picture of each file, read by several threads.

    Args:
        hidden: without a progress bar.
    """
    with progress_bar(len(paths), "reading pictures", hidden=hidden) as bar, ThreadPoolExecutor(READERS) as readers:
        found = []
        for look in readers.map(lambda path: _look(path, size_px), paths):
            found.append(look)
            bar.update()
    return found


def _look(path: Path, size_px: int) -> Look:
    try:
        return Look(read_square(path, size_px))
    except (ValueError, OSError) as error:  # a page that shows what is wrong must not stop at it
        return Look(None, str(error))


def side_px(paths: Sequence[Path]) -> int | None:
    """The shorter side of the first picture that can be opened; None where none can."""
    for path in paths:
        try:
            with Image.open(path) as image:
                return min(image.size)
        except (OSError, ValueError):
            continue
    return None


def signatures(looks: Sequence[Look]) -> NDArray[np.float32]:
    """(n, 3 * GRID^2). What is missing or blank is like no other picture."""
    return np.stack([look.facts.signature for look in looks]) if looks else np.zeros((0, WIDTH), np.float32)


def mirrored(signature: NDArray[np.float32]) -> NDArray[np.float32]:
    """The signatures of the same pictures, mirrored left to right."""
    return signature.reshape(-1, GRID, GRID, 3)[:, :, ::-1].reshape(len(signature), -1)


def nearest(some: NDArray[np.float32], others: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The highest correlation of each with one of the others, as they are or mirrored, and which one that is.

    Args:
        some, others: (n, d) and (m, d) signatures, m of 1 or more.
    """
    best, places = np.empty(len(some), np.float32), np.empty(len(some), np.int64)
    for rows, correlation in _correlations(some, others):
        places[rows] = correlation.argmax(axis=1)
        best[rows] = correlation.max(axis=1)
    return best, places


def same_from(known: NDArray[np.float32]) -> float:
    """The correlation from which two pictures show the same: SAME, or more where real ones are as near to each other.

    Args:
        known: (n, d) signatures of real pictures, such as centered scans of one organ, that may all look alike.
    """
    if len(known) < 2:
        return SAME
    asked = np.arange(0, len(known), -(-len(known) // MOST_ASKED))
    best = np.empty(len(asked), np.float32)
    for rows, correlation in _correlations(known[asked], known):
        correlation[np.arange(len(correlation)), asked[rows]] = -1  # itself
        best[rows] = correlation.max(axis=1)
    return max(SAME, float(np.quantile(best, USUAL)))


def _correlations(
    some: NDArray[np.float32], others: NDArray[np.float32]
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Those of each with all others, as they are or mirrored, some rows at a time."""
    size, turned = max(1, AT_ONCE // len(others)), mirrored(others)
    for first in range(0, len(some), size):
        rows = slice(first, first + size)
        yield rows, np.maximum(some[rows] @ others.T, some[rows] @ turned.T)


def mean_correlation(some: NDArray[np.float32]) -> float:
    """Mean correlation of two different pictures; 0 of fewer than two that show anything."""
    some = some[np.linalg.norm(some, axis=1) > 0]
    if len(some) < 2:
        return 0.0
    total = float(np.square(some.sum(axis=0, dtype=np.float64)).sum())
    return (total - len(some)) / (len(some) * (len(some) - 1))
