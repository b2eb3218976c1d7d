"""Randomness that belongs to an image, not to a batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def seeded_noise(seeds: Sequence[int], shape: Sequence[int]) -> Tensor:
    """Standard normal noise, (b, *shape), row i drawn by its own generator.

    Drawn on the CPU, so that a GPU starts from the same noise. The idea of one generator per image is that of
    Karras et al. (2022), EDM's sampling script.

    Args:
        seeds: b seeds, 0 to 2^63 - 1.
    """
    rows = [torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(rows)
