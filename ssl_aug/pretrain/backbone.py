"""The embedded classifier backbone: a small timm network, its weights on disk and what it is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generators.weights import fill, read_weights
from ssl_aug.files import read_json

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
INPUT_SIZE_PX = 64


def build_backbone(timm_name: str, timm_args: dict[str, Any]) -> nn.Module:
    """The timm network without a classifier: pictures to pooled features."""
    network: nn.Module = timm.create_model(timm_name, pretrained=False, num_classes=0, **timm_args)
    return network


def load_backbone(folder: Path) -> nn.Module:
    """The pretrained backbone of a folder with `backbone.json` and `backbone.safetensors`, in float32.

    Raises:
        ValueError: a damaged file, or weights that are not those of the network that backbone.json names.
    """
    facts = read_json(folder / "backbone.json")
    network = build_backbone(facts["name"], facts["arguments"])
    # BatchNorm's counters are not in the file: nothing reads them
    counters = {name: tensor for name, tensor in network.state_dict().items() if name.endswith("num_batches_tracked")}
    path = folder / "backbone.safetensors"
    fill(network, {**counters, **read_weights(path)}, f"{path} does not fit backbone.json")
    return network


def normalized(images: Tensor) -> Tensor:
    """Pictures (b, 64, 64, 3) uint8 as the network's input (b, 3, 64, 64)."""
    pixels = images.permute(0, 3, 1, 2).float() / 255
    return (pixels - pixels.new_tensor(MEAN)[:, None, None]) / pixels.new_tensor(STD)[:, None, None]


def random_views(pixels: Tensor, crop: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random crops (area in [crop, 1]) and flips of a batch (b, 3, h, w); and which ones were flipped."""
    count = len(pixels)
    scale = (crop + (1 - crop) * torch.rand(count, generator=generator)).sqrt()
    stretch = torch.exp(0.15 * (2 * torch.rand(count, generator=generator) - 1))
    wide, high = (scale * stretch).clamp(max=1), (scale / stretch).clamp(max=1)
    shift = 2 * torch.rand(count, 2, generator=generator) - 1
    flipped = torch.rand(count, generator=generator) < 0.5
    matrix = torch.zeros(count, 2, 3)
    matrix[:, 0, 0] = torch.where(flipped, -wide, wide)
    matrix[:, 1, 1] = high
    matrix[:, 0, 2], matrix[:, 1, 2] = shift[:, 0] * (1 - wide), shift[:, 1] * (1 - high)
    grid = F.affine_grid(matrix.to(pixels.device), list(pixels.shape), align_corners=False)
    views = F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)
    return views, flipped.to(pixels.device)
