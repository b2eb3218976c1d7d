"""The latent diffusion model: UNet, autoencoder, CLIP and noise schedule, and the ways between images and latents."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel, VQModel
from torch import Tensor, nn
from torch.nn import functional as F

from generators.anl_ddpm import ConditionalUNet
from generators.conditioning import ClipEncoder
from generators.model_facts import ModelFacts
from generators.pixel_space import PixelSpace

# The last layer of the network, and of an attention block outside of the SpatialTransformers.
_ENDS = re.compile(r"(^|\.)conv_out$|(^|\.)attentions\.\d+\.to_out\.0$")


class LatentDiffusion(nn.Module):
    """The networks and the two ways between images and latents."""

    null_token: Tensor

    def __init__(
        self,
        facts: ModelFacts,
        unet: UNet2DConditionModel | ConditionalUNet,
        autoencoder: AutoencoderKL | VQModel | PixelSpace,
        text: nn.Module | None = None,
    ):
        super().__init__()
        self.facts = facts
        self.unet = unet
        self.autoencoder = autoencoder.requires_grad_(False).eval()
        self.clip = ClipEncoder(facts.clip, facts.clip_image_norm)
        self.takes_images = unet.config.cross_attention_dim == self.clip.width  # CLIP's embeddings as tokens
        if text is None and not self.takes_images:
            raise ValueError(
                f"the UNet takes tokens of {unet.config.cross_attention_dim} values, CLIP gives {self.clip.width}: "
                "the two parts are not from one model"
            )
        self.register_buffer("null_token", torch.zeros(1, self.clip.width), persistent=False)
        self.text = None if text is None else text.requires_grad_(False).eval()  # of class names, beside CLIP's
        self._states: dict[str, Tensor] = {}
        self.is_unconditional = False  # whether the UNet takes no condition at all (`anl.make_unconditional`)

    def predict(self, z_t: Tensor, t: Tensor, c: Tensor | None, unet: Callable[..., Any] | None = None) -> Tensor:
        """What the UNet predicts of noisy latents: the noise, or v, whichever the schedule says.

        Args:
            z_t: (b, c, h, w) noisy latents.
            t: (b,) timesteps, or one for all.
            c: (b, n, d) condition tokens; an unconditional model makes no use of them.
            unet: the model's own in a wrapping (of several processes, compiled); None: as it is.
        """
        network = self.unet if unet is None else unet
        predicted: Tensor = network(z_t, t, encoder_hidden_states=None if self.is_unconditional else c).sample
        return predicted

    def null_tokens(self, num_images: int, num_tokens: int, with_text: bool = False) -> Tensor:
        """(b, n, d) conditions that stand for no condition.

        Args:
            num_tokens: of an image.
            with_text: whether conditions begin with a prompt's states; without a condition the empty prompt's.
        """
        of_image = self.null_token.expand(num_images, num_tokens, -1)
        if not with_text:
            return of_image
        states = self.prompt_states([""] * num_images)
        return torch.cat([states, of_image], dim=1) if num_tokens else states

    @torch.no_grad()
    def prompt_states(self, prompts: Sequence[str]) -> Tensor:
        """(b, n, d) states of prompts by the pipeline's own text encoder, each encoded once and alone.

        Raises:
            ValueError: there is none.
        """
        if self.text is None:
            raise ValueError("this model was opened without a text encoder: a prompt of it has no states")
        for prompt in dict.fromkeys(prompts):
            if prompt not in self._states:
                self._states[prompt] = self.text(prompt)[0].float()
        return torch.stack([self._states[prompt] for prompt in prompts])

    def release_encoders(self) -> None:
        """Gives back the memory of all but the UNet, once images and prompts are encoded: none can be after it."""
        for part in (self.autoencoder, self.clip, self.text):
            if part is not None:
                part.to("meta")

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image's latents at the trained image size."""
        return self.shape_at(self.facts.image_size)

    def shape_at(self, image_size: int) -> tuple[int, int, int]:
        """(channels, height, width) of the latents of images of `image_size` pixels."""
        factor = self.facts.pixel_fold * 2 ** (len(self.autoencoder.config.block_out_channels) - 1)
        levels = 2 ** (len(self.unet.config.block_out_channels) - 1)
        if image_size % (factor * levels):
            raise ValueError(f"generator.image_size={image_size}: this model takes multiples of {factor * levels}")
        side = image_size // factor
        return int(self.unet.config.in_channels), side, side

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """(b, 3, s, s) images in [-1, 1] -> (b, c, h, w) latents; deterministic, so they can be cached."""
        folded = F.pixel_unshuffle(images, self.facts.pixel_fold)
        encoded = self.autoencoder.encode(folded)
        # a VQ model's latents are those before quantization: its decoder quantizes
        latents = encoded.latent_dist.mode() if isinstance(self.autoencoder, AutoencoderKL) else encoded.latents
        return (latents.float() - self.facts.latent_shift) * self.facts.latent_scale

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """(b, c, h, w) latents -> (b, 3, s, s) images in [-1, 1]."""
        decoded = self.autoencoder.decode(latents / self.facts.latent_scale + self.facts.latent_shift).sample
        return F.pixel_shuffle(decoded.float(), self.facts.pixel_fold).clamp(-1, 1)


def zero_initialize(unet: UNet2DConditionModel | ConditionalUNet) -> None:
    """Zeroes what CompVis zeroes at the start: the last layer of each residual block, of each attention block and
    SpatialTransformer and of the network; diffusers zeroes nothing. The output is then 0."""
    for name, module in unet.named_modules():
        if name.endswith((".conv2", ".proj_out")) or _ENDS.search(name):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
