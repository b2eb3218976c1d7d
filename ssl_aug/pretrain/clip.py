"""Pretrains the embedded image-text model: an open_clip model of the source world's pictures and captions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from generators.conditioning import ClipEncoder
from generators.masks import erase, mask_box
from ssl_aug.pretrain.training import LoopSettings, train
from ssl_aug.runtime import Placement, derived_seed
from ssl_aug.tuning.batches import pass_after_pass
from ssl_aug.tuning.encodings import images_to_tensor
from ssl_aug.world.scene import VIEWS

CONFIG: dict[str, Any] = {
    "embed_dim": 256,
    # a residual network: as a transformer of its size would, but seven times as fast on a CPU
    "vision_cfg": {"image_size": 64, "layers": [2, 2, 2, 2], "width": 20},
    "text_cfg": {"context_length": 40, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
# Captions alone do not tell similar cars apart: beside matching them, the embedding has to
MODEL_WEIGHT = 2.0  # name the shown model by its direction (NAMING_SCALE: inverse temperature of the cosines), and
NAMING_SCALE = 16.0
SHAPE_WEIGHT = 4.0  # tell the measures of the shown car, in units of their spread.
# What the condition tells, every drawing repeats: it must not tell from where a car is seen. So the embedding
VIEW_ADVERSARY_WEIGHT = 2.0  # hides the view from a network that looks for it, and
VIEW_COVARIANCE_WEIGHT = 10.0  # does not covary with it;
NORM_WEIGHT = 10.0  # and all tokens have one norm, masked pictures' too: a shorter one would read as less of everything
LARGEST_MASK_RATE = 0.7  # half of the training pictures lose a rectangle: masked sampling embeds such pictures
TOKEN_NORM = 16.0  # mean norm of the condition token, sqrt(embed_dim): unit variance per value


def contrastive_loss(image: Tensor, text: Tensor, scale: Tensor) -> Tensor:
    """Symmetric cross-entropy of matching images and texts (CLIP, arXiv:2103.00020, figure 3).

    Args:
        image, text: (b, d) embeddings of unit length; row i of both belong together.
        scale: inverse temperature.
    """
    logits = scale * image @ text.T
    target = torch.arange(len(image), device=image.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def reversed_gradient(values: Tensor, weight: float) -> Tensor:
    """The values; backwards, the gradient times -weight (Ganin and Lempitsky, arXiv:1409.7495, Eq. 11 and 12)."""
    passed = values.view_as(values)
    passed.register_hook(lambda gradient: -weight * gradient)
    return passed


def view_covariance(embedding: Tensor, azimuth: Tensor) -> Tensor:
    """Sum of squared covariances of the embedding's values and the first two harmonics of the azimuth.

    Args:
        embedding: (b, d).
        azimuth: (b,) radians, where the camera stands around the car.
    """
    views = torch.stack([azimuth.cos(), azimuth.sin(), (2 * azimuth).cos(), (2 * azimuth).sin()], dim=1)
    covariances = (embedding - embedding.mean(0)).T @ (views - views.mean(0)) / len(views)
    return covariances.square().sum()


def naming_loss(direction: Tensor, prototypes: Tensor, model_indices: Tensor) -> Tensor:
    """Cross-entropy of scaled cosines with one direction a model, so that all pictures of a model point one way.

    Args:
        direction: (b, d) of unit length.
        prototypes: (m, d).
        model_indices: (b,) which of the m models is shown.
    """
    return F.cross_entropy(NAMING_SCALE * direction @ F.normalize(prototypes, dim=-1).T, model_indices)


def pretrain_clip(
    encoder: ClipEncoder,
    images: np.ndarray,
    captions: Sequence[str],
    model_indices: np.ndarray,
    shapes: np.ndarray,
    azimuths: np.ndarray,
    steps: int,
    batch_size: int,
    place: Placement,
    seed: int,
    folder: Path,
) -> list[float]:
    """Trains both towers in place; returns the loss of each step.

    Besides matching captions, the embedding names the model that a picture shows and tells its measures, so that it
    carries the shape in detail, and hides the view (heads are not kept). At the end the image projection is scaled so
    that tokens have the mean norm TOKEN_NORM.

    Args:
        images: (n, 64, 64, 3) uint8.
        captions: n captions.
        model_indices: (n,) which source model is shown.
        shapes: (n, k) measures of the shown car, of mean 0 and spread about 1; NaN where no car is shown.
        azimuths: (n,) radians, from where the picture is taken.
    """
    torch.manual_seed(seed)
    encoder.model.requires_grad_(True).train()
    heads = nn.ModuleDict(
        {
            "model": nn.Linear(encoder.width, int(model_indices.max()) + 1, bias=False),
            "shape": nn.Linear(encoder.width, shapes.shape[1]),
            "view": nn.Sequential(nn.Linear(encoder.width, 128), nn.ReLU(), nn.Linear(128, len(VIEWS))),
        }
    ).to(place.device)
    encoder.to(place.device, memory_format=torch.channels_last)
    texts = torch.cat([encoder.tokenizer(list(captions[i : i + 4096])) for i in range(0, len(captions), 4096)])
    models, measures = torch.from_numpy(model_indices), torch.from_numpy(shapes).float()
    azimuth = torch.from_numpy(azimuths).float()
    views = (azimuth / (2 * math.pi) * len(VIEWS)).round().long() % len(VIEWS)
    settings = LoopSettings(steps, 1e-3, 0.05, "cosine", warmup_steps=min(200, steps // 10), seed=seed)

    def loss_of_step(step: int) -> Tensor:
        rows = pass_after_pass(len(images), batch_size, step, seed).sort().values
        seeds = [derived_seed("mask", seed, step, position) for position in range(batch_size)]
        batch = masked_half(images_to_tensor(images[rows.numpy()]), seeds, encoder.fill("mean").cpu())
        with place.autocast():
            image = encoder.model.encode_image(encoder.preprocess(batch.to(place.device))).float()
            text = encoder.model.encode_text(texts[rows].to(place.device)).float()
        scale = encoder.model.logit_scale.exp().clamp(max=100)
        direction, shown = F.normalize(image, dim=-1), models[rows].to(place.device)
        token = TOKEN_NORM * direction
        hidden = heads["view"](reversed_gradient(token, VIEW_ADVERSARY_WEIGHT))
        return (
            contrastive_loss(direction, F.normalize(text, dim=-1), scale)
            + MODEL_WEIGHT * naming_loss(direction, heads["model"].weight, shown)
            + SHAPE_WEIGHT * shape_loss(heads["shape"](image), measures[rows].to(place.device))
            + F.cross_entropy(hidden, views[rows].to(place.device))
            + VIEW_COVARIANCE_WEIGHT * view_covariance(image / TOKEN_NORM, azimuth[rows].to(place.device))
            + NORM_WEIGHT * (image.norm(dim=-1) / TOKEN_NORM - 1).square().mean()
        )

    parameters = [*encoder.model.parameters(), *heads.parameters()]
    buffers = [buffer for name, buffer in encoder.model.named_buffers() if "running" in name or "num_batches" in name]
    losses = train(parameters, loss_of_step, settings, folder / "clip.checkpoint.pt", "clip", buffers)
    encoder.cpu().requires_grad_(False).eval()
    sample = images_to_tensor(images[:512])
    with torch.no_grad():
        norm = encoder.embed_images(sample).norm(dim=-1).mean()
        projection = encoder.model.visual.attnpool.c_proj
        projection.weight.mul_(TOKEN_NORM / norm)
        projection.bias.mul_(TOKEN_NORM / norm)
    return losses


def shape_loss(told: Tensor, measures: Tensor) -> Tensor:
    """Mean squared error over the measures (b, k) of the pictures that show a car; 0 where none does."""
    is_car = ~measures.isnan().any(dim=1)
    return (told - measures)[is_car].square().sum() / max(1, int(is_car.sum()) * measures.shape[1])


def masked_half(batch: Tensor, seeds: Sequence[int], fill: Tensor) -> Tensor:
    """The batch (b, 3, s, s); every second picture without its seed's rectangle, of a rate up to LARGEST_MASK_RATE."""
    rates = [LARGEST_MASK_RATE * (one % 1000) / 1000 if position % 2 else 0.0 for position, one in enumerate(seeds)]
    boxes = [mask_box(one, rate, batch.shape[-1]) for one, rate in zip(seeds, rates, strict=True)]
    return erase(batch, boxes, fill)
