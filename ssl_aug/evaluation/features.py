"""What distances are measured in: a network from images to features, by the setting `features`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generators.checkpoints import open_checkpoint, weights_hash
from generators.conditioning import ClipEncoder
from generators.settings import TUNED, GeneratorSettings
from generators.weights import read_weights
from ssl_aug.data.contents import content_hash, hash_memory
from ssl_aug.evaluation import inception
from ssl_aug.evaluation.settings import TIMM, EvaluateSettings
from ssl_aug.pretrain.backbone import INPUT_SIZE_PX, load_backbone, normalized
from ssl_aug.runtime import Placement, why_nothing_is_fetched
from ssl_aug.settings import EMBEDDED
from ssl_aug.shipped import BACKBONE, refuse_altered_weights
from ssl_aug.tuning.encodings import images_to_tensor
from ssl_aug.tuning.plan import checkpoint_path


@dataclass(frozen=True)
class Extractor:
    """A frozen network and what is known of it."""

    width: int  # of the features
    embed: Callable[[Tensor], tuple[Tensor, Tensor | None]]  # (b, s, s, 3) uint8 -> (b, d), (b, c) of Inception; on CPU
    num_logits: int = 0
    size_px: int | None = None  # the squares that it takes; None: as large as the drawn images


def features_of(settings: EvaluateSettings) -> tuple[str, str]:
    """What the settings' features are called, empty for those of FID, and what stands for their weights.

    Raises:
        FileNotFoundError, ValueError: a file that is not there, or not what it should be.
    """
    if settings.measured_in == "inception":
        path = inception.inception_file(settings.inception_checkpoint, settings.inception_unverified)
        sha256 = content_hash(path)
        is_published = sha256.startswith(inception.SHA256_STARTS)
        return "" if is_published else f"unverified inception {sha256[:8]}", sha256[:12]
    if settings.measured_in == "clip":
        return "clip", clip_id(settings.generator)
    if settings.measured_in == "backbone":
        refuse_altered_weights(EMBEDDED, BACKBONE)
        return "backbone", content_hash(EMBEDDED / "backbone.safetensors")[:12]
    own = settings.features_checkpoint
    return settings.measured_in.removeprefix(TIMM), "published" if own is None else content_hash(Path(own))[:12]


def extractor(settings: EvaluateSettings, place: Placement) -> Extractor:
    """The one that the settings name.

    Raises:
        FileNotFoundError, ValueError: its weights are not there, or not what they should be.
    """
    if settings.measured_in == "inception":
        return _inception(settings, place)
    if settings.measured_in == "clip":
        clip = clip_of(settings.generator).to(place.device)
        return Extractor(clip.width, lambda images: (embedded_by(clip, images), None))
    if settings.measured_in == "backbone":
        network = load_backbone(EMBEDDED).to(place.device).eval()

        @torch.no_grad()
        def embed(images: Tensor) -> tuple[Tensor, None]:
            return network(normalized(images.to(place.device))).float().cpu(), None

        return Extractor(int(network.num_features), embed, size_px=INPUT_SIZE_PX)
    return _timm(settings, place)


def clip_of(generator: GeneratorSettings) -> ClipEncoder:
    """The generator's CLIP; of one without, the embedded one."""
    if generator.name not in TUNED:
        return open_checkpoint(checkpoint_path(GeneratorSettings())).clip.eval()
    clip = open_checkpoint(checkpoint_path(generator), generator.clip_checkpoint).clip.eval()
    clip.tokens = "pooled"
    return clip


@torch.no_grad()
def embedded_by(clip: ClipEncoder, images: Tensor) -> Tensor:
    """(b, s, s, 3) uint8 -> (b, d) on the CPU."""
    pixels = images_to_tensor(images.numpy()).to(clip.mean.device)
    return clip.embed_images(pixels)[:, 0].float().cpu()


def clip_id(generator: GeneratorSettings) -> str:
    """What stands for the weights of `clip_of`."""
    of = generator if generator.name in TUNED else GeneratorSettings()
    return weights_hash(checkpoint_path(of), of.clip_checkpoint, memory=hash_memory())


def _inception(settings: EvaluateSettings, place: Placement) -> Extractor:
    path = inception.inception_file(settings.inception_checkpoint, settings.inception_unverified)
    network = inception.load_inception(path).to(place.device)

    @torch.no_grad()
    def embed(images: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = inception.embed(network, images.to(place.device))
        return features.cpu(), logits.cpu()

    return Extractor(inception.WIDTH, embed, inception.NUM_LOGITS)


def _timm(settings: EvaluateSettings, place: Placement) -> Extractor:
    name = settings.measured_in.removeprefix(TIMM)
    network = _timm_network(name, settings.features_checkpoint, settings.features_image_size).to(place.device).eval()
    own: dict[str, Any] = network.pretrained_cfg
    size = settings.features_image_size or int(own["input_size"][-1])
    mean, std = (torch.tensor(own[key], device=place.device)[:, None, None] for key in ("mean", "std"))

    @torch.no_grad()
    def embed(images: Tensor) -> tuple[Tensor, None]:
        pixels = images.to(place.device).permute(0, 3, 1, 2).float() / 255
        if pixels.shape[-1] != size:
            pixels = F.interpolate(pixels, size=(size, size), mode="bicubic", antialias=True).clamp(0, 1)
        features: Tensor = network((pixels - mean) / std)
        return features.float().cpu(), None

    width = embed(torch.zeros(1, size, size, 3, dtype=torch.uint8))[0].shape[1]
    return Extractor(width, embed)


def _timm_network(name: str, checkpoint: str | None, size: int | None) -> nn.Module:
    if not timm.is_model(name.split(".")[0]):
        close = get_close_matches(name, timm.list_models(), n=3)
        hint = f"; close: {', '.join(close)}" if close else ""
        raise ValueError(f"features={TIMM}{name}: timm has no such model{hint}")
    overlay = None if checkpoint is None else {"state_dict": read_weights(Path(checkpoint))}
    why = why_nothing_is_fetched() if checkpoint is None else None
    arguments: dict[str, Any] = {"pretrained": True, "num_classes": 0, "pretrained_cfg_overlay": overlay}
    try:
        if size is not None:
            try:  # a transformer is built for its size, a convolutional network has no such argument
                return timm.create_model(name, img_size=size, **arguments)
            except TypeError:
                pass
        return timm.create_model(name, **arguments)
    except (OSError, RuntimeError, ValueError) as error:  # which ones a missing network raises is the hub library's
        reason = " ".join(str(error).split())[:160]
        if checkpoint is not None:
            raise ValueError(f"features_checkpoint={checkpoint} does not fit {TIMM}{name} ({reason})") from error
        raise FileNotFoundError(
            f"features={TIMM}{name}: its weights are not on this machine; download them and give "
            f"features_checkpoint=FILE; {why or 'they could not be fetched'} ({type(error).__name__})"
        ) from error
