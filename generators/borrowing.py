"""Conditions that keep an image's class and take all else from another labeled image.

A drawing repeats whatever its condition tells, paint and place as well as the class, so that ten drawings of one
image teach a classifier that they belong together. How images of one class differ is much the same in every
class, so they can be carried over (Hariharan and Girshick, arXiv:1606.02819, section 4.1; Schwartz et al.,
arXiv:1806.04734): here between tokens, before anything is drawn.

Deviations: both papers train a network for it; here differences of tokens are added as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_STREAM = 2  # keeps the lender's draw apart from the noise and the rectangle of the same seed


@dataclass(frozen=True)
class Differences:
    """How the tokens of labeled images differ from the mean of their class."""

    means: dict[str, Tensor]  # class name -> (d,) mean token
    of_images: Tensor  # (n, d) token minus its class's mean, in the order of the labeled images


def differences(tokens: Tensor, class_names: Sequence[str]) -> Differences:
    """The differences of labeled images.

    Args:
        tokens: (n, d) phi(x).
        class_names: n names.
    """
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(class_names):
        rows.setdefault(name, []).append(row)
    means = {name: tokens[chosen].mean(dim=0) for name, chosen in rows.items()}
    return Differences(means, tokens - torch.stack([means[name] for name in class_names]))


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
