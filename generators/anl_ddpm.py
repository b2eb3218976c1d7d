"""ANL in a diffusion model that has no attention to a condition (paper, appendix B)."""

from __future__ import annotations

import math
from typing import Any

import torch
from diffusers import Transformer2DModel, UNet2DModel
from diffusers.configuration_utils import FrozenDict
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn

# A tuning's adapter says what became of the inserted modules; that it starts from the same everywhere, no file says:
# another seed would be another model under the same name.
_SEED = 0


class ResidualThenANL(nn.Module):
    """A pretrained residual block followed by a new SpatialTransformer that changes nothing before it is tuned."""

    def __init__(self, residual: ResnetBlock2D, token_width: int, num_heads: int, condition: dict[str, Tensor | None]):
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

    def forward(self, features: Tensor, temb: Tensor | None = None) -> Tensor:
        found: Tensor = self.residual(features, temb)
        out: Tensor = self.anl(found, encoder_hidden_states=self._condition["tokens"]).sample
        # laid out in memory as the block's: the layers behind it sum in another order otherwise, and digits move
        channels_last = found.is_contiguous(memory_format=torch.channels_last)
        return out.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


class ConditionalUNet(nn.Module):
    """A UNet2DModel with ANL after each of its residual blocks, called as a UNet2DConditionModel is.

    `generators.anl` names, freezes, folds and saves its tuned weights as those of a latent diffusion model.
    """

    def __init__(self, unet: UNet2DModel, token_width: int, num_heads: int = 1):
        """
        Args:
            unet: the pretrained network; its residual blocks are wrapped in place.
            token_width: size of a condition token.
            num_heads: of each inserted attention; 1 as in the paper's latent diffusion model.
        """
        super().__init__()
        self.unet = unet
        self._token_width = token_width
        self._condition: dict[str, Tensor | None] = {}
        blocks = [(name, module) for name, module in unet.named_modules() if isinstance(module, ResnetBlock2D)]
        # the same weights each time, whatever was drawn before, and what is drawn after is as it would have been
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(_SEED)  # torch.manual_seed would reach the GPUs' generators too
            for name, block in blocks:
                unet.set_submodule(name, ResidualThenANL(block, token_width, num_heads, self._condition))

    @property
    def config(self) -> FrozenDict:
        """The network's settings as diffusers keeps them, and the size of its tokens."""
        return FrozenDict({**self.unet.config, "cross_attention_dim": self._token_width})

    def enable_gradient_checkpointing(self) -> None:
        """Computes activations twice in training, inserted modules' too."""
        self.unet.enable_gradient_checkpointing()

    def forward(self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor | None) -> Any:
        """(b, c, h, w) noisy images, timesteps and (b, n, d) tokens -> diffusers' output with `.sample`.

        Without tokens after `generators.anl.make_unconditional`.
        """
        # kept until the next call: with gradient checkpointing the blocks run again in the backward pass
        self._condition["tokens"] = encoder_hidden_states
        return self.unet(sample, timestep)
