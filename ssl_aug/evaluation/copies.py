"""Near-copies: drawings that repeat a tuning image, looked for in CLIP's space, and the closest pairs for the eye."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from generators.conditioning import ClipEncoder
from ssl_aug.evaluation.features import embedded_by
from ssl_aug.evaluation.measures import ROWS, copy_limit
from ssl_aug.evaluation.reading import squares_in_batches
from ssl_aug.evaluation.rows import Pair
from ssl_aug.runtime import progress_bar

MOST_ASKED = 5000  # tuning images whose nearest other one is looked for, to know what is usual
MOST_PAIRS = 25  # that are written down of each set


class TuningImages:
    """Where the images that a generator was tuned on lie in its CLIP's space."""

    def __init__(self, clip: ClipEncoder, paths: Sequence[Path], size_px: int):
        self.clip, self.paths, self.size_px = clip, paths, size_px
        self.directions = torch.empty(len(paths), clip.width)
        with progress_bar(len(paths), "CLIP of the tuning images") as bar:
            for rows, squares in squares_in_batches(paths, [size_px]):
                self.directions[rows] = self.embed(squares[size_px])
                bar.update(rows.stop - rows.start)
        asked = np.sort(np.random.RandomState(0).permutation(len(paths))[:MOST_ASKED])
        self.limit = copy_limit(self.directions, torch.from_numpy(asked)) if len(paths) > 1 else None

    def embed(self, images: Tensor) -> Tensor:
        """(b, s, s, 3) uint8 -> (b, d) of unit length."""
        return normalize(embedded_by(self.clip, images), dim=1)


class Copies:
    """Counts a set's near-copies as its images come, and remembers the closest pairs."""

    def __init__(self, known: TuningImages):
        self.known, self.count, self.total = known, 0, 0
        self._closest: list[Pair] = []

    def add(self, images: Tensor, paths: Sequence[Path]) -> None:
        """
        Args:
            images: (b, s, s, 3) uint8.
        """
        directions = self.known.embed(images)
        best, where = torch.full((len(directions),), -2.0), torch.zeros(len(directions), dtype=torch.int64)
        for first in range(0, len(self.known.directions), ROWS):
            nearest, row = (directions @ self.known.directions[first : first + ROWS].T).max(dim=1)
            where, best = torch.where(nearest > best, row + first, where), torch.maximum(nearest, best)
        self.total += len(directions)
        if self.known.limit is not None:
            self.count += int((best > self.known.limit).sum())
        for path, cosine, row in zip(paths, best.tolist(), where.tolist(), strict=True):
            heapq.heappush(self._closest, Pair(round(cosine, 6), str(path), str(self.known.paths[row])))
            if len(self._closest) > MOST_PAIRS:
                heapq.heappop(self._closest)

    def rate(self) -> float | None:
        """Share of near-copies; None where a single tuning image says nothing of what is usual."""
        return None if self.known.limit is None else self.count / self.total

    def pairs(self) -> list[Pair]:
        """The closest, the first the closest of all."""
        return sorted(self._closest, reverse=True)
