"""What the condition tells of toycars: the ten training images whose tokens are nearest to each test image's.

python docs/results/scripts/what_the_condition_tells.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from generators import model_folder
from generators.conditioning import ClipEncoder
from generators.masks import erase, mask_box
from ssl_aug.data.build import load_dataset
from ssl_aug.settings import EMBEDDED, DataSettings
from ssl_aug.tuning.encodings import read_batch
from ssl_aug.world import toycars


def tokens(clip: ClipEncoder, paths: Sequence[Path], mask_rate: float) -> Tensor:
    """(n, d) CLIP embeddings of images without a rectangle of `mask_rate` of their side, one seed per image."""
    images = read_batch(paths, 64)
    boxes = [mask_box(seed, mask_rate, 64) for seed in range(len(images))]
    return torch.cat([clip.embed_images(part)[:, 0] for part in erase(images, boxes, clip.fill("mean")).split(200)])


def azimuths(split: str) -> np.ndarray:
    """(n,) view angles of a split's images, in degrees."""
    classes, count = range(len(toycars.CLASS_NAMES)), toycars.SPLITS[split]
    return np.array([toycars.scene(c, split, n).azimuth_deg for c in classes for n in range(count)])


@torch.no_grad()
def main() -> None:
    """Prints one line per mask rate."""
    clip, dataset = model_folder.load(EMBEDDED).clip, load_dataset(DataSettings())
    known, classes = tokens(clip, dataset.train.paths, 0), np.array(dataset.train.labels)
    for rate in (0, 0.3, 0.5, 0.7):
        nearest = torch.cdist(tokens(clip, dataset.test.paths, rate), known).topk(10, largest=False).indices.numpy()
        same = classes[nearest] == np.array(dataset.test.labels)[:, None]
        turned = np.abs((azimuths("train")[nearest] - azimuths("test")[:, None] + 180) % 360 - 180)
        print(f"mask {rate}: of the same class {100 * same.mean():.1f} %, view {np.median(turned):.0f} degrees away")


if __name__ == "__main__":
    main()
