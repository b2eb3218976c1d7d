"""The condition: one token, the CLIP embedding of an image or a text (paper, Eq. 6 and 7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import open_clip
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ClipEncoder(nn.Module):
    """A frozen open_clip model as phi: images or texts to single condition tokens.

    Embeddings are raw, not of unit length: the class embedding that the token replaces had norm 22.6, and unit
    vectors would shrink the signal twentyfold. Text embeddings are rescaled to the images' mean norm.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: dict[str, Any], image_norm: float):
        """
        Args:
            config: open_clip's model config: embed_dim, vision_cfg, text_cfg.
            image_norm: mean norm of image embeddings, the length that text embeddings are given.
        """
        super().__init__()
        self.config = config
        self.image_norm = image_norm
        self.model = open_clip.CLIP(**config)
        self.model.requires_grad_(False).eval()
        self.tokenizer = open_clip.SimpleTokenizer(context_length=config["text_cfg"]["context_length"])
        self.register_buffer("mean", torch.tensor(open_clip.OPENAI_DATASET_MEAN), persistent=False)
        self.register_buffer("std", torch.tensor(open_clip.OPENAI_DATASET_STD), persistent=False)

    @property
    def width(self) -> int:
        """Size of the condition token."""
        return int(self.config["embed_dim"])

    @property
    def image_size(self) -> int:
        """Pixels that images are scaled to."""
        return int(self.config["vision_cfg"]["image_size"])

    def preprocess(self, images: Tensor) -> Tensor:
        """Images in [-1, 1], (b, 3, h, w), to what the image tower takes, (b, 3, s, s)."""
        if images.shape[-2:] != (self.image_size, self.image_size):
            size = (self.image_size, self.image_size)
            images = F.interpolate(images, size=size, mode="bicubic", antialias=True, align_corners=False).clamp(-1, 1)
        return ((images + 1) / 2 - self.mean[:, None, None]) / self.std[:, None, None]

    def fill(self, name: str) -> Tensor:
        """(3,) color in [-1, 1] of an erased rectangle: CLIP's mean (0 after its normalisation), grey or black."""
        colors = {
            "mean": self.mean * 2 - 1,
            "grey": torch.zeros_like(self.mean),
            "black": -torch.ones_like(self.mean),
        }
        return colors[name]

    def embed_images(self, images: Tensor) -> Tensor:
        """(b, 3, h, w) images in [-1, 1] -> (b, 1, d) tokens."""
        embedding: Tensor = self.model.encode_image(self.preprocess(images))
        return embedding.float()[:, None]

    def embed_texts(self, prompts: Sequence[str]) -> Tensor:
        """Prompts -> (b, 1, d) tokens of the images' mean norm."""
        embedding = self.model.encode_text(self.tokenizer(list(prompts)).to(self.mean.device)).float()
        return (F.normalize(embedding, dim=-1) * self.image_norm)[:, None]
