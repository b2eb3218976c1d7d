"""Labeled sets as live objects of other libraries; each library need be there only when its function is called.

from ssl_aug.export.live import load, torch_dataset

split = load("data=image_folder", "data.root=/data/birds")  # the words of the command line
train = torch_dataset(split.labeled, transform)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from ssl_aug.command_line import compose
from ssl_aug.data.base import Example, LabeledSet, Split
from ssl_aug.data.build import load_and_tell
from ssl_aug.data.reading import read_square
from ssl_aug.export.pictures import Pictures
from ssl_aug.settings import Settings
from ssl_aug.synthetic import open_for, with_words_of_set

if TYPE_CHECKING:
    from ssl_aug.export.torch_dataset import TorchDataset


def load(*words: str, augment: bool = True) -> Split:
    """The few-label split of these settings, its labeled set with the synthetic images.

    Args:
        words: as for `python -m ssl_aug.generate`; of a finished set `synthetic.root=DIR` is enough.
        augment: false for the real images alone; nothing need have been drawn then.

    Raises:
        ValueError, FileNotFoundError: a wrong word, missing data, or no synthetic set of these settings.
    """
    settings = compose("generate", with_words_of_set(words), Settings)
    _, split = load_and_tell(settings.data)
    if not augment:
        return split
    return replace(split, labeled=split.labeled.with_synthetic(open_for(split.labeled, settings)))


def torch_dataset(labeled: LabeledSet, transform: Callable[[Image], Any] | None = None) -> TorchDataset:
    """The set as a `torch.utils.data.Dataset` of (picture, class index). Needs `torch`, which this imports.

    Args:
        transform: RGB picture -> anything; None: the picture as it is.
    """
    from ssl_aug.export.torch_dataset import TorchDataset

    return TorchDataset(labeled, transform)


def huggingface_dataset(labeled: LabeledSet) -> Any:
    """The set as a `datasets.Dataset` with the columns `image` and `label` (a ClassLabel). Needs `datasets`."""
    import datasets

    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=list(labeled.class_names))}
    )
    columns = {"image": [str(path) for path in labeled.paths], "label": list(labeled.labels)}
    return datasets.Dataset.from_dict(columns, features=features)


def semilearn_datasets(split: Split, algorithm: str, weak: Any, strong: Any, evaluation: Any) -> tuple[Any, Any, Any]:
    """(labeled, unlabeled, test) as USB's `BasicDataset`. Needs `semilearn`.

    Set `config.ulb_dest_len = len(unlabeled)` before building the algorithm: FlexMatch asks for it.

    Args:
        algorithm: USB's name of it; "fullysupervised" and others are given other views.
        weak, strong, evaluation: transforms from a PIL picture to a tensor.
    """
    from semilearn.datasets.cv_datasets.datasetbase import BasicDataset

    num_classes = len(split.labeled.class_names)

    def dataset(paths: Sequence[Path], labels: Sequence[int], transform: Any, is_unlabeled: bool) -> Any:
        return BasicDataset(
            alg=algorithm, data=Pictures(paths), targets=list(labels), num_classes=num_classes,
            transform=transform, is_ulb=is_unlabeled, strong_transform=strong,
        )  # fmt: skip

    return (
        dataset(split.labeled.paths, split.labeled.labels, weak, False),
        dataset(split.unlabeled, [0] * len(split.unlabeled), weak, True),
        dataset(split.test.paths, split.test.labels, evaluation, False),
    )


def arrays(labeled: LabeledSet, image_size: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """(n, image_size, image_size, 3) uint8 pixels and (n,) class indices."""
    pixels = np.empty((len(labeled), image_size, image_size, 3), dtype=np.uint8)
    for row, path in zip(pixels, labeled.paths, strict=True):
        row[:] = read_square(path, image_size)
    return pixels, np.array(labeled.labels, dtype=np.int64)


def sklearn_arrays(split: Split, image_size: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """X and y as scikit-learn's semi-supervised estimators take them: labeled rows, then unlabeled ones with y = -1.

    X is (n, image_size * image_size * 3), pixels in [0, 1].
    """
    unlabeled = LabeledSet(tuple(Example(path, -1) for path in split.unlabeled), split.labeled.class_names)
    parts = [arrays(labeled, image_size) for labeled in (split.labeled, unlabeled)]
    rows = [part[0].reshape(len(part[0]), image_size * image_size * 3) for part in parts]
    pixels = np.concatenate(rows).astype(np.float32) / np.float32(255)
    return pixels, np.concatenate([part[1] for part in parts])
