"""What is measured on sets of images, as functions of their features. Features are (n, d), a row an image."""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor

NEIGHBORS = 3  # k of precision and recall
COPY_QUANTILE = 0.01  # of the real images' distances to their nearest real neighbor: nearer than that is a near-copy
KERNEL_SUBSETS = 50  # of the kernel distance


class _AsFeatures(torch.nn.Module):
    """Lets torchmetrics take features for images."""

    def __init__(self, num_features: int):
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def frechet_distance(one: Tensor, other: Tensor) -> float:
    """FD of two sets' features: |mu - mu'|^2 + Tr(S + S' - 2 (S S')^1/2) (Heusel et al., arXiv:1706.08500, Eq. 6).

    Called FID only with the Inception features of 2015. Biased upward for few images: compare equal numbers.

    Raises:
        ValueError: fewer than two images in a set.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    if min(len(one), len(other)) < 2:
        raise ValueError("a Frechet distance needs two images or more in each set")
    metric = FrechetInceptionDistance(feature=_AsFeatures(one.shape[1]), normalize=True).set_dtype(torch.float64)
    metric.update(one.double(), real=True)
    metric.update(other.double(), real=False)
    return float(metric.compute())


def kernel_distance(one: Tensor, other: Tensor, seed: int = 0) -> tuple[float, float]:
    """KD of two sets' features, mean and standard deviation over random subsets: squared MMD with the kernel
    (x.y / d + 1)^3, unbiased (Binkowski et al., arXiv:1801.01401, section 4). Called KID only with Inception.
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    size = min(len(one), len(other), 1000)
    with warnings.catch_warnings():  # that it keeps the features in memory, which are there already
        warnings.simplefilter("ignore", UserWarning)
        metric = KernelInceptionDistance(
            feature=_AsFeatures(one.shape[1]), subsets=KERNEL_SUBSETS, subset_size=size, normalize=True
        )
    metric.update(one, real=True)
    metric.update(other, real=False)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        mean, std = metric.compute()
    return float(mean), float(std)


def inception_score(logits: Tensor) -> float:
    """exp of the mean divergence of p(y|x) from p(y) (Salimans et al., arXiv:1606.03498, section 4), one split.

    Args:
        logits: (n, c) of a classifier; IS in the literature's sense only with Inception's.
    """
    log_p = torch.log_softmax(logits.double(), dim=1)
    log_marginal = log_p.exp().mean(dim=0).log()
    return float((log_p.exp() * (log_p - log_marginal)).sum(dim=1).mean().exp())


def precision_recall(real: Tensor, drawn: Tensor, k: int = NEIGHBORS) -> tuple[float, float]:
    """Share of drawn images within the real ones' manifold, and of real ones within the drawn ones', each image's ball
    reaching to its k-th nearest neighbor (Kynkaanniemi et al., arXiv:1904.06991, Eq. 1 and 2).

    Raises:
        ValueError: a set has no more than k images.
    """
    if min(len(real), len(drawn)) <= k:
        raise ValueError(f"precision and recall with k={k} need {k + 1} images or more in each set")

    def within(points: Tensor, manifold: Tensor) -> float:
        radii = torch.cdist(manifold, manifold).kthvalue(k + 1, dim=1).values  # the nearest is the image itself
        return float((torch.cdist(points, manifold) <= radii).any(dim=1).float().mean())

    return within(drawn, real), within(real, drawn)


def near_copy_rate(train: Tensor, drawn: Tensor) -> float:
    """Share of drawn images that lie nearer to a training image than COPY_QUANTILE of the training images lie to
    their nearest other training image; by cosine distance. COPY_QUANTILE itself is what real images give.
    """
    train, drawn = (torch.nn.functional.normalize(features, dim=1) for features in (train, drawn))
    nearest = []
    for first in range(0, len(train), 1000):  # in parts: all pairs of a large set do not fit into memory
        rows = train[first : first + 1000] @ train.T
        own = torch.arange(len(rows))
        rows[own, first + own] = -1
        nearest.append(rows.max(dim=1).values)
    limit = torch.cat(nearest).sort().values[math.ceil((1 - COPY_QUANTILE) * (len(train) - 1))]
    return float(((drawn @ train.T).max(dim=1).values > limit).float().mean())


def mean_pairwise_distance(features: Tensor, groups: Tensor) -> float:
    """Mean cosine distance (1 - cosine, 0 to 2) of two images of one group, over the pairs of all groups.

    Args:
        groups: (n,) which images belong together, such as those drawn from one reference.

    Raises:
        ValueError: no group has two images.
    """
    unit = torch.nn.functional.normalize(features, dim=1)
    distances = []
    for group in groups.unique():
        members = unit[groups == group]
        row, column = torch.triu_indices(len(members), len(members), offset=1)
        distances.append(1 - (members[row] * members[column]).sum(dim=1))
    pairs = torch.cat(distances)
    if len(pairs) == 0:
        raise ValueError("diversity within one reference needs per_sample of 2 or more")
    return float(pairs.mean())
