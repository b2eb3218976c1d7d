"""MixUp and CutMix of a labeled batch: classical augmentations of images and labels, to set beside drawings.

Sources: Zhang et al., "mixup", arXiv:1710.09412, section 2; Yun et al., "CutMix", arXiv:1905.04899, Eq. 1 and 2.
torchvision's transforms do the mixing: one lambda for a batch, each image with the one before it.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor
from torch.nn import functional as F

from benchmarks.methods.base import Labeled


def refuse_both(mixup_alpha: float, cutmix_alpha: float) -> None:
    """Raises ValueError where both are asked for."""
    if mixup_alpha > 0 and cutmix_alpha > 0:
        raise ValueError(
            f"method.mixup_alpha={mixup_alpha:g} and method.cutmix_alpha={cutmix_alpha:g}: "
            "a batch is mixed in one way, set one of them to 0"
        )


def mixed(labeled: Labeled, num_classes: int, mixup_alpha: float, cutmix_alpha: float) -> tuple[Labeled, Tensor | None]:
    """The batch with mixed weak views: lambda x + (1 - lambda) x', or x with a rectangle of x'; and their targets.

    Args:
        mixup_alpha, cutmix_alpha: of Beta(alpha, alpha), from which lambda is drawn; both 0: the batch as it is.

    Returns:
        The batch, and weights of the classes, (b, c): lambda w y + (1 - lambda) w' y', where w is an image's weight in
        the loss and y its label as a unit vector. None: nothing was mixed.
    """
    if mixup_alpha == cutmix_alpha == 0:
        return labeled, None
    # only where it is asked for: it takes a second, and equations are to be had with torch alone
    from torchvision.transforms import v2

    mix = v2.MixUp if mixup_alpha > 0 else v2.CutMix
    transform = mix(alpha=mixup_alpha or cutmix_alpha, num_classes=num_classes)
    weighted = labeled.weight.float().unsqueeze(1) * F.one_hot(labeled.target, num_classes)
    weak, target = transform(labeled.weak, weighted)
    return replace(labeled, weak=weak), target
