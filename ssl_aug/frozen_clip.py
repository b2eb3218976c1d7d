"""A frozen CLIP that turns images into features, for the packages that train classifiers and know no generators."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from generators.checkpoints import locate, open_checkpoint
from generators.conditioning import ClipEncoder, clip_config, load_clip
from generators.model_facts import CLIP_FILE, read_facts
from generators.weights import load_weights
from ssl_aug.settings import EMBEDDED
from ssl_aug.shipped import refuse_altered_weights

_OF_CLIP = {"embed_dim", "vision_cfg", "text_cfg"}  # parts of open_clip's configs; other kinds of models have more


class FrozenClip(nn.Module):
    """Images in [-1, 1], (b, 3, s, s), to their embeddings, (b, d), scaled so that the mean square of each is 1."""

    def __init__(self, clip: ClipEncoder):
        super().__init__()
        self.clip = clip

    @property
    def image_size(self) -> int:
        """Pixels that images are scaled to."""
        return self.clip.image_size

    @property
    def width(self) -> int:
        """d."""
        return self.clip.width

    def train(self, mode: bool = True) -> FrozenClip:
        """Stays as it is: no statistics move and nothing drops out."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        return F.normalize(self.clip.embed_images(images)[:, 0], dim=1) * self.width**0.5


def frozen_clip(name: str, checkpoint: str | None) -> FrozenClip:
    """The CLIP of this name with its weights.

    Args:
        name: embedded; open_clip's name of a model; or the checkpoint of a generator, whose CLIP it is.
        checkpoint: CLIP's weights where `name` has none: a file, a folder or a tag of open_clip.

    Raises:
        ValueError, FileNotFoundError: no such model, or weights that are not there or of another one.
    """
    try:
        return FrozenClip(_clip(name, checkpoint))
    except (ValueError, FileNotFoundError) as error:
        said = str(error).replace("generator.clip_checkpoint", "method.clip_checkpoint")
        raise type(error)(said.replace("generator.checkpoint", "method.clip")) from error


def _clip(name: str, checkpoint: str | None) -> ClipEncoder:
    if name == "embedded":
        if checkpoint is not None:
            raise ValueError("method.clip_checkpoint has no effect on method.clip=embedded, which brings its own")
        refuse_altered_weights(EMBEDDED, ("clip",))
        clip = ClipEncoder(read_facts(EMBEDDED).clip, image_norm=None)
        load_weights(clip.model, EMBEDDED / CLIP_FILE)
        return clip
    if Path(name).exists() or "/" in name:
        return open_checkpoint(locate(name)[0], checkpoint).clip
    config = _config(name)
    clip = ClipEncoder(config, image_norm=None)
    load_clip(clip.model, checkpoint, name)
    return clip


def _config(name: str) -> dict[str, object]:
    ways = "give embedded, open_clip's name of a model such as ViT-B-32-quickgelu, or a generator's checkpoint"
    try:
        config = clip_config(name)
    except ValueError as error:
        raise ValueError(f"method.clip={name}: there is no such CLIP; {ways}") from error
    if not _OF_CLIP <= config.keys() <= {*_OF_CLIP, "quick_gelu"}:
        raise ValueError(f"method.clip={name}: that model is of another kind than CLIP; {ways}")
    return config
