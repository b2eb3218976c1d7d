"""One pass over a set of images: everything that its figures are made of, added up batch after batch.

What is kept does not grow with the number of images, but for the features of MOST_COMPARED of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_aug.evaluation import measures, rules
from ssl_aug.evaluation.features import Extractor
from ssl_aug.evaluation.judge import Judge, LinearJudge, NetworkJudge
from ssl_aug.evaluation.reading import Squares
from ssl_aug.pretrain.backbone import INPUT_SIZE_PX
from ssl_aug.world.paint import has_paint

MOST_COMPARED = 5000  # images of a set that take part in precision, recall and kernel distance
SPLIT_SEED = 2020  # torch-fidelity's, of which images are in which split of the Inception Score


@dataclass(frozen=True)
class Images:
    """Images to measure. Those of one group stand together."""

    paths: tuple[Path, ...]
    labels: Tensor | None = None  # (n,) the class that each is meant to show; None: they show none
    groups: Tensor | None = None  # (n,) the reference that each was drawn from


@dataclass(frozen=True)
class Real:
    """The real images as distances take them."""

    moments: measures.Moments
    kept: Tensor  # (n, d) features of at most MOST_COMPARED of them


class Sums:
    """A set's sums."""

    def __init__(self, images: Images, extractor: Extractor | None, judge: Judge | None, paint: str | None):
        """
        Args:
            extractor: None: nothing is measured in features.
            judge: None: no classes are judged.
            paint: what is looked for in pictures of toycars.
        """
        self.images, self.extractor, self.judge, self.paint = images, extractor, judge, paint
        self.num_right = self.num_painted = 0
        count, width = len(images.paths), extractor.width if extractor else 0
        self.moments, self.pairs = measures.MomentSums(width), measures.PairDistances(width)
        self.kept_rows = chosen_rows(count)
        self.kept = torch.empty(len(self.kept_rows) if extractor else 0, width)
        num_logits = extractor.num_logits if extractor else 0
        if isinstance(judge, NetworkJudge) and not num_logits:
            num_logits = judge.num_classes
        self.scores = measures.ScoreSums(rules.NUM_SPLITS, num_logits) if num_logits else None
        self.splits = splits_of(images.paths)

    @property
    def sizes(self) -> set[int]:
        """Sides of the squares that are looked at, beside the drawn images' own."""
        needed = [self.extractor.size_px if self.extractor else None, self.judge.size_px if self.judge else None]
        return {size for size in (*needed, INPUT_SIZE_PX if self.paint else None) if size is not None}

    def add(self, rows: slice, squares: Squares, size_px: int) -> None:
        """
        Args:
            rows: which images these are.
            size_px: side of the drawn images.
        """
        features, logits = torch.empty(0, 0), None
        if self.extractor is not None:
            features, logits = self.extractor.embed(squares[self.extractor.size_px or size_px])
            self.moments.add(features)
            first, last = np.searchsorted(self.kept_rows, [rows.start, rows.stop])
            self.kept[first:last] = features[torch.from_numpy(self.kept_rows[first:last] - rows.start)]
            if self.images.groups is not None:
                self.pairs.add(features, self.images.groups[rows])
        if isinstance(self.judge, NetworkJudge):
            judged = self.judge.logits(squares[INPUT_SIZE_PX])
            logits = judged if logits is None else logits
            self._count(judged.argmax(dim=1), rows)
        elif isinstance(self.judge, LinearJudge):
            self._count(self.judge.labels(features), rows)
        if self.scores is not None and logits is not None:
            self.scores.add(logits, self.splits[rows])
        if self.paint is not None:
            self.num_painted += int(has_paint(squares[INPUT_SIZE_PX].numpy(), self.paint).sum())

    def _count(self, named: Tensor, rows: slice) -> None:
        if self.images.labels is not None:
            self.num_right += int((named == self.images.labels[rows]).sum())

    def row(self, real: Real | None) -> dict[str, Any]:
        """The figures, and under `why` the reason of each that is left out.

        Args:
            real: the real images, in the same features.
        """
        count = len(self.images.paths)
        row: dict[str, Any] = {"num_images": count, "why": {}}
        if self.judge is not None and self.images.labels is not None:
            low, high = measures.share_interval(self.num_right, count)
            row |= {"class_share": self.num_right / count, "class_share_low": low, "class_share_high": high}
        if self.scores is not None and count >= rules.LEAST_FOR_SCORE:
            row["inception_score"], row["inception_score_std"] = self.scores.score()
        elif self.scores is not None:
            row["why"]["inception_score"] = rules.few(count)
        if self.paint is not None:
            row["paint_share"] = self.num_painted / count
        if self.extractor is not None and real is not None:
            row["diversity"] = self.pairs.mean()
            self._compare(row, real, self.extractor.width)
        return row

    def _compare(self, row: dict[str, Any], real: Real, width: int) -> None:
        why, count, num_real = row["why"], len(self.images.paths), real.moments.count
        least = rules.least_images(width)
        if min(count, num_real) < least:
            said = rules.few(count) if count < least else rules.few(num_real, real=True)
            why |= dict.fromkeys(("frechet_distance", "precision", "recall"), said)
        else:
            row["frechet_distance"] = measures.frechet_distance(real.moments, self.moments.moments())
            row["precision"], row["recall"] = measures.precision_recall(real.kept, self.kept)
        if min(count, num_real) < rules.LEAST_FOR_KERNEL:
            why["kernel_distance"] = rules.few(min(count, num_real), real=num_real <= count)
        else:
            distance, error = measures.kernel_distance(real.kept, self.kept)
            row |= {"kernel_distance": 1000 * distance, "kernel_distance_error": 1000 * error}


def chosen_rows(count: int, most: int = MOST_COMPARED) -> NDArray[np.int64]:
    """At most so many of the positions, always the same ones, in order."""
    return np.sort(np.random.RandomState(0).permutation(count)[:most])


def splits_of(paths: tuple[Path, ...]) -> Tensor:
    """(n,) which split of the Inception Score each image is in, as torch-fidelity splits the same files."""
    count = len(paths)
    by_name = np.array(sorted(range(count), key=lambda position: str(paths[position])), dtype=np.int64)
    shuffled = by_name[np.random.RandomState(SPLIT_SEED).permutation(count)]
    splits = torch.empty(count, dtype=torch.int64)
    for number in range(rules.NUM_SPLITS):
        part = shuffled[number * count // rules.NUM_SPLITS : (number + 1) * count // rules.NUM_SPLITS]
        splits[torch.from_numpy(part)] = number
    return splits
