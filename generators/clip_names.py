"""Tensors of transformers' CLIP towers under open_clip's names."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

ACTIVATIONS = {"quick_gelu": True, "gelu": False}  # transformers' name, and whether it is QuickGELU
LAYER_NORM_EPS = 1e-5  # of open_clip's towers
_LAYERS = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn.out_proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}


def open_clip_names(theirs: Mapping[str, Tensor], tower: str, others: Mapping[str, str]) -> dict[str, Tensor]:
    """transformers' tensors of one tower under the names of open_clip's; what has no counterpart keeps its name.

    Args:
        tower: vision_model or text_model, which stands before the names of versions before 5.
        others: the names of layers, or of single tensors, outside the transformer's blocks, and open_clip's.
    """
    weights = {name.removeprefix(f"{tower}."): tensor for name, tensor in theirs.items()}
    weights.pop("embeddings.position_ids", None)  # numbers 0, 1, 2, ... of older versions
    ours = {}
    for name, tensor in weights.items():
        if not re.search(r"\.self_attn\.[qkv]_proj\.", name):
            ours[_our_name(name, others)] = tensor
    for name in weights:
        found = re.fullmatch(r"encoder\.layers\.(\d+)\.self_attn\.q_proj\.(weight|bias)", name)
        parts = [name.replace(".q_proj.", f".{part}_proj.") for part in "qkv"]
        if found and all(part in weights for part in parts):
            stacked = torch.cat([weights[part] for part in parts])
            ours[f"transformer.resblocks.{found[1]}.attn.in_proj_{found[2]}"] = stacked
    return ours


def _our_name(name: str, others: Mapping[str, str]) -> str:
    if name in others:
        return others[name]
    block = re.fullmatch(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)", name)
    if block and block[2] in _LAYERS:
        return f"transformer.resblocks.{block[1]}.{_LAYERS[block[2]]}.{block[3]}"
    layer, _, tensor = name.rpartition(".")
    return f"{others[layer]}.{tensor}" if layer in others else name
