"""ANL in a diffusion model that has no attention to a condition (paper, appendix B)."""

from __future__ import annotations

import math
from typing import Any

from diffusers import Transformer2DModel, UNet2DModel
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn


class ResidualThenANL(nn.Module):
    """A pretrained residual block followed by a new SpatialTransformer that changes nothing before it is tuned."""

    def __init__(self, residual: ResnetBlock2D, token_width: int, num_heads: int, condition: dict[str, Tensor]):
        super().__init__()
        channels = residual.out_channels
        self.residual = residual
        self.anl = Transformer2DModel(
            num_attention_heads=num_heads,
            attention_head_dim=channels // num_heads,
            in_channels=channels,
            norm_num_groups=math.gcd(32, channels),
            cross_attention_dim=token_width,
        )
        nn.init.zeros_(self.anl.proj_out.weight)
        nn.init.zeros_(self.anl.proj_out.bias)
        self._condition = condition

    def forward(self, features: Tensor, *arguments: Any) -> Tensor:
        found: Tensor = self.residual(features, *arguments)
        out: Tensor = self.anl(found, encoder_hidden_states=self._condition["tokens"]).sample
        return out


class ConditionalUNet(nn.Module):
    """A UNet2DModel with ANL after each of its residual blocks, called as a UNet2DConditionModel is.

    `generators.anl` names, freezes and saves its tuned weights as those of a latent diffusion model. A building block
    for own training loops: the command lines tune latent diffusion models.
    """

    def __init__(self, unet: UNet2DModel, token_width: int, num_heads: int = 1):
        """
        Args:
            unet: the pretrained network; its residual blocks are wrapped in place.
            token_width: size of a condition token.
        """
        super().__init__()
        self.unet = unet
        self._condition: dict[str, Tensor] = {}
        blocks = [(name, module) for name, module in unet.named_modules() if isinstance(module, ResnetBlock2D)]
        for name, block in blocks:
            unet.set_submodule(name, ResidualThenANL(block, token_width, num_heads, self._condition))

    def forward(self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor) -> Any:
        """(b, c, h, w) noisy images, timesteps and (b, n, d) tokens -> diffusers' output with `.sample`."""
        # kept until the next call: with gradient checkpointing the blocks run again in the backward pass
        self._condition["tokens"] = encoder_hidden_states
        return self.unet(sample, timestep)
