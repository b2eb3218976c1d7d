"""The judge: a classifier that was trained on all labels of the real training images, to tell whether a synthetic
image shows the class of its reference. It never sees a synthetic image.

On the data that come with the package it is the embedded backbone, trained further; on others, which that does not
know, a linear classifier on the features that distances are measured in.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional as F

from generators.kept_weights import write_weights
from generators.weights import read_weights
from ssl_aug.data.base import Dataset, LabeledSet, file_list_id
from ssl_aug.data.cached import made_once
from ssl_aug.data.contents import content_hash
from ssl_aug.data.reading import read_square
from ssl_aug.files import write_json
from ssl_aug.pretrain.backbone import INPUT_SIZE_PX, load_backbone, normalized, random_views
from ssl_aug.pretrain.training import LoopSettings, train
from ssl_aug.runtime import Placement, derived_seed
from ssl_aug.settings import short_hash
from ssl_aug.tuning.batches import pass_after_pass

PENALTIES = tuple(10.0**power for power in range(-1, 6))  # of the linear judge, chosen by leaving one image out


@dataclass(frozen=True)
class JudgeSettings:
    """How the judge is trained."""

    steps: int = 1500
    batch_size: int = 64
    learning_rate: float = 1e-3  # AdamW's peak, cosine to 0
    weight_decay: float = 0.05
    smallest_crop: float = 0.5  # smallest area of the random crop, share of the picture
    seed: int = 0


class NetworkJudge:
    """A trained network that looks at pixels."""

    size_px: int | None = INPUT_SIZE_PX

    def __init__(self, network: nn.Module, num_classes: int, place: Placement):
        self._network, self.num_classes, self._place = network.to(place.device).eval(), num_classes, place
        self.told = "a network trained on all labels"

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """(b, s, s, 3) uint8 -> (b, c) on the CPU."""
        return self._network(normalized(images.to(self._place.device))).float().cpu()


class LinearJudge:
    """A linear classifier on features (ridge regression of the classes, penalty by leave-one-out)."""

    size_px: int | None = None

    def __init__(self, features: Tensor, labels: Tensor):
        """
        Args:
            features: (n, d) of real training images.
            labels: (n,) two classes or more.
        """
        self._fitted: Any = make_pipeline(StandardScaler(), RidgeClassifierCV(PENALTIES))
        self._fitted.fit(features.double().numpy(), labels.numpy())
        self.told = f"a linear classifier on the features, fitted to {len(features)} labels"

    def labels(self, features: Tensor) -> Tensor:
        """(b, d) -> (b,) class indices."""
        return torch.from_numpy(self._fitted.predict(features.double().numpy()))


Judge = NetworkJudge | LinearJudge


def trained_judge(dataset: Dataset, backbone_folder: Path, settings: JudgeSettings, place: Placement) -> NetworkJudge:
    """The judge of a dataset, from the cache where it was trained before.

    Args:
        backbone_folder: `backbone.json` and `backbone.safetensors` that it starts from.
    """
    start = content_hash(backbone_folder / "backbone.safetensors")
    key = short_hash([file_list_id(dataset.train.paths), list(dataset.train.labels), start, asdict(settings)])
    network = _network(backbone_folder, len(dataset.train.class_names))

    def make(folder: Path) -> None:
        print(
            f"training the judge of {dataset.name} for {settings.steps} steps on the labels of {len(dataset.train)} "
            "real images; it is kept",
            file=sys.stderr, flush=True,
        )  # fmt: skip
        _fit(network, dataset.train, settings, place, folder)
        write_json(folder / "judge.json", {"settings": asdict(settings)})
        write_weights(network.state_dict(), folder / "judge.safetensors", "use precision=fp32")

    folder = made_once(f"judge-{dataset.name}-{key}", make)
    network.load_state_dict(read_weights(folder / "judge.safetensors"))
    return NetworkJudge(network, len(dataset.train.class_names), place)


def read_images(paths: tuple[Path, ...]) -> np.ndarray:
    """Image files as (n, 64, 64, 3) uint8, scaled and cut to the central square."""
    return np.stack([read_square(path, INPUT_SIZE_PX) for path in paths])


def _network(backbone_folder: Path, num_classes: int) -> nn.Module:
    backbone = load_backbone(backbone_folder)
    torch.manual_seed(0)
    return nn.Sequential(backbone, nn.Linear(int(backbone.num_features), num_classes))


def _fit(network: nn.Module, labeled: LabeledSet, settings: JudgeSettings, place: Placement, folder: Path) -> None:
    images, labels = read_images(labeled.paths), torch.tensor(labeled.labels)
    network.to(place.device, memory_format=torch.channels_last).train()
    loop = LoopSettings(
        settings.steps, settings.learning_rate, settings.weight_decay, "cosine", settings.steps // 20,
        seed=settings.seed,
    )  # fmt: skip

    def loss_of_step(step: int) -> Tensor:
        rows = pass_after_pass(len(images), settings.batch_size, step, settings.seed)
        pixels = normalized(torch.from_numpy(images[rows.numpy()]).to(place.device))
        generator = torch.Generator().manual_seed(derived_seed("judge", settings.seed, step))
        views, _ = random_views(pixels, settings.smallest_crop, generator)
        with place.autocast():
            logits = network(views.contiguous(memory_format=torch.channels_last))
        return F.cross_entropy(logits.float(), labels[rows].to(place.device))

    checkpoint = folder / "judge.checkpoint.pt"
    train(list(network.parameters()), loss_of_step, loop, checkpoint, "training the judge", list(network.buffers()))
    checkpoint.unlink()
