"""A control without any model: the reference with noise on it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from generators.seeded_noise import seeded_noise

STRENGTH = 0.2  # standard deviation of the noise, for images in [-1, 1]


class NoisyReference:
    """Says how much of a gain is owed to repeating the labeled images more often."""

    def __init__(self, image_size: int):
        self.image_size = image_size

    def __call__(self, reference: Tensor, class_names: Sequence[str], seeds: Sequence[int]) -> Tensor:
        """The references, each with its seed's noise; see `generators.base.Generator`."""
        return (reference + STRENGTH * seeded_noise(seeds, reference.shape[1:]).to(reference)).clamp(-1, 1)
