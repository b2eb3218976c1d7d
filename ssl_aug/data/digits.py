"""Handwritten digits: scikit-learn's 1,797 real scans of 8x8 pixels, made into a folder of 64x64 images once.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI (its test part).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from ssl_aug.data.base import Dataset
from ssl_aug.data.cached import images_made_once, listed
from ssl_aug.data.layout import refuse_root
from ssl_aug.settings import DataSettings

CLASS_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
VERSION = 1  # another number where the files change
SIZE_PX = 64
NUM_TRAIN, NUM_TEST = 1201, 596


def load(settings: DataSettings) -> Dataset:
    """1,201 training and 596 test images.

    Raises:
        ValueError: `data.root` is set, or the cache cannot be written to.
    """
    refuse_root(settings)
    folder = images_made_once("digits", str(VERSION), materialize)
    return listed("digits", folder, CLASS_NAMES, NUM_TRAIN, NUM_TEST)


def materialize(folder: Path) -> None:
    """Writes `train/<class>/<number>.png` and `test/...`: RGB, 64x64 by bicubic interpolation.

    Of each class a third, rounded down and drawn with seed 0, is the test set.
    """
    digits = load_digits()
    generator = np.random.RandomState(0)
    for label, class_name in enumerate(CLASS_NAMES):
        of_class = generator.permutation(np.flatnonzero(digits.target == label))
        num_test = len(of_class) // 3
        for part, numbers in (("test", of_class[:num_test]), ("train", of_class[num_test:])):
            (folder / part / class_name).mkdir(parents=True)
            for number in numbers:
                pixels = np.rint(digits.images[number] * (255 / 16)).astype(np.uint8)  # the scans have 0..16
                image = Image.fromarray(pixels).resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC)
                image.convert("RGB").save(folder / part / class_name / f"{number:04d}.png")
