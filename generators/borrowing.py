"""Conditions that keep an image's class and take all else from another labeled image.

A drawing repeats whatever its condition tells, paint and place as well as the class, so that ten drawings of one
image teach a classifier that they belong together. How images of one class differ is much the same in every
class, so they can be carried over (Hariharan and Girshick, arXiv:1606.02819, section 4.1; Schwartz et al.,
arXiv:1806.04734): here between tokens, before anything is drawn.

Deviations: both papers train a network for it; here differences of tokens are added as they are.

What a few labeled images have in common by chance (two of four are red) is in their mean as well, and every drawing of
the class would show it. Images without label average it out where CLIP tells the classes apart: Constrained-KMeans
(Basu, Banerjee and Mooney, "Semi-supervised Clustering by Seeding", ICML 2002), on directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

_MAX_ROUNDS = 100  # of k-means, which ends by itself: a bound for what rounding might keep going
_STREAM = 2  # keeps the lender's draw apart from the noise and the rectangle of the same seed


@dataclass(frozen=True)
class Differences:
    """How the tokens of labeled images differ from the mean of their class."""

    means: dict[str, Tensor]  # class name -> (d,) mean token
    of_images: Tensor  # (n, d) token minus its class's mean, in the order of the labeled images


def differences(tokens: Tensor, class_names: Sequence[str], unlabeled: Tensor | None = None) -> Differences:
    """The differences of labeled images.

    Args:
        tokens: (n, d) phi(x).
        class_names: n names.
        unlabeled: (m, d) tokens of other images, to average in; None: the means are of the labeled images alone.
    """
    names, labels = _numbered(class_names, tokens)
    means = class_means(tokens, labels, len(names), tokens[:0] if unlabeled is None else unlabeled)
    return Differences(dict(zip(names, means, strict=True)), tokens - means[labels])


def told_apart(tokens: Tensor, class_names: Sequence[str]) -> float:
    """Share of labeled images whose direction is nearest to their own class's mean, taken without the image itself.

    Means of classes stand for classes no better than this.

    Args:
        tokens: (n, d).
        class_names: n names, each twice at least.
    """
    names, labels = _numbered(class_names, tokens)
    means, counts = _means(tokens, labels, len(names)), torch.bincount(labels)[labels][:, None]
    similarity = F.normalize(tokens, dim=-1) @ F.normalize(means, dim=-1).T
    without = (counts * means[labels] - tokens) / (counts - 1)
    similarity[torch.arange(len(labels)), labels] = F.cosine_similarity(tokens, without, dim=-1)
    return (similarity.argmax(dim=-1) == labels).float().mean().item()


def class_means(tokens: Tensor, labels: Tensor, num_classes: int, unlabeled: Tensor) -> Tensor:
    """(c, d) means of each class's labeled images and of the images without label that are nearest to them.

    From the labeled images' means on, each image without label is given to the class whose mean has the most similar
    direction, and the means are taken anew, until nothing changes. Labeled images keep their class.

    Args:
        tokens: (n, d) of labeled images.
        labels: (n,) each class at least once.
        unlabeled: (m, d).
    """
    everything, directions = torch.cat([tokens, unlabeled]), F.normalize(unlabeled, dim=-1)
    means = _means(tokens, labels, num_classes)
    given = labels
    for _ in range(_MAX_ROUNDS):
        nearest = torch.cat([labels, (directions @ F.normalize(means, dim=-1).T).argmax(dim=-1)])
        if torch.equal(nearest, given):
            break
        given = nearest
        means = _means(everything, given, num_classes)
    return means


def _numbered(class_names: Sequence[str], tokens: Tensor) -> tuple[list[str], Tensor]:
    """The names there are, and which of them each image has."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(class_names))}
    return list(numbers), torch.tensor([numbers[name] for name in class_names], device=tokens.device)


def _means(tokens: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    is_of = F.one_hot(labels, num_classes).to(tokens)  # (n, c)
    return is_of.T @ tokens / is_of.sum(dim=0)[:, None]


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
