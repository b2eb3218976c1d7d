"""Weak, strong and test views of an image, as in the published benchmark (TLlib, "default" resizing).

A view is a function of its seed alone. Crop and flip draw from a generator of their own; timm's RandAugment
draws from the global ones of `random` and NumPy, which are seeded for it and put back.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from PIL import Image
from timm.data.auto_augment import posterize, rand_augment_transform
from torch import Tensor

from benchmarks.settings import ViewSettings
from ssl_aug.runtime import derived_seed

MIN_RATIO, MAX_RATIO = 3 / 4, 4 / 3  # width over height of a crop

BENCHMARK_CENTER_SHARE = 224 / 256


@contextmanager
def generators_kept() -> Iterator[None]:
    """The global generators of `random` and NumPy are as before afterwards, whatever draws from them inside."""
    before = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])


class TrainViews:
    """A weak and a strong view of an image, with independent crops and flips."""

    def __init__(self, settings: ViewSettings, image_size: int, mean: Sequence[float]):
        self.settings = settings
        self.image_size = image_size
        fill = tuple(round(255 * channel) for channel in mean)
        options = {"img_mean": fill, "interpolation": Image.Resampling.BILINEAR}
        self.rand_augment = rand_augment_transform(settings.randaugment, options)
        for operation in self.rand_augment.ops:
            if operation.name == "Posterize":
                operation.aug_fn = posterized

    def weak(self, image: Image.Image, seed: int) -> Tensor:
        """(3, s, s) uint8: crop of 0.2 to 1 of the area, resized bilinearly, flipped."""
        return as_tensor(self._crop_and_flip(image, random.Random(derived_seed(seed, "weak"))))

    def strong(self, image: Image.Image, seed: int) -> Tensor:
        """(3, s, s) uint8: another crop and flip, then RandAugment with the mean color where it moves pixels out."""
        with generators_kept():
            return self._strong(image, seed)

    def of_batch(self, kind: str, images: Sequence[Image.Image], seeds: Sequence[int]) -> Tensor:
        """(b, 3, s, s) uint8: the "weak" or "strong" view of each image; keeps the generators once for all."""
        view = {"weak": self.weak, "strong": self._strong}[kind]
        with generators_kept():
            return torch.stack([view(image, seed) for image, seed in zip(images, seeds, strict=True)])

    def _strong(self, image: Image.Image, seed: int) -> Tensor:
        generator = random.Random(derived_seed(seed, "strong"))
        cropped = self._crop_and_flip(image, generator)
        seed_generators(generator.getrandbits(63))
        return as_tensor(self.rand_augment(cropped))

    def _crop_and_flip(self, image: Image.Image, generator: random.Random) -> Image.Image:
        scale = (self.settings.crop_scale_min, self.settings.crop_scale_max)
        box = crop_box(image.width, image.height, scale, generator)
        size = (self.image_size, self.image_size)
        view = image.crop(box).resize(size, Image.Resampling.BILINEAR)
        if self.settings.flip and generator.random() < 0.5:
            return view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return view


def seed_generators(seed: int) -> None:
    """The global generators of `random` and NumPy start from `seed`."""
    random.seed(seed)
    np.random.seed(seed % 2**32)


def posterized(image: Image.Image, bits_to_keep: int, **options: object) -> Image.Image:
    """timm's posterize; no bits at all, which a rare draw asks for, leaves black: newer Pillows refuse it."""
    return posterize(image, bits_to_keep) if bits_to_keep > 0 else Image.new(image.mode, image.size)


def crop_box(
    width: int, height: int, scale: tuple[float, float], generator: random.Random
) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of a crop whose share of the area is uniform in `scale`.

    The ratio of its sides is log-uniform in 3/4 to 4/3, its place uniform. A draw that does not fit into the
    image is drawn again, up to ten times; then the crop is the largest central one of an allowed ratio.
    Source: the random resized crop of Szegedy et al. (arXiv:1409.4842), as torchvision has it.
    """
    for _ in range(10):
        area = width * height * generator.uniform(*scale)
        ratio = math.exp(generator.uniform(math.log(MIN_RATIO), math.log(MAX_RATIO)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = generator.randint(0, width - w), generator.randint(0, height - h)
            return left, top, left + w, top + h
    w = min(width, round(height * MAX_RATIO))
    h = min(height, round(width / MIN_RATIO))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def test_view(image: Image.Image, image_size: int, center_share: float = BENCHMARK_CENTER_SHARE) -> Tensor:
    """(3, s, s) uint8: squashed to a square, bicubic, and its center cut out, `center_share` of each side.

    The aspect ratio is not kept, unlike in training: that is how the published benchmark tests.
    """
    resized_px = round(image_size / center_share)
    border = (resized_px - image_size) // 2
    resized = image.resize((resized_px, resized_px), Image.Resampling.BICUBIC)
    return as_tensor(resized.crop((border, border, border + image_size, border + image_size)))


def as_tensor(image: Image.Image) -> Tensor:
    """(3, h, w) uint8; pixels become numbers with a mean on the device, for a whole batch at once."""
    return torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy())
