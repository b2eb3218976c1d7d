"""Attention-NonLinear (ANL): which weights of a pretrained UNet are tuned (paper 3.2, Eq. 8 and 9).

In a latent diffusion model these are the SpatialTransformers that follow the residual blocks: cross-attention to the
condition and the non-linear mapping behind it. Everything else stays as it was pretrained.
"""

from __future__ import annotations

from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor2_0
from torch import Tensor, nn

# With a single condition token the softmax of the cross-attention is 1 whatever query and key say: these weights
# cannot influence anything, and weight decay would only wear them down.
_DEAD_WITH_ONE_TOKEN = (".norm2.", ".attn2.to_q.", ".attn2.to_k.")


def anl_names(unet: nn.Module) -> list[str]:
    """Names of the parameters of all SpatialTransformers (169.55 of 400.92 million in cin256-v2)."""
    return [name for name, _ in unet.named_parameters() if ".attentions." in name]


def is_dead_with_one_token(name: str) -> bool:
    """Whether a parameter of a SpatialTransformer cannot matter when the condition is a single token."""
    return ".transformer_blocks." in name and any(part in name for part in _DEAD_WITH_ONE_TOKEN)


def trained_names(unet: nn.Module, approach: str) -> list[str]:
    """Names of the parameters that an optimiser is given.

    Args:
        approach: anl (the SpatialTransformers), all (Tuning-All) or scratch (ScratchDiff: all, from random weights).

    Raises:
        ValueError: an unknown approach, or ANL for a UNet without SpatialTransformers.
    """
    if approach == "anl":
        names = anl_names(unet)
        if not names:
            raise ValueError("tune.approach=anl: this UNet has no attention modules to tune; use tune.approach=all")
    elif approach in ("all", "scratch"):
        names = [name for name, _ in unet.named_parameters()]
    else:
        raise ValueError(f"tune.approach={approach!r}: choose anl, all or scratch")
    return [name for name in names if not is_dead_with_one_token(name)]


def set_trainable(unet: nn.Module, names: list[str]) -> list[nn.Parameter]:
    """Freezes everything but `names`; returns the trainable parameters."""
    chosen = set(names)
    for name, parameter in unet.named_parameters():
        parameter.requires_grad_(name in chosen)
    return [parameter for parameter in unet.parameters() if parameter.requires_grad]


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


def fold_single_token(unet: UNet2DConditionModel) -> None:
    """Makes every cross-attention the constant that it is when the condition is a single token."""
    folded = SingleTokenAttention()
    unet.set_attn_processor(
        {name: folded if ".attn2." in name else processor for name, processor in unet.attn_processors.items()}
    )


def unfold(unet: UNet2DConditionModel) -> None:
    """The attention that diffusers starts with, everywhere."""
    unet.set_attn_processor(AttnProcessor2_0())
