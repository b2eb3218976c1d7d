"""Pretrains the embedded image-text model: an open_clip model of the source world's pictures and captions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from generators.conditioning import ClipEncoder
from generators.masks import erase, mask_box
from ssl_aug.encodings import images_to_tensor
from ssl_aug.runtime import Placement, derived_seed
from ssl_aug.training import LoopSettings, batch_indices, train

CONFIG: dict[str, Any] = {
    "embed_dim": 256,
    "vision_cfg": {"image_size": 64, "patch_size": 8, "width": 160, "layers": 6, "head_width": 32},
    "text_cfg": {"context_length": 40, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
}
MODEL_WEIGHT = 1.0  # of naming the shown model, beside matching captions: captions alone do not tell similar cars apart
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


def pretrain_clip(
    images: np.ndarray,
    captions: Sequence[str],
    model_indices: np.ndarray,
    steps: int,
    batch_size: int,
    place: Placement,
    seed: int,
    folder: Path,
) -> tuple[ClipEncoder, list[float]]:
    """Trains both towers from nothing.

    Besides matching captions, a linear head (not kept) names the model that a picture shows, so that the embedding
    carries the shape in detail. At the end the image projection is scaled so that tokens have norm TOKEN_NORM.

    Args:
        images: (n, 64, 64, 3) uint8.
        captions: n captions.
        model_indices: (n,) which source model is shown.

    Returns:
        The encoder on the CPU, and the loss of each step.
    """
    torch.manual_seed(seed)
    encoder = ClipEncoder(CONFIG, TOKEN_NORM)
    encoder.model.requires_grad_(True).train()
    head = nn.Linear(encoder.width, int(model_indices.max()) + 1)
    encoder.to(place.device)
    head.to(place.device)
    texts = torch.cat([encoder.tokenizer(list(captions[i : i + 4096])) for i in range(0, len(captions), 4096)])
    models = torch.from_numpy(model_indices)
    settings = LoopSettings(steps, 1e-3, 0.05, "cosine", warmup_steps=min(200, steps // 10), seed=seed)

    def loss_of_step(step: int) -> Tensor:
        rows = batch_indices(len(images), batch_size, step, seed).sort().values
        batch = masked_half(images_to_tensor(images[rows.numpy()]), step, seed, encoder.fill("mean").cpu())
        with place.autocast():
            image = encoder.model.encode_image(encoder.preprocess(batch.to(place.device))).float()
            text = encoder.model.encode_text(texts[rows].to(place.device)).float()
        scale = encoder.model.logit_scale.exp().clamp(max=100)
        matching = contrastive_loss(F.normalize(image, dim=-1), F.normalize(text, dim=-1), scale)
        return matching + MODEL_WEIGHT * F.cross_entropy(head(image), models[rows].to(place.device))

    parameters = [*encoder.model.parameters(), *head.parameters()]
    losses = train(parameters, loss_of_step, settings, folder / "clip.checkpoint.pt", "clip")
    encoder.cpu().requires_grad_(False).eval()
    sample = images_to_tensor(images[:512])
    with torch.no_grad():
        norm = encoder.embed_images(sample).norm(dim=-1).mean()
        encoder.model.visual.proj.mul_(TOKEN_NORM / norm)
    return encoder, losses


def masked_half(batch: Tensor, step: int, seed: int, fill: Tensor) -> Tensor:
    """The batch (b, 3, s, s); every second picture without a random rectangle, of a rate up to LARGEST_MASK_RATE."""
    seeds = [derived_seed("mask", seed, step, position) for position in range(len(batch))]
    rates = [LARGEST_MASK_RATE * (one % 1000) / 1000 if position % 2 else 0.0 for position, one in enumerate(seeds)]
    boxes = [mask_box(one, rate, batch.shape[-1]) for one, rate in zip(seeds, rates, strict=True)]
    return erase(batch, boxes, fill)
