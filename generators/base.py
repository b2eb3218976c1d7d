"""The contract of everything that draws images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor


class Generator(Protocol):
    """Draws one image per reference image.

    Row i of the result depends on `reference[i]`, `class_names[i]` and `seeds[i]` and on nothing else, so that the
    batch's size, its order and the number of processes do not matter. One that was told of the labeled images
    (`ANLLatentDiffusion.remember`) depends on those as well.
    """

    image_size: int  # pixels

    def __call__(self, reference: Tensor, class_names: Sequence[str], seeds: Sequence[int]) -> Tensor:
        """
        Args:
            reference: (b, 3, s, s) images in [-1, 1], s = image_size.
            class_names: b names of the references' classes.
            seeds: b seeds, 0 to 2^63 - 1.

        Returns:
            (b, 3, s, s) images in [-1, 1].
        """
        ...
