"""Pretrains the embedded autoencoder: 64x64 pictures to 16x16 latents and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional as F

from ssl_aug.encodings import images_to_tensor
from ssl_aug.runtime import Placement
from ssl_aug.training import LoopSettings, batch_indices, train

PIXEL_FOLD = 4  # all 16x16 convolutions: narrow layers at full resolution are slow on CPUs
KL_WEIGHT = 1e-6  # keeps the latents' scale bounded, as in latent diffusion's KL autoencoders
EDGE_WEIGHT = 0.5  # of the difference of neighbouring pixels, beside the pixels themselves


def make_autoencoder() -> AutoencoderKL:
    """About 2.5 million parameters; takes pictures whose 4x4 patches are folded into 48 channels."""
    return AutoencoderKL(
        in_channels=3 * PIXEL_FOLD**2,
        out_channels=3 * PIXEL_FOLD**2,
        down_block_types=("DownEncoderBlock2D",),
        up_block_types=("UpDecoderBlock2D",),
        block_out_channels=(128,),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=16,
        sample_size=64 // PIXEL_FOLD,
        mid_block_add_attention=False,
    )


def reconstruction_loss(decoded: Tensor, images: Tensor) -> Tensor:
    """Absolute and squared error of pixels, and absolute error of their differences to the right and below.

    Args:
        decoded, images: (b, 3, h, w) in [-1, 1].
    """
    error = decoded - images
    edges = (error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()) / 2
    return error.abs().mean() + error.square().mean() + EDGE_WEIGHT * edges


def psnr(decoded: Tensor, images: Tensor) -> float:
    """Peak signal-to-noise ratio in dB, mean over images in [-1, 1] (peak 2)."""
    squared = (decoded.clamp(-1, 1) - images).square().flatten(1).mean(dim=1)
    return float((10 * torch.log10(4 / squared)).mean())


def pretrain_autoencoder(
    model: AutoencoderKL, images: np.ndarray, steps: int, batch_size: int, place: Placement, seed: int, folder: Path
) -> list[float]:
    """Trains the model in place on (n, 64, 64, 3) uint8 pictures; returns the loss of each step."""
    model.to(place.device, memory_format=torch.channels_last).train()
    settings = LoopSettings(steps, 1e-3, schedule="cosine", warmup_steps=min(100, steps // 10), seed=seed)

    def loss_of_step(step: int) -> Tensor:
        chosen = batch_indices(len(images), batch_size, step, seed).sort().values.numpy()
        batch = images_to_tensor(images[chosen]).to(place.device)
        folded = F.pixel_unshuffle(batch, PIXEL_FOLD).contiguous(memory_format=torch.channels_last)
        with place.autocast():
            posterior = model.encode(folded).latent_dist
            decoded = model.decode(posterior.sample()).sample
        kl = posterior.kl().float().mean()
        return reconstruction_loss(F.pixel_shuffle(decoded.float(), PIXEL_FOLD), batch) + KL_WEIGHT * kl

    losses = train(
        list(model.parameters()), loss_of_step, settings, folder / "autoencoder.checkpoint.pt", "autoencoder"
    )
    model.cpu().eval()
    return losses
