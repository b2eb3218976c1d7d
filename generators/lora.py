"""ANL by small adapters: a change of low rank of every linear layer of the SpatialTransformers (LoRA).

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", arXiv:2106.09685, section 4.1: W' = W + B A. Names and
shapes are peft's, whose files `load_lora_weights` of a diffusers pipeline takes as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from diffusers import Transformer2DModel
from torch import Tensor, nn

from generators.anl import is_dead_with_one_token

Layer: TypeAlias = nn.Linear | nn.Conv2d
Shape: TypeAlias = tuple[int, ...]

_HALVES = ("lora_A", "lora_B")
_OF_THE_UNET = "unet."  # what a pipeline's part is called in a file


# ---------------------------------------------------------------------------------------------------------------------
# the equation


def change(A: Tensor, B: Tensor) -> Tensor:
    """B A, the change of a layer's weights.

    Args:
        A: (rank, in), or (rank, in, 1, 1) for a 1x1 convolution.
        B: (out, rank), or (out, rank, 1, 1).

    Returns:
        (out, in), or (out, in, 1, 1).
    """
    return (B.flatten(1) @ A.flatten(1)).reshape(len(B), *A.shape[1:])


def shapes(weight: Tensor, rank: int) -> tuple[Shape, Shape]:
    """Of A and of B for a layer's (out, in) or (out, in, 1, 1) weights."""
    num_out, num_in, *ones = weight.shape
    return (rank, num_in, *ones), (num_out, rank, *ones)


def first_matrix(shape: Shape, seed: int) -> Tensor:
    """A at the start, (rank, in, ...): uniform of variance 1 / (3 in), a function of its seed alone.

    **Deviations:** the paper says Gaussian; its authors' code and peft take Kaiming's uniform with a = sqrt(5).
    """
    return nn.init.kaiming_uniform_(torch.empty(shape), math.sqrt(5), generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------------------------------------------------------------
# tuning


class LowRank(nn.Module):
    """A layer, and beside it the change that is trained; at the start there is none.

    Scaled by 1: alpha is the rank, as diffusers takes it to be where a file names none.
    """

    def __init__(self, base: Layer, rank: int, seed: int):
        super().__init__()
        weight = base.weight
        A, B = shapes(weight, rank)
        self.base = base
        self.lora_A = _layer_of(first_matrix(A, seed).to(weight))
        self.lora_B = _layer_of(weight.new_zeros(B))

    def forward(self, features: Tensor) -> Tensor:
        """What the base layer takes and gives: A and B are layers of its kind."""
        out: Tensor = self.base(features) + self.lora_B(self.lora_A(features))
        return out


def _layer_of(weight: Tensor) -> Layer:
    """A layer without bias of (out, in) weights, or a 1x1 convolution of (out, in, 1, 1)."""
    num_out, num_in, *ones = weight.shape
    with torch.device("meta"):  # its own weights would be drawn, and from the generator that all share
        layer = nn.Conv2d(num_in, num_out, 1, bias=False) if ones else nn.Linear(num_in, num_out, bias=False)
    layer.weight = nn.Parameter(weight)
    return layer


def layers_of(unet: nn.Module, num_tokens: int) -> dict[str, Layer]:
    """The layers that get a change of low rank, by name: the linear ones and 1x1 convolutions of SpatialTransformers.

    Args:
        num_tokens: of the condition; with one, the layers that cannot matter are left out.

    Raises:
        ValueError: a UNet without SpatialTransformers, or with new ones (`generators.anl_ddpm`).
    """
    transformers = {name: module for name, module in unet.named_modules() if isinstance(module, Transformer2DModel)}
    if not transformers or any(name.endswith(".anl") for name in transformers):
        raise ValueError(
            "tune.approach=anl_lora: this UNet has no pretrained SpatialTransformers, and a change of low rank is too "
            "little for new ones, which start at zero: use tune.approach=anl or all"
        )
    found = {
        f"{place}.{name}": module
        for place, transformer in transformers.items()
        for name, module in transformer.named_modules()
        if isinstance(module, Layer)
    }
    return {name: layer for name, layer in found.items() if num_tokens > 1 or not is_dead_with_one_token(f"{name}.")}


def add(unet: nn.Module, rank: int, num_tokens: int, seed_of: Callable[[str], int]) -> list[str]:
    """Puts a change of low rank beside each layer, in place; returns the names of the matrices, all that is trained.

    Args:
        seed_of: a layer's name -> the seed of its A.

    Raises:
        ValueError: as `layers_of`.
    """
    layers = layers_of(unet, num_tokens)
    for name, layer in layers.items():
        unet.set_submodule(name, LowRank(layer, rank, seed_of(name)))
    return [_name(layer, half) for layer in layers for half in _HALVES]


def _name(layer: str, half: str) -> str:
    return f"{layer}.{half}.weight"


# ---------------------------------------------------------------------------------------------------------------------
# the saved file


def adapter_state(unet: nn.Module, names: list[str]) -> dict[str, Tensor]:
    """The matrices alone under the names of a pipeline's file, contiguous on the CPU: what is saved."""
    state = unet.state_dict()
    return {f"{_OF_THE_UNET}{name}": state[name].detach().cpu().contiguous() for name in names}


@torch.no_grad()
def merge(unet: nn.Module, adapter: dict[str, Tensor]) -> None:
    """Adds the changes to the weights of an untouched UNet: it then draws what the tuned one drew, at no cost.

    Raises:
        ValueError: a matrix of a layer that the UNet does not have, of another shape, or without its other half.
    """
    layers = layers_of(unet, num_tokens=2)  # all: which of them were tuned, the file says
    names = {layer: [f"{_OF_THE_UNET}{_name(layer, half)}" for half in _HALVES] for layer in layers}
    whole = {layer: pair for layer, pair in names.items() if all(name in adapter for name in pair)}
    fitting = {
        layer: (A, B)
        for layer, (A, B) in ((layer, [adapter[name] for name in pair]) for layer, pair in whole.items())
        if (tuple(A.shape), tuple(B.shape)) == shapes(layers[layer].weight, len(A))
    }
    wrong = adapter.keys() - {name for layer in fitting for name in names[layer]}
    if wrong:
        raise ValueError(f"the adapter was tuned for another model: {len(wrong)} weights do not fit ({min(wrong)})")
    for layer, (A, B) in fitting.items():
        layers[layer].weight += change(A, B)
