"""What is measured on sets of images, as functions of their features. Features are (n, d), a row an image."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from scipy.stats import binomtest
from torch import Tensor
from torch.nn.functional import normalize

from ssl_aug.evaluation.rules import KERNEL_BLOCKS

NEIGHBORS = 3  # k of precision and recall
COPY_QUANTILE = 0.01  # of the real images' distances to their nearest real neighbor: nearer than that is a near-copy
ROWS = 1000  # of a matrix of all pairs that are in memory at once


@dataclass(frozen=True)
class Moments:
    """What a Frechet distance takes of a set: float64, whatever its number of images."""

    count: int
    mean: Tensor  # (d,)
    covariance: Tensor  # (d, d), divided by count - 1


class MomentSums:
    """Mean and covariance of features that come in batches (Chan et al. 1979, Eq. 2.1), in float64."""

    def __init__(self, width: int):
        self.count = 0
        self.mean = torch.zeros(width, dtype=torch.float64)
        self.scatter = torch.zeros(width, width, dtype=torch.float64)

    def add(self, features: Tensor) -> None:
        """(b, d) more of them."""
        if not len(features):
            return
        rows = features.double()
        mean, total = rows.mean(dim=0), self.count + len(rows)
        centered, step = rows - mean, mean - self.mean
        self.scatter += centered.T @ centered + torch.outer(step, step) * (self.count * len(rows) / total)
        self.mean = self.mean + step * (len(rows) / total)
        self.count = total

    def moments(self) -> Moments:
        """Of all that came."""
        return Moments(self.count, self.mean, self.scatter / max(1, self.count - 1))


def frechet_distance(one: Moments, other: Moments) -> float:
    """FD of two sets: |mu - mu'|^2 + Tr(S + S' - 2 (S S')^1/2) (Heusel et al., arXiv:1706.08500, Eq. 6).

    Called FID only with the Inception features of 2015. Biased upward for few images: compare equal numbers.
    The trace of the root is that of the symmetric S^1/2 S' S^1/2, which has the same eigenvalues as S S' and no
    imaginary ones.
    """
    values, vectors = torch.linalg.eigh(one.covariance)
    root = vectors * values.clamp_min(0).sqrt()
    shared = torch.linalg.eigvalsh(root.T @ other.covariance @ root).clamp_min(0).sqrt().sum()
    distance = (one.mean - other.mean).square().sum() + one.covariance.trace() + other.covariance.trace() - 2 * shared
    return float(distance)


def kernel_distance(one: Tensor, other: Tensor) -> tuple[float, float]:
    """KD of two sets and its standard error: squared MMD with the kernel (x.y / d + 1)^3, unbiased (Binkowski et al.,
    arXiv:1801.01401, section 4). Called KID only with Inception.

    The standard error is the jackknife's, which leaves out one of KERNEL_BLOCKS blocks of both sets in turn: the
    deviation over overlapping subsets, which is printed elsewhere, falls to 0 where a subset is the whole set.

    Raises:
        ValueError: fewer than two images in a block.
    """
    if min(len(one), len(other)) < 2 * KERNEL_BLOCKS:
        raise ValueError(f"a kernel distance needs {2 * KERNEL_BLOCKS} images or more in each set")
    one, other = one.double(), other.double()
    xx, yy, xy = _block_sums(one, one), _block_sums(other, other), _block_sums(one, other)
    x_diagonal, y_diagonal = (_block_totals(((rows * rows).mean(1) + 1) ** 3) for rows in (one, other))
    x_sizes, y_sizes = (_block_totals(torch.ones(len(rows), dtype=torch.float64)) for rows in (one, other))

    def estimate(kept: Tensor) -> float:  # (blocks,) of 0 and 1
        n, m = float(kept @ x_sizes), float(kept @ y_sizes)
        within = (kept @ xx @ kept - kept @ x_diagonal) / (n * (n - 1))
        within_other = (kept @ yy @ kept - kept @ y_diagonal) / (m * (m - 1))
        return float(within + within_other - 2 * (kept @ xy @ kept) / (n * m))

    everything = torch.ones(KERNEL_BLOCKS, dtype=torch.float64)
    without = torch.tensor([estimate(everything - row) for row in torch.eye(KERNEL_BLOCKS, dtype=torch.float64)])
    spread = (without - without.mean()).square().sum() * (KERNEL_BLOCKS - 1) / KERNEL_BLOCKS
    return estimate(everything), float(spread.sqrt())


def _blocks(count: int) -> list[slice]:
    ends = [number * count // KERNEL_BLOCKS for number in range(KERNEL_BLOCKS + 1)]
    return [slice(*pair) for pair in pairwise(ends)]


def _block_totals(values: Tensor) -> Tensor:
    return torch.stack([values[block].sum() for block in _blocks(len(values))])


def _block_sums(one: Tensor, other: Tensor) -> Tensor:
    """(blocks, blocks) sums of the kernel over the pairs of two blocks."""
    found = [_block_totals((((one[block] @ other.T) / one.shape[1] + 1) ** 3).sum(0)) for block in _blocks(len(one))]
    return torch.stack(found)


class ScoreSums:
    """What an Inception Score takes of logits that come in batches: exp of the mean divergence of p(y|x) from p(y)
    (Salimans et al., arXiv:1606.03498, section 4), in splits.
    """

    def __init__(self, num_splits: int, num_classes: int):
        self.counts = torch.zeros(num_splits, dtype=torch.float64)
        self.negative_entropies = torch.zeros(num_splits, dtype=torch.float64)
        self.probabilities = torch.zeros(num_splits, num_classes, dtype=torch.float64)

    def add(self, logits: Tensor, splits: Tensor) -> None:
        """
        Args:
            logits: (b, c) of a classifier; IS in the literature's sense only with Inception's.
            splits: (b,) which split each image is in.
        """
        log_p = torch.log_softmax(logits.double(), dim=1)
        self.counts.index_add_(0, splits, torch.ones(len(splits), dtype=torch.float64))
        self.negative_entropies.index_add_(0, splits, torch.special.entr(log_p.exp()).sum(dim=1).neg())
        self.probabilities.index_add_(0, splits, log_p.exp())

    def score(self) -> tuple[float, float]:
        """Mean and standard deviation over the splits."""
        p = self.probabilities / self.counts[:, None]
        scores = (self.negative_entropies / self.counts + torch.special.entr(p).sum(dim=1)).exp()
        return float(scores.mean()), float(scores.std(correction=0))


def precision_recall(real: Tensor, drawn: Tensor, k: int = NEIGHBORS) -> tuple[float, float]:
    """Share of drawn images within the real ones' manifold, and of real ones within the drawn ones', each image's ball
    reaching to its k-th nearest neighbor (Kynkaanniemi et al., arXiv:1904.06991, Eq. 1 and 2).

    Raises:
        ValueError: a set has no more than k images.
    """
    if min(len(real), len(drawn)) <= k:
        raise ValueError(f"precision and recall with k={k} need {k + 1} images or more in each set")

    def in_parts(points: Tensor, manifold: Tensor, of_rows: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.cat([of_rows(torch.cdist(rows, manifold)) for rows in points.split(ROWS)])

    def within(points: Tensor, manifold: Tensor) -> float:
        # the nearest is the image itself
        radii = in_parts(manifold, manifold, lambda rows: rows.kthvalue(k + 1, dim=1).values)
        return float(in_parts(points, manifold, lambda rows: (rows <= radii).any(dim=1)).double().mean())

    return within(drawn, real), within(real, drawn)


def copy_limit(train: Tensor, rows: Tensor | None = None) -> float:
    """The cosine from which an image is a near-copy: that which COPY_QUANTILE of the training images pass with their
    nearest other training image.

    Args:
        rows: which training images are asked for their nearest; None: all.
    """
    unit = normalize(train, dim=1)
    asked = torch.arange(len(train)) if rows is None else rows
    nearest = []
    for part in asked.split(ROWS):  # all pairs of a large set do not fit into memory
        similarity = unit[part] @ unit.T
        similarity[torch.arange(len(part)), part] = -1
        nearest.append(similarity.max(dim=1).values)
    return float(torch.cat(nearest).sort().values[math.ceil((1 - COPY_QUANTILE) * (len(asked) - 1))])


def near_copy_rate(train: Tensor, drawn: Tensor) -> float:
    """Share of drawn images that lie nearer to a training image than COPY_QUANTILE of the training images lie to
    their nearest other training image; by cosine distance. COPY_QUANTILE itself is what real images give.
    """
    nearest = (normalize(drawn, dim=1) @ normalize(train, dim=1).T).max(dim=1).values
    return float((nearest > copy_limit(train)).float().mean())


class PairDistances:
    """Mean cosine distance (1 - cosine, 0 to 2) of two images of one group, over the pairs of all groups, of features
    that come in batches; the images of a group follow each other.
    """

    def __init__(self, width: int):
        self.num_pairs, self.total = 0, 0.0
        self._group: int | None = None
        self._sum, self._count = torch.zeros(width, dtype=torch.float64), 0

    def add(self, features: Tensor, groups: Tensor) -> None:
        """
        Args:
            groups: (b,) which images belong together, such as those drawn from one reference.
        """
        unit = normalize(features.double(), dim=1)
        values, counts = groups.unique_consecutive(return_counts=True)
        for value, rows in zip(values.tolist(), unit.split(counts.tolist()), strict=True):
            if value != self._group:
                self._close()
                self._group = value
            self._sum, self._count = self._sum + rows.sum(dim=0), self._count + len(rows)

    def mean(self) -> float | None:
        """None where no group has two images."""
        self._close()
        return self.total / self.num_pairs if self.num_pairs else None

    def _close(self) -> None:
        """Of m unit vectors, |their sum|^2 = m + 2 * the cosines of all pairs."""
        pairs = self._count * (self._count - 1) // 2
        self.total += pairs - (float(self._sum @ self._sum) - self._count) / 2
        self.num_pairs += pairs
        self._group, self._sum, self._count = None, torch.zeros_like(self._sum), 0


def share_interval(count: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson), of images taken as independent of each other."""
    interval = binomtest(count, total).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)
