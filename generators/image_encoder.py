"""The image tower of a CLIP without its text tower: transformers' CLIPVisionModelWithProjection as open_clip's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from open_clip.transformer import QuickGELU, VisionTransformer
from torch import Tensor, nn

from generators.clip_names import ACTIVATIONS, LAYER_NORM_EPS, open_clip_names

# Of the scores, which an image encoder's files lack: CLIP's training lets it grow up to 100 (Radford et al.,
# arXiv:2103.00020, section 2.5).
_TEMPERATURE = 100.0
_NAMES = {
    "embeddings.class_embedding": "class_embedding",
    "embeddings.patch_embedding.weight": "conv1.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "pre_layrnorm": "ln_pre",  # transformers' spelling
    "post_layernorm": "ln_post",
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
            "quick_gelu": ACTIVATIONS[theirs["hidden_act"]],
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
    if theirs.get("layer_norm_eps", LAYER_NORM_EPS) != LAYER_NORM_EPS:
        raise ValueError(f"{path}: layer_norm_eps {theirs['layer_norm_eps']}, open_clip's towers have {LAYER_NORM_EPS}")
    return found


def open_clip_weights(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """transformers' tensors under `ImageTower`'s names; what has no counterpart keeps its name."""
    tower = dict(theirs)
    projection = tower.pop("visual_projection.weight", None)
    ours = {f"visual.{name}": tensor for name, tensor in open_clip_names(tower, "vision_model", _NAMES).items()}
    return ours if projection is None else {**ours, "visual.proj": projection.T}
