"""Pretrains the embedded UNet: the conditional latent diffusion model of the source world."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor

from generators.conditioning import ClipEncoder
from generators.ldm import LatentDiffusion, zero_initialize
from generators.losses import training_loss
from generators.model_facts import ModelFacts
from generators.sampling import alphas_cumprod
from ssl_aug.pretrain.autoencoder import PIXEL_FOLD
from ssl_aug.pretrain.clip import CONFIG
from ssl_aug.pretrain.training import LoopSettings, train
from ssl_aug.runtime import Placement
from ssl_aug.tuning.batches import pass_after_pass
from ssl_aug.tuning.encodings import Encodings

IMAGE_SIZE = 64  # pixels
# The first 800 of cin256-v2's 1000 levels. The last ones have 15 to 84 times as much noise as signal: a small model's
# error there is multiplied by as much, and one drawing in ten came out as noise. For the same reason it predicts v.
SCHEDULE = {
    "num_train_timesteps": 800,
    "beta_start": 0.0015,
    "beta_end": 0.0142658382,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
}
NULL_SHARE = 0.1  # of training images whose token is the null token, so that guidance is possible


def make_unet() -> UNet2DConditionModel:
    """About 10 million parameters; attention at 8x8 and 4x4, none at 16x16, as in the paper's model none at the top."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        block_out_channels=(48, 128, 176),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=CONFIG["embed_dim"],
        attention_head_dim=4,  # diffusers' name for the number of heads
        norm_num_groups=16,
    )


def assemble(autoencoder: AutoencoderKL, clip: ClipEncoder, latent_scale: float, seed: int) -> LatentDiffusion:
    """The whole model with an untrained UNet.

    Args:
        latent_scale: one over the standard deviation of the autoencoder's latents.
    """
    torch.manual_seed(seed)
    unet = make_unet()
    zero_initialize(unet)
    facts = ModelFacts(IMAGE_SIZE, clip.config, clip.image_norm, latent_scale, PIXEL_FOLD, dict(SCHEDULE))
    model = LatentDiffusion(facts, unet, autoencoder)
    model.clip.load_state_dict(clip.state_dict())
    return model


def pretrain_unet(
    model: LatentDiffusion,
    encodings: Encodings,
    steps: int,
    batch_size: int,
    learning_rate: float,
    place: Placement,
    seed: int,
    folder: Path,
    compiled: bool = False,
) -> list[float]:
    """Trains the model's UNet in place on latents and tokens; returns the loss of each step.

    Args:
        learning_rate: at the end of the warm-up, the highest.
        compiled: whether PyTorch compiles the network first, which takes minutes and a C++ compiler.
    """
    unet = model.unet.to(place.device, memory_format=torch.channels_last).train().requires_grad_(True)
    alpha_bar = alphas_cumprod(model.facts.schedule).to(place.device)
    loss = training_loss(model.facts.schedule)
    settings = LoopSettings(steps, learning_rate, schedule="cosine", warmup_steps=min(200, steps // 10), seed=seed)
    predict = partial(model.predict, unet=torch.compile(unet) if compiled else unet)

    def loss_of_step(step: int) -> Tensor:
        latents, tokens = encodings.rows(pass_after_pass(len(encodings), batch_size, step, seed).sort().values)
        t = torch.randint(0, len(alpha_bar), (len(latents),))
        eps = torch.randn_like(latents)
        is_null = torch.rand(len(latents)) < NULL_SHARE
        tokens = torch.where(is_null[:, None, None], model.null_token.cpu(), tokens)
        latents, tokens, eps, t = (tensor.to(place.device) for tensor in (latents, tokens, eps, t))
        with place.autocast():
            return loss(predict, latents, tokens, eps, t, alpha_bar)

    return train(list(unet.parameters()), loss_of_step, settings, folder / "unet.checkpoint.pt", "unet")
