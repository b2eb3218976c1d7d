"""The image tower of a CLIP without its text tower: transformers' CLIPVisionModelWithProjection as open_clip's."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from open_clip.transformer import QuickGELU, VisionTransformer
from torch import Tensor, nn

# Of the scores, which an image encoder's files lack: CLIP's training lets it grow up to 100 (Radford et al.,
# arXiv:2103.00020, section 2.5).
_TEMPERATURE = 100.0
_ACTIVATIONS = {"quick_gelu": True, "gelu": False}  # transformers' name, and whether it is QuickGELU
_NAMES = {
    "embeddings.class_embedding": "class_embedding",
    "embeddings.patch_embedding.weight": "conv1.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
}
_LAYERS = {
    "pre_layrnorm": "ln_pre",  # transformers' spelling
    "post_layernorm": "ln_post",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn.out_proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}


class ImageTower(nn.Module):
    """What `ClipEncoder` uses of open_clip.CLIP where there is no text."""

    logit_scale: Tensor

    def __init__(self, config: dict[str, Any]):
        """
        Args:
            config: open_clip's model config without text_cfg.
        """
        super().__init__()
        vision = config["vision_cfg"]
        self.visual = VisionTransformer(
            image_size=vision["image_size"],
            patch_size=vision["patch_size"],
            width=vision["width"],
            layers=vision["layers"],
            heads=vision["width"] // vision["head_width"],
            mlp_ratio=vision["mlp_ratio"],
            output_dim=config["embed_dim"],
            act_layer=QuickGELU if config["quick_gelu"] else nn.GELU,
        )
        self.register_buffer("logit_scale", torch.tensor(math.log(_TEMPERATURE)), persistent=False)

    def encode_image(self, pixels: Tensor) -> Tensor:
        """(b, 3, s, s) normalized pixels -> (b, d)."""
        embedding: Tensor = self.visual(pixels)
        return embedding


def open_clip_config(theirs: dict[str, Any], path: Path) -> dict[str, Any]:
    """open_clip's model config, without text_cfg, of transformers' `image_encoder/config.json`.

    Raises:
        ValueError: a value is missing, or one that open_clip's tower cannot have; `path` is named.
    """
    try:
        width, heads = int(theirs["hidden_size"]), int(theirs["num_attention_heads"])
        found = {
            "embed_dim": int(theirs["projection_dim"]),
            "quick_gelu": _ACTIVATIONS[theirs["hidden_act"]],
            "vision_cfg": {
                "image_size": int(theirs["image_size"]),
                "patch_size": int(theirs["patch_size"]),
                "width": width,
                "layers": int(theirs["num_hidden_layers"]),
                "head_width": width // heads,
                "mlp_ratio": int(theirs["intermediate_size"]) / width,
            },
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: no CLIP image tower that is known here ({error})") from error
    if theirs.get("layer_norm_eps", 1e-5) != 1e-5:
        raise ValueError(f"{path}: layer_norm_eps {theirs['layer_norm_eps']}, open_clip's towers have 1e-5")
    return found


def open_clip_weights(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """transformers' tensors under `ImageTower`'s names; what has no counterpart keeps its name."""
    weights = {name.removeprefix("vision_model."): tensor for name, tensor in theirs.items()}
    weights.pop("embeddings.position_ids", None)  # numbers 0, 1, 2, ... of older versions
    ours = {}
    for name, tensor in weights.items():
        if name == "visual_projection.weight":
            ours["visual.proj"] = tensor.T
        elif not re.search(r"\.self_attn\.[qkv]_proj\.", name):
            ours[_our_name(name)] = tensor
    for name in weights:
        found = re.fullmatch(r"encoder\.layers\.(\d+)\.self_attn\.q_proj\.(weight|bias)", name)
        parts = [name.replace(".q_proj.", f".{part}_proj.") for part in "qkv"]
        if found and all(part in weights for part in parts):
            stacked = torch.cat([weights[part] for part in parts])
            ours[f"visual.transformer.resblocks.{found[1]}.attn.in_proj_{found[2]}"] = stacked
    return ours


def _our_name(name: str) -> str:
    if name in _NAMES:
        return f"visual.{_NAMES[name]}"
    block = re.fullmatch(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)", name)
    if block and block[2] in _LAYERS:
        return f"visual.transformer.resblocks.{block[1]}.{_LAYERS[block[2]]}.{block[3]}"
    layer, _, tensor = name.rpartition(".")
    return f"visual.{_LAYERS[layer]}.{tensor}" if layer in _LAYERS else name
