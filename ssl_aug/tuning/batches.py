"""Which images a step takes, of a training that can be gone on with from any step."""

from __future__ import annotations

import torch
from torch import Tensor

from ssl_aug.runtime import derived_seed


def pass_after_pass(num_items: int, batch_size: int, step: int, seed: int) -> Tensor:
    """(batch_size,) positions of step's batch: pass after pass over all items, each pass in an order of its own.

    A function of (seed, step) alone. A set smaller than the batch is repeated within it.
    """
    start = step * batch_size
    passes = range(start // num_items, (start + batch_size - 1) // num_items + 1)
    orders = [
        torch.randperm(num_items, generator=torch.Generator().manual_seed(derived_seed("pass", seed, one)))
        for one in passes
    ]
    offset = start - passes[0] * num_items
    return torch.cat(orders)[offset : offset + batch_size]
