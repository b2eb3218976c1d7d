"""Attention-NonLinear (ANL): which weights of a pretrained UNet are tuned (paper 3.2, Eq. 8 and 9).

In a latent diffusion model these are the SpatialTransformers that follow the residual blocks: cross-attention to the
condition and the non-linear mapping behind it. Everything else stays as it was pretrained.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import Tensor, nn

# With a single condition token the softmax of the cross-attention is 1 whatever query and key say: these weights
# cannot influence anything, and weight decay would only wear them down.
_DEAD_WITH_ONE_TOKEN = (".norm2.", ".attn2.to_q.", ".attn2.to_k.")


def anl_names(unet: nn.Module) -> list[str]:
    """Names of the parameters of all SpatialTransformers (169.55 of 400.92 million in cin256-v2).

    Where ANL modules were inserted (`generators.anl_ddpm`), theirs alone.
    """
    names = [name for name, _ in unet.named_parameters()]
    inserted = [name for name in names if ".anl." in name]
    return inserted or [name for name in names if ".attentions." in name]


def is_dead_with_one_token(name: str) -> bool:
    """Whether a parameter of a SpatialTransformer cannot matter when the condition is a single token."""
    return ".transformer_blocks." in name and any(part in name for part in _DEAD_WITH_ONE_TOKEN)


def trained_names(unet: nn.Module, approach: str, num_tokens: int = 1) -> list[str]:
    """Names of the parameters that an optimizer is given.

    Args:
        approach: anl (the SpatialTransformers), anl_unconditional (the same, after `make_unconditional`), all
            (Tuning-All) or scratch (ScratchDiff: all, from random weights).
        num_tokens: of the condition; with one, the weights that cannot matter are left out.

    Raises:
        ValueError: an unknown approach, or ANL for a UNet without SpatialTransformers.
    """
    if approach in ("anl", "anl_unconditional"):
        names = anl_names(unet)
        if not names:
            raise ValueError(
                f"tune.approach={approach}: this UNet has no attention modules to tune; use tune.approach=all"
            )
    elif approach in ("all", "scratch"):
        names = [name for name, _ in unet.named_parameters()]
    else:
        raise ValueError(f"tune.approach={approach!r}: choose anl, anl_unconditional, all or scratch")
    if approach == "anl_unconditional" or num_tokens > 1:
        return names
    return [name for name in names if not is_dead_with_one_token(name)]


def set_trainable(unet: nn.Module, names: list[str]) -> list[nn.Parameter]:
    """Freezes everything but `names`; returns the trainable parameters."""
    chosen = set(names)
    for name, parameter in unet.named_parameters():
        parameter.requires_grad_(name in chosen)
    return [parameter for parameter in unet.parameters() if parameter.requires_grad]


@dataclass(frozen=True)
class Adapter:
    """What tuning gives a pretrained model."""

    weights: dict[str, Tensor]
    is_unconditional: bool = False  # the weights are those of a UNet after `make_unconditional`
    clip_image_norm: float | None = None  # mean norm of the tuning images' embeddings
    is_low_rank: bool = False  # the weights are matrices to be merged into a UNet's (`generators.lora`)


def adapter_state(unet: nn.Module, names: list[str]) -> dict[str, Tensor]:
    """The tuned weights alone, contiguous on the CPU: what is saved."""
    state = unet.state_dict()
    return {name: state[name].detach().cpu().contiguous() for name in names}


def load_adapter(unet: nn.Module, adapter: dict[str, Tensor]) -> None:
    """Puts tuned weights in their places.

    Raises:
        ValueError: a weight that the UNet does not have, or of another shape.
    """
    state = unet.state_dict()
    wrong = [name for name, tensor in adapter.items() if name not in state or state[name].shape != tensor.shape]
    if wrong:
        raise ValueError(f"the adapter was tuned for another model: {len(wrong)} weights do not fit ({wrong[0]})")
    unet.load_state_dict({**state, **adapter})


class SingleTokenAttention:
    """Cross-attention to one token: the softmax over one key is 1, so the output is to_out(to_v(c)) for every query.

    Exact, and without queries and keys. Takes the place of diffusers' attention processor.
    """

    def __call__(
        self,
        attn: nn.Module,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        if encoder_hidden_states is None or encoder_hidden_states.shape[1] != 1:
            raise ValueError("folded cross-attention takes exactly one condition token")
        to_out: nn.ModuleList = attn.to_out
        value = to_out[1](to_out[0](attn.to_v(encoder_hidden_states)))
        return value.expand(-1, hidden_states.shape[1], -1)


def fold_single_token(unet: nn.Module) -> None:
    """Makes every cross-attention the constant that it is when the condition is a single token."""
    for block in _transformer_blocks(unet):
        block.attn2.set_processor(SingleTokenAttention())


def unfold(unet: nn.Module) -> None:
    """The cross-attention that diffusers starts with."""
    for block in _transformer_blocks(unet):
        block.attn2.set_processor(AttnProcessor2_0())


# ---------------------------------------------------------------------------------------------------------------------
# without a condition


def make_unconditional(unet: nn.Module) -> None:
    """Replaces every cross-attention by a second self-attention; the UNet is then called with no tokens (paper 3.2).

    Queries, keys and values start as those of the first self-attention, the output at zero: the paper names no start,
    and with this one the network first does what it did without its condition.
    """
    for block in _transformer_blocks(unet):
        old, first = block.attn2, block.attn1
        width = old.to_q.in_features
        new = Attention(query_dim=width, heads=old.heads, dim_head=width // old.heads, bias=False)
        for layer, start in ((new.to_q, first.to_q), (new.to_k, first.to_k), (new.to_v, first.to_v)):
            layer.weight = nn.Parameter(start.weight.detach().clone())
        out: nn.Linear = first.to_out[0]
        new.to_out[0].weight = nn.Parameter(torch.zeros_like(out.weight))
        new.to_out[0].bias = nn.Parameter(torch.zeros_like(out.bias))
        block.attn2 = new


def _transformer_blocks(unet: nn.Module) -> list[BasicTransformerBlock]:
    return [module for module in unet.modules() if isinstance(module, BasicTransformerBlock)]
