"""A labeled folder of small pictures, networks that are done in milliseconds, and steps of methods on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks.methods import build_method
from benchmarks.methods.base import Classifier, Labeled, Method, Unlabeled

MakeClassifier = Callable[..., Classifier]
NUM_CLASSES = 4
NUM_UNLABELED = 24  # twice a batch: half of the images are not seen in a step
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
def make_classifier() -> MakeClassifier:
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


def outputs_of(model: Classifier) -> list[Tensor]:
    """A list that grows by the logits of every pass that the model makes from now on."""
    seen: list[Tensor] = []
    model.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()))
    return seen


def logits(seed: int, rows: int = 40, scale: float = 3.0) -> Tensor:
    """Of images, (rows, c), some of them confident; in float64, so that a loop over images agrees to 1e-9."""
    return scale * torch.randn(rows, NUM_CLASSES, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ready(settings: Any, model: Classifier) -> Method:
    """The method of these settings, with its own parameters drawn from one seed."""
    torch.manual_seed(7)
    return build_method(settings, model, NUM_UNLABELED)


def gradients_of(settings: Any, model: Classifier, progress: float = 0.5) -> dict[str, Tensor]:
    """The model's gradients after one step of the method."""
    method = ready(settings, model)
    unlabeled = random_unlabeled(0) if method.uses_unlabeled else None
    output = method(model, random_labeled(0), unlabeled, progress)
    model.zero_grad(set_to_none=True)
    torch.stack(list(output.losses.values())).sum().backward()
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


def assert_same_gradients(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, gradient in one.items():
        torch.testing.assert_close(gradient, other[name], rtol=1e-5, atol=1e-7)
