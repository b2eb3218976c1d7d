"""Conditions that keep an image's class and take all else from another labeled image.

A drawing repeats whatever its condition tells, paint and place as well as the class, so that ten drawings of one
image teach a classifier that they belong together. How images of one class differ is much the same in every
class, so they can be carried over (Hariharan and Girshick, arXiv:1606.02819, section 4.1; Schwartz et al.,
arXiv:1806.04734): here between tokens, before anything is drawn.

Deviations: both papers train a network for it; here differences of tokens are added as they are.

What a few labeled images have in common by chance (two of four are red) is in their mean as well, and every drawing of
the class would show it. Images without label average it out where CLIP tells the classes apart: Constrained-KMeans
(Basu, Banerjee and Mooney, "Semi-supervised Clustering by Seeding", ICML 2002), on directions, and of the images
without label only those as near to a class as half of the labeled ones are, since others may be of no class at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

_MAX_ROUNDS = 100  # of k-means, which settles much sooner where there are classes to find
_AT_ONCE = 2**24  # similarities that are in memory at once: there are images times classes of them
_STREAM = 2  # keeps the lender's draw apart from the noise and the rectangle of the same seed


@dataclass(frozen=True)
class Differences:
    """How the tokens of labeled images differ from the mean of their class."""

    means: dict[str, Tensor]  # class name -> (d,) mean token
    of_images: Tensor  # (n, d) token minus its class's mean, in the order of the labeled images
    told_apart: float  # share of labeled images nearest to their class's mean, each taken out of it; 1/classes: chance


def differences(tokens: Tensor, class_names: Sequence[str], unlabeled: Tensor | None = None) -> Differences:
    """The differences of labeled images.

    Args:
        tokens: (n, d) phi(x).
        class_names: n names.
        unlabeled: (m, d) tokens of other images, to average in; None: the means are of the labeled images alone.
    """
    numbers = {name: number for number, name in enumerate(dict.fromkeys(class_names))}
    labels = torch.tensor([numbers[name] for name in class_names], device=tokens.device)
    means, counts = class_means(tokens, labels, len(numbers), tokens[:0] if unlabeled is None else unlabeled)
    own = _nearness(tokens, labels, means, counts)
    is_told = []
    for rows in _pieces(len(tokens), len(numbers)):
        similarity = F.normalize(tokens[rows], dim=-1) @ F.normalize(means, dim=-1).T
        similarity.scatter_(1, labels[rows, None], own[rows, None])
        is_told.append(similarity.argmax(dim=-1) == labels[rows])
    told_apart = torch.cat(is_told).float().mean().item()
    return Differences(dict(zip(numbers, means, strict=True)), tokens - means[labels], told_apart)


def class_means(tokens: Tensor, labels: Tensor, num_classes: int, unlabeled: Tensor) -> tuple[Tensor, Tensor]:
    """Means of each class's labeled images and of the images without label that belong to it.

    From the labeled images' means on, each image without label is given to the class whose mean has the most similar
    direction, and the means are taken anew, until nothing changes. Labeled images keep their class. An image that is
    less near to every mean than half of the labeled images are to the mean of the others of their class stays out.

    Args:
        tokens: (n, d) of labeled images.
        labels: (n,) each class at least once.
        unlabeled: (m, d).

    Returns:
        (c, d) means and (c,) how many images each is of.
    """
    outside = num_classes
    everything = torch.cat([tokens, unlabeled])
    means, counts = _means(tokens, labels, num_classes)
    near_enough = _nearness(tokens, labels, means, counts).median()
    given = labels
    for _ in range(_MAX_ROUNDS):
        nearness, nearest = _nearest(unlabeled, means)
        now = torch.cat([labels, torch.where(nearness >= near_enough, nearest, outside)])
        if torch.equal(now, given):
            break
        given = now
        means, counts = _means(everything, given, num_classes)
    return means, counts


def _means(tokens: Tensor, labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    sums, counts = tokens.new_zeros(num_classes, tokens.shape[1]), tokens.new_zeros(num_classes)
    for rows in _pieces(len(tokens), num_classes):
        is_of = F.one_hot(labels[rows], num_classes + 1)[:, :num_classes].to(tokens)  # the last label is of no class
        counts += is_of.sum(dim=0)
        sums += is_of.T @ tokens[rows]
    return sums / counts[:, None], counts


def _nearest(some: Tensor, means: Tensor) -> tuple[Tensor, Tensor]:
    """(m,) the cosine of each and the mean of the most similar direction, and which one that is."""
    directions = F.normalize(means, dim=-1).T
    found = [(F.normalize(some[rows], dim=-1) @ directions).max(dim=-1) for rows in _pieces(len(some), len(means))]
    return torch.cat([each.values for each in found]), torch.cat([each.indices for each in found])


def _pieces(num_images: int, num_classes: int) -> list[slice]:
    """Rows that are compared with all classes at once; one piece at least."""
    size = max(1, _AT_ONCE // num_classes)
    return [slice(first, first + size) for first in range(0, max(1, num_images), size)]


def _nearness(tokens: Tensor, labels: Tensor, means: Tensor, counts: Tensor) -> Tensor:
    """(n,) cosine of each labeled image and its class's mean without it; 0 for the only one of a class."""
    own = counts[labels][:, None]
    return F.cosine_similarity(tokens, (own * means[labels] - tokens) / (own - 1).clamp_min(1), dim=-1)


def lender(seed: int, count: int) -> int:
    """Which of `count` labeled images the drawing of this seed borrows from: all alike, its own included."""
    return int(np.random.default_rng((seed, _STREAM)).integers(count))


def borrow(
    masked: Tensor, whole: Tensor, class_names: Sequence[str], lenders: Sequence[int], known: Differences
) -> Tensor:
    """c = phi(mask(x)) - d(x) + d_j at the length of phi(mask(x)), where d(x) = phi(x) - mean of x's class.

    Without a mask this is the direction of the class's mean plus the lender's difference.

    Args:
        masked, whole: (b, 1, d) tokens of the references, without their rectangles and entire.
        class_names: b names of the references' classes.
        lenders: b rows of the labeled images, j.
    """
    own = whole[:, 0] - torch.stack([known.means[name] for name in class_names])
    mixed = masked[:, 0] - own + known.of_images[list(lenders)]
    length = masked[:, 0].norm(dim=-1, keepdim=True)
    return (mixed / mixed.norm(dim=-1, keepdim=True) * length)[:, None]
