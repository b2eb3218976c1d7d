"""Pretrains the embedded autoencoder: 64x64 pictures to 16x16 latents and back; then its decoder for what CLIP sees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional as F

from generators.conditioning import ClipEncoder
from generators.ldm import LatentDiffusion
from ssl_aug.pretrain.training import LoopSettings, train
from ssl_aug.runtime import Placement
from ssl_aug.tuning.batches import pass_after_pass
from ssl_aug.tuning.encodings import images_to_tensor

PIXEL_FOLD = 4  # all 16x16 convolutions: narrow layers at full resolution are slow on CPUs
KL_WEIGHT = 1e-6  # keeps the latents' scale bounded, as in latent diffusion's KL autoencoders
EDGE_WEIGHT = 0.5  # of the difference of neighboring pixels, beside the pixels themselves
PERCEPTUAL_WEIGHT = 1.0  # of the distance in CLIP's features, beside the reconstruction loss
LARGEST_NOISE = 0.08  # standard deviation of noise on the decoder's scaled latents: a network's are never exact


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


def perceptual_distance(features: Sequence[Tensor], others: Sequence[Tensor]) -> Tensor:
    """Squared distance of feature maps that are of unit length at each place (LPIPS, arXiv:1801.03924, Eq. 1, w = 1).

    Args:
        features, others: maps (b, c, h, w), each sequence of one image tower's layers.

    Deviations: the mean over the layers, not their sum, so that the weight beside other losses depends less on them.
    """
    pairs = zip(features, others, strict=True)
    layers = [(F.normalize(a, dim=1) - F.normalize(b, dim=1)).square().sum(dim=1).mean() for a, b in pairs]
    return torch.stack(layers).mean()


def image_features(clip: ClipEncoder, images: Tensor) -> list[Tensor]:
    """Feature maps of the residual image tower: two of its stem at half the images' size, and its first three layers.

    Args:
        images: (b, 3, h, w) in [-1, 1].
    """
    tower = clip.model.visual
    fine = tower.act1(tower.bn1(tower.conv1(clip.preprocess(images))))
    stem = tower.act3(tower.bn3(tower.conv3(tower.act2(tower.bn2(tower.conv2(fine))))))
    first = tower.layer1(tower.avgpool(stem))
    second = tower.layer2(first)
    return [fine, stem, first, second, tower.layer3(second)]


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
        chosen = pass_after_pass(len(images), batch_size, step, seed).sort().values.numpy()
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


def sharpen_decoder(
    model: LatentDiffusion, images: np.ndarray, steps: int, batch_size: int, place: Placement, seed: int, folder: Path
) -> list[float]:
    """Trains the decoder in place, for pictures that look right to CLIP too; returns the loss of each step.

    The encoder and its latents stay, so a network that draws such latents stays valid. Pixels alone make every edge
    that the latents leave open a soft one, in the middle of where it may be; soft edges have other features.
    """
    model.to(place.device, memory_format=torch.channels_last)
    parts = (model.autoencoder.post_quant_conv, model.autoencoder.decoder)
    weights = [parameter.requires_grad_(True) for part in parts for parameter in part.parameters()]
    settings = LoopSettings(steps, 4e-4, schedule="cosine", warmup_steps=min(50, steps // 10), seed=seed)

    def loss_of_step(step: int) -> Tensor:
        chosen = pass_after_pass(len(images), batch_size, step, seed).sort().values.numpy()
        batch = images_to_tensor(images[chosen]).to(place.device)
        noise = LARGEST_NOISE * torch.rand(len(batch), 1, 1, 1) * torch.randn(len(batch), *model.latent_shape)
        with place.autocast():
            latents = (model.encode(batch) + noise.to(place.device)) / model.facts.latent_scale
            decoded = F.pixel_shuffle(model.autoencoder.decode(latents).sample.float(), PIXEL_FOLD)
            with torch.no_grad():
                wanted = image_features(model.clip, batch)
            found = image_features(model.clip, decoded)
        distance = perceptual_distance([one.float() for one in found], [one.float() for one in wanted])
        return reconstruction_loss(decoded, batch) + PERCEPTUAL_WEIGHT * distance

    losses = train(weights, loss_of_step, settings, folder / "decoder.checkpoint.pt", "decoder")
    model.cpu().eval()
    return losses
