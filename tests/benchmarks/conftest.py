"""A labeled folder of small pictures, networks that are done in milliseconds, and steps of methods on them."""

from __future__ import annotations

import csv
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from benchmarks.methods import METHODS, build_method
from benchmarks.methods.base import Classifier, Labeled, Method, StepOutput, Unlabeled
from benchmarks.methods.erm import ERMSettings
from benchmarks.run import settings_from
from benchmarks.single_run import run

MakeClassifier = Callable[..., Classifier]
NUM_CLASSES = 4
NUM_LABELED = 16  # twice a batch: half of the images are not seen in a step
NUM_UNLABELED = 24  # likewise
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


def methods_with(setting: str) -> list[str]:
    """The methods that have a setting of this name."""
    return [name for name, (_, schema) in METHODS.items() if setting in inspect.get_annotations(schema)]


def random_labeled(step: int, size: int = 8, num_more: int = 0) -> Labeled:
    """A batch of noise; the same one for the same step, and with as many further views as are asked for."""
    generator = torch.Generator().manual_seed(step)
    target = torch.randint(NUM_CLASSES, (size,), generator=generator)
    pictures = torch.randn(2, size, 3, 9, 9, generator=generator)
    more = torch.randn(num_more, size, 3, 9, 9, generator=generator)
    return Labeled(pictures[0], pictures[1], target, torch.arange(size), torch.ones(size), more)


def random_unlabeled(step: int, size: int = 12, num_more: int = 0) -> Unlabeled:
    generator = torch.Generator().manual_seed(1000 + step)
    pictures = torch.randn(2, size, 3, 9, 9, generator=generator)
    more = torch.randn(num_more, size, 3, 9, 9, generator=generator)
    return Unlabeled(pictures[0], pictures[1], torch.arange(size), more)


def batch_for(method: Method, step: int) -> tuple[Labeled, Unlabeled | None]:
    """The random batch of a step, with the views that the method asks for."""
    more, more_unlabeled = len(method.view_kinds.labeled) - 2, len(method.view_kinds.unlabeled) - 2
    unlabeled = random_unlabeled(step, num_more=more_unlabeled) if method.uses_unlabeled else None
    return random_labeled(step, num_more=more), unlabeled


def logits(seed: int, rows: int = 40, scale: float = 3.0) -> Tensor:
    """Of images, (rows, c), some of them confident; in float64, so that a loop over images agrees to 1e-9."""
    return scale * torch.randn(rows, NUM_CLASSES, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ready(settings: Any, model: Classifier) -> Method:
    """The method of these settings, with its own parameters drawn from one seed."""
    torch.manual_seed(7)
    return build_method(settings, model, NUM_LABELED, NUM_UNLABELED)


def confident_step(settings: Any, progress: float = 0.0) -> tuple[StepOutput, list[Tensor]]:
    """A step on the random batch of step 0, by a model that is sure of some images; its passes' logits, in order."""
    model = build_classifier()
    model.head.weight.data.mul_(4)
    seen: list[Tensor] = []
    model.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()))
    method = ready(settings, model)
    return method(model, *batch_for(method, 0), progress), seen


def assert_erms_gradients(settings: Any) -> None:
    """A step of these settings moves a model as ERM's does, whose strong views weigh 0.1; without BatchNorm, because
    the two pass other views."""
    found = []
    for one in (settings, ERMSettings(strong_weight=0.1)):
        model = build_classifier(batch_norm=False)
        method = ready(one, model)
        output = method(model, *batch_for(method, 0), 0.5)
        torch.stack(list(output.losses.values())).sum().backward()
        found.append([parameter.grad for parameter in model.parameters()])
    for gradient, expected in zip(*found, strict=True):
        assert gradient is not None and expected is not None
        torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-7)


def trained(words: list[str]) -> Path:
    """The folder of a run; methods that look with a CLIP look with the embedded one."""
    has_clip = any(word in ("method=clip_probe", "method=clip_means") for word in words)
    return run(settings_from([*words, "method.clip=embedded"] if has_clip else words))


def read_log(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def assert_same_weights(a: Path, b: Path) -> None:
    weights_a, weights_b = load_file(a / "last.safetensors"), load_file(b / "last.safetensors")
    assert weights_a.keys() == weights_b.keys()
    for name, value in weights_a.items():
        assert torch.equal(value, weights_b[name]), name
