"""What the condition tells of toycars: the ten training images whose tokens are nearest to each test image's.

Then those nearest to the conditions of 960 drawings, which are the labeled image's own or borrowed.

python docs/results/scripts/what_the_condition_tells.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from generators import model_folder
from generators.borrowing import borrow, differences, lender
from generators.conditioning import ClipEncoder
from generators.masks import erase, mask_box
from ssl_aug.data.base import Dataset, Split
from ssl_aug.data.build import load_split
from ssl_aug.drawing.lenders import lenders_of
from ssl_aug.settings import EMBEDDED, DataSettings
from ssl_aug.synthetic import make_requests
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


def paints() -> np.ndarray:
    """(n,) paints of the training images."""
    classes, count = range(len(toycars.CLASS_NAMES)), toycars.SPLITS["train"]
    return np.array([toycars.scene(c, "train", n).paint for c in classes for n in range(count)])


def tell_of_drawings(dataset: Dataset, split: Split, known: Tensor, classes: np.ndarray) -> None:
    """Prints what is near to the conditions of ten drawings of each labeled image, but for this image itself."""
    rows = {path: row for row, path in enumerate(dataset.train.paths)}
    labeled = [rows[example.path] for example in lenders_of(split.labeled)]
    is_labeled = np.isin(np.arange(len(known)), labeled)
    names = [toycars.CLASS_NAMES[label] for label in classes[labeled]]
    told = differences(known[labeled], names, known[~is_labeled])
    requests = make_requests(split.labeled, 10, 0)
    sources = np.array([rows[request.source.path] for request in requests])
    own = known[sources][:, None]
    lenders = [lender(request.seed, len(labeled)) for request in requests]
    borrowed = borrow(own, own, [toycars.CLASS_NAMES[label] for label in classes[sources]], lenders, told)
    for name, conditions in (("the labeled image's own", own), ("borrowed", borrowed)):
        apart = torch.cdist(conditions[:, 0], known)
        apart[torch.arange(len(sources)), torch.from_numpy(sources)] = torch.inf
        nearest = apart.topk(10, largest=False).indices.numpy()
        same_class, same_paint = (100 * (of[nearest] == of[sources][:, None]).mean() for of in (classes, paints()))
        print(f"{name}: of the same class {same_class:.1f} %, of the same paint {same_paint:.1f} %")


@torch.no_grad()
def main() -> None:
    """Prints one line per mask rate, then one for each condition."""
    clip, (dataset, split) = model_folder.load(EMBEDDED).clip, load_split(DataSettings())
    known, classes = tokens(clip, dataset.train.paths, 0), np.array(dataset.train.labels)
    for rate in (0, 0.3, 0.5, 0.7):
        nearest = torch.cdist(tokens(clip, dataset.test.paths, rate), known).topk(10, largest=False).indices.numpy()
        same = classes[nearest] == np.array(dataset.test.labels)[:, None]
        turned = np.abs((azimuths("train")[nearest] - azimuths("test")[:, None] + 180) % 360 - 180)
        print(f"mask {rate}: of the same class {100 * same.mean():.1f} %, view {np.median(turned):.0f} degrees away")
    tell_of_drawings(dataset, split, known, classes)


if __name__ == "__main__":
    main()
