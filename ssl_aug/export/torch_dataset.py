"""A labeled set as PyTorch's own kind of dataset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PIL.Image import Image
from torch.utils.data import Dataset

from ssl_aug.data.base import LabeledSet
from ssl_aug.export.pictures import Pictures


class TorchDataset(Dataset[tuple[Any, int]]):
    """A map-style dataset of (picture, class index), as PyTorch's DataLoader takes it.

    `classes`, `targets` and `samples` are those of torchvision's ImageFolder.
    """

    def __init__(self, labeled: LabeledSet, transform: Callable[[Image], Any] | None = None):
        self.pictures = Pictures(labeled.paths)
        self.transform = transform
        self.classes = list(labeled.class_names)
        self.targets = list(labeled.labels)
        self.samples = [(str(example.path), example.label) for example in labeled.examples]

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        picture = self.pictures[index]
        return (self.transform(picture) if self.transform else picture), self.targets[index]
