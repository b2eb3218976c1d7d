"""Distribution alignment: predictions are scaled so that classes come as often as they should. Torch alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def aligned(probabilities: Tensor, target: Tensor, average: Tensor) -> Tensor:
    """Normalize(p target / average), (u, c): as if the classes were predicted as often as `target` says.

    Args:
        probabilities: p, (u, c). target: (c,) how often they should be. average: (c,) how often they are predicted.
    """
    scaled = probabilities * target / average.clamp(min=1e-12)
    return scaled / scaled.sum(1, keepdim=True)


class RecentMean(nn.Module):
    """The mean over the last `window` batches of what each says, (c,), as registered state."""

    batches: Tensor
    pointer: Tensor

    def __init__(self, num_classes: int, window: int, start: float):
        """`start` stands for batches that have not been yet; with 0 only those that have been count in a ratio."""
        super().__init__()
        self.register_buffer("batches", torch.full((window, num_classes), start))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def add(self, seen: Tensor) -> None:
        """Takes in a batch's (c,) in place of the oldest one."""
        batches = self.batches
        batches.index_copy_(0, self.pointer[None], seen[None].to(batches))  # reads no number off the device
        self.pointer.add_(1).remainder_(len(self.batches))

    def mean(self) -> Tensor:
        """(c,) without gradient."""
        return self.batches.mean(0)
