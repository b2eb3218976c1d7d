"""Images in batches, each file read once, by threads, a few batches ahead: memory does not grow with their number."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ssl_aug.data.reading import read_rgb, square_of

BATCH_SIZE = 64  # images
BATCHES_AHEAD = 2
THREADS = 4

Squares = dict[int, Tensor]  # side in pixels -> (b, s, s, 3) uint8


def squares_in_batches(paths: Sequence[Path], sizes: Collection[int]) -> Iterator[tuple[slice, Squares]]:
    """Central squares of image files, scaled to each of these sizes, batch after batch; and which files they are of.

    Raises:
        FileNotFoundError, ValueError: a file that is no image, named.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        waiting: deque[tuple[slice, list[Future[dict[int, np.ndarray]]]]] = deque()
        for first in range(0, len(paths), BATCH_SIZE):
            rows = slice(first, min(first + BATCH_SIZE, len(paths)))
            waiting.append((rows, [pool.submit(_squares, path, sizes) for path in paths[rows]]))
            if len(waiting) > BATCHES_AHEAD:
                yield _together(*waiting.popleft(), sizes)
        while waiting:
            yield _together(*waiting.popleft(), sizes)


def side_of(path: Path) -> int:
    """Pixels of an image's shorter side."""
    return min(read_rgb(path).size)


def _squares(path: Path, sizes: Collection[int]) -> dict[int, np.ndarray]:
    image = read_rgb(path)
    return {size: square_of(image, size) for size in sizes}


def _together(rows: slice, parts: list[Future[dict[int, np.ndarray]]], sizes: Collection[int]) -> tuple[slice, Squares]:
    found = [part.result() for part in parts]
    return rows, {size: torch.from_numpy(np.stack([squares[size] for squares in found])) for size in sizes}
