"""Latent diffusion models of three sizes with random weights: speed does not depend on what they know."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel, VQModel

from generators import compvis
from generators.conditioning import clip_config
from generators.ldm import LatentDiffusion
from generators.model_facts import SCHEDULE, ModelFacts
from generators.pixel_space import PixelSpace
from ssl_aug.settings import EMBEDDED

MEDIUM: dict[str, Any] = {**compvis.UNET, "block_out_channels": (64, 128, 192, 320), "sample_size": 32}
TINY_CLIP: dict[str, Any] = {  # what a drawing pays for CLIP is next to nothing beside the steps
    "vision_cfg": {"image_size": 32, "patch_size": 16, "width": 64, "layers": 1, "head_width": 64},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
}


@dataclass(frozen=True)
class Size:
    """A UNet and how it is used."""

    unet: dict[str, Any]
    latent_side: int
    guidance: float  # the embedded world's default, or the paper's
    batch: int  # images at once, on a CPU
    steps: int  # evaluations in one call


def size_of(name: str) -> Size:
    """One of NETWORKS."""
    if name == "embedded":
        unet = json.loads((EMBEDDED / "unet.json").read_text(encoding="utf-8"))
        return Size({**unet, "in_channels": 3, "out_channels": 3}, int(unet["sample_size"]), 2.0, 32, 4)
    return Size(MEDIUM, 32, 1.0, 8, 4) if name == "medium" else Size(compvis.UNET, 64, 1.0, 1, 2)


def latents_alone(size: Size) -> LatentDiffusion:
    """A model that draws latents: what takes the steps, without an autoencoder.

    Its random weights predict v: taken for noise, their errors would grow from step to step.
    """
    clip = {"embed_dim": size.unet["cross_attention_dim"], **TINY_CLIP}
    torch.manual_seed(0)
    unet = UNet2DConditionModel(**{name: value for name, value in size.unet.items() if name != "_class_name"})
    facts = ModelFacts(size.latent_side, clip, 10.0, schedule={**SCHEDULE, "prediction_type": "v_prediction"})
    return LatentDiffusion(facts, unet, PixelSpace())


def whole(name: str) -> LatentDiffusion:
    """A model with its own autoencoder and CLIP."""
    torch.manual_seed(0)
    if name == "full":
        facts = ModelFacts(compvis.IMAGE_SIZE, clip_config(compvis.CLIP_NAME), 10.0)
        return LatentDiffusion(facts, UNet2DConditionModel(**compvis.UNET), VQModel(**compvis.AUTOENCODER))
    if name == "medium":  # as the full one, with an autoencoder of half the width, at 128 pixels
        narrow = {**compvis.AUTOENCODER, "block_out_channels": (64, 128, 256)}
        facts = ModelFacts(128, clip_config(compvis.CLIP_NAME), 10.0)
        return LatentDiffusion(facts, UNet2DConditionModel(**MEDIUM), VQModel(**narrow))
    facts = ModelFacts(**json.loads((EMBEDDED / "model.json").read_text(encoding="utf-8")))
    autoencoder = AutoencoderKL.from_config(json.loads((EMBEDDED / "autoencoder.json").read_text(encoding="utf-8")))
    unet = UNet2DConditionModel.from_config(json.loads((EMBEDDED / "unet.json").read_text(encoding="utf-8")))
    return LatentDiffusion(facts, unet, autoencoder)
