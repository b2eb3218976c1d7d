"""The judge: a classifier that was trained on all labels of the real training images, to tell whether a synthetic
image shows the class of its reference. It never sees a synthetic image.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
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

BATCH_SIZE = 250  # images that the trained judge sees at once


@dataclass(frozen=True)
class JudgeSettings:
    """How the judge is trained."""

    steps: int = 1500
    batch_size: int = 64
    learning_rate: float = 1e-3  # AdamW's peak, cosine to 0
    weight_decay: float = 0.05
    smallest_crop: float = 0.5  # smallest area of the random crop, share of the picture
    seed: int = 0


@dataclass(frozen=True)
class Judge:
    """A trained classifier."""

    network: nn.Module

    @torch.no_grad()
    def logits(self, images: np.ndarray, place: Placement) -> Tensor:
        """(n, s, s, 3) uint8 -> (n, c) on the CPU."""
        self.network.to(place.device).eval()
        batches = torch.from_numpy(images).split(BATCH_SIZE)
        return torch.cat([self.network(normalized(batch.to(place.device))).float().cpu() for batch in batches])


def trained_judge(dataset: Dataset, backbone_folder: Path, settings: JudgeSettings, place: Placement) -> Judge:
    """The judge of a dataset, from the cache where it was trained before.

    Args:
        backbone_folder: `backbone.json` and `backbone.safetensors` that it starts from.
    """
    start = content_hash(backbone_folder / "backbone.safetensors")
    key = short_hash([file_list_id(dataset.train.paths), list(dataset.train.labels), start, asdict(settings)])
    network = _network(backbone_folder, len(dataset.train.class_names))

    def make(folder: Path) -> None:
        _fit(network, dataset.train, settings, place, folder)
        write_json(folder / "judge.json", {"settings": asdict(settings)})
        write_weights(network.state_dict(), folder / "judge.safetensors", "use precision=fp32")

    folder = made_once(f"judge-{dataset.name}-{key}", make)
    network.load_state_dict(read_weights(folder / "judge.safetensors"))
    return Judge(network.eval())


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
