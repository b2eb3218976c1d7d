"""What stands in an autoencoder's place where a model draws pixels."""

from __future__ import annotations

from types import SimpleNamespace

from diffusers.models.autoencoders.vae import DecoderOutput
from diffusers.models.autoencoders.vq_model import VQEncoderOutput
from torch import Tensor, nn


class PixelSpace(nn.Module):
    """The identity: latents are the images, in [-1, 1] and of the same size; called as diffusers' VQModel is."""

    config = SimpleNamespace(block_out_channels=(3,))  # one level: nothing is scaled down

    def encode(self, images: Tensor) -> VQEncoderOutput:
        """(b, 3, s, s) images -> the same as `.latents`."""
        return VQEncoderOutput(latents=images)

    def decode(self, latents: Tensor) -> DecoderOutput:
        """(b, 3, s, s) latents -> the same as `.sample`."""
        return DecoderOutput(sample=latents)
