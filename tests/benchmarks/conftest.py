"""A labeled folder of small pictures, and networks that are done in milliseconds."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from benchmarks.methods.base import Classifier, Labeled, Unlabeled
from benchmarks.run import settings_from
from benchmarks.single_run import run

NUM_CLASSES = 4
COLORS = np.array([(200, 40, 40), (40, 200, 40), (40, 40, 200), (190, 190, 40)])


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train/<class>/ with 8 and test/<class>/ with 4 pictures of 24x20 pixels; the color tells the class."""
    root = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 4)):
        for label, color in enumerate(COLORS):
            folder = root / split / f"class_{label}"
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = color + generator.normal(0, 25, (20, 24, 3))
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.png")
    return root


@pytest.fixture
def words(pictures: Path, tmp_path: Path, precision: str) -> list[str]:
    """The command line of a run that takes a second."""
    return [
        "data=image_folder",
        f"data.root={pictures}",
        "data.labels_per_class=2",
        "model=tiny",
        "model.bottleneck_width=16",
        "device=cpu",
        f"precision={precision}",
        f"runs={tmp_path / 'runs'}",
        "train.steps=7",
        "train.batch_size=4",
        "train.unlabeled_batch_size=6",
        "train.eval_every=4",
        "train.log_every=1",
    ]


def build_classifier(batch_norm: bool = True, seed: int = 0) -> Classifier:
    """Two layers with BatchNorm, or without it where a test compares different sets of forward passes."""
    torch.manual_seed(seed)
    backbone = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    norm: nn.Module = nn.BatchNorm1d(8) if batch_norm else nn.Identity()
    bottleneck = nn.Sequential(nn.Linear(24, 8), norm, nn.ReLU())
    return Classifier(backbone, bottleneck, nn.Linear(8, NUM_CLASSES))


@pytest.fixture
def make_classifier() -> Callable[..., Classifier]:
    return build_classifier


def random_labeled(step: int, size: int = 8) -> Labeled:
    """A batch of noise; the same one for the same step."""
    generator = torch.Generator().manual_seed(step)
    target = torch.randint(NUM_CLASSES, (size,), generator=generator)
    pictures = torch.randn(2, size, 3, 9, 9, generator=generator)
    return Labeled(pictures[0], pictures[1], target, torch.arange(size), torch.ones(size))


def random_unlabeled(step: int, size: int = 12) -> Unlabeled:
    generator = torch.Generator().manual_seed(1000 + step)
    pictures = torch.randn(2, size, 3, 9, 9, generator=generator)
    return Unlabeled(pictures[0], pictures[1], torch.arange(size))


def trained(words: list[str]) -> Path:
    return run(settings_from(words))


def read_log(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def assert_same_weights(a: Path, b: Path) -> None:
    weights_a, weights_b = load_file(a / "last.safetensors"), load_file(b / "last.safetensors")
    assert weights_a.keys() == weights_b.keys()
    for name, value in weights_a.items():
        assert torch.equal(value, weights_b[name]), name
