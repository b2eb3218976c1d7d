"""An unconditional diffusers pipeline's folder as our model: DDPMPipeline draws pixels, LDMPipeline latents.

Its UNet attends to no condition: ANL modules are inserted after the residual blocks (`generators.anl_ddpm`), and change
nothing until they are tuned. Everything but the tensors themselves is checked before any weights are read, as in
`generators.diffusers_pipeline`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DModel, VQModel

from generators.anl_ddpm import ConditionalUNet
from generators.compvis import CLIP_NAME
from generators.conditioning import clip_config, clip_file, load_clip
from generators.files import read_json, stamps
from generators.ldm import LatentDiffusion
from generators.model_facts import ModelFacts
from generators.pipeline_files import (
    FETCH_AGAIN,
    INDEX_FILE,
    LATENTS,
    ROOT,
    SCHEDULER,
    UNET,
    VQVAE,
    is_flat,
    kind_of,
    listing_of,
    not_whole,
    read_schedule,
    weight_files,
)
from generators.pipeline_networks import attention_renamed, build_network, check_weights, fill_network, settings_of
from generators.pixel_space import PixelSpace

_COLORS = 3
_CLASSES = ("class_embed_type", "num_class_embeds")
_WANTED = {"time_embedding_type": "positional", "center_input_sample": False}
# What the blocks are made of that ANL is inserted into, without the prefix of old folders.
_BLOCKS = (
    "DownBlock2D", "AttnDownBlock2D", "ResnetDownsampleBlock2D", "UpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D",
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """A network of the folder, weights not yet read."""

    folder: Path
    kind: Any  # diffusers' class
    settings: dict[str, Any]
    weights: tuple[Path, ...]  # several files where they are sharded

    def built(self) -> Any:
        """The network without memory."""
        with torch.device("meta"):
            return build_network(self.kind, self.settings, self.folder)


@dataclass(frozen=True)
class UnconditionalPipeline:
    """A folder that was checked, weights not yet read."""

    facts: ModelFacts
    unet: Part
    autoencoder: Part | None  # None: it draws pixels
    files: tuple[Path, ...]  # all that the model is made of, without CLIP, whose weights come from elsewhere


# ---------------------------------------------------------------------------------------------------------------------
# checking


def read_pipeline(folder: Path) -> UnconditionalPipeline:
    """Says what the pipeline of a folder is made of; reads JSON and the heads of the weights' files.

    Raises:
        FileNotFoundError: parts of it are not there.
        ValueError: a damaged file, a pickle, or networks of another kind.
    """
    return _read_pipeline(folder, stamps(folder))


@lru_cache(maxsize=4)  # as in `generators.diffusers_pipeline`
def _read_pipeline(folder: Path, as_it_is: tuple[object, ...]) -> UnconditionalPipeline:
    has_latents = kind_of(folder) == LATENTS
    flat = not has_latents and is_flat(listing_of(folder))
    names = [ROOT if flat else UNET, *([VQVAE] if has_latents else [])]
    scheduler = folder / (Path(SCHEDULER).name if flat else SCHEDULER)
    configs = [*(folder / name / "config.json" for name in names), scheduler]
    missing = [str(path.relative_to(folder)) for path in configs if not path.is_file()]
    if missing:
        raise FileNotFoundError(not_whole(folder, missing))
    unet = _part(folder, names[0], UNet2DModel)
    autoencoder = _part(folder, VQVAE, VQModel, AutoencoderKL) if has_latents else None
    facts = _checked(unet, autoencoder, scheduler)
    parts = [unet] if autoencoder is None else [unet, autoencoder]
    for part in parts:
        check_weights(part.folder, part.built(), part.weights, attention_renamed)
    weights = (file for part in parts for file in part.weights)
    return UnconditionalPipeline(facts, unet, autoencoder, (folder / INDEX_FILE, *configs, *weights))


def _part(folder: Path, name: str, *kinds: Any) -> Part:
    weights = weight_files(folder, name)
    config = read_json(folder / name / "config.json", FETCH_AGAIN)
    settings = settings_of(config, folder / name, *kinds)
    (kind,) = [kind for kind in kinds if kind.__name__ == config["_class_name"]]
    return Part(folder / name, kind, settings, weights)


def _checked(unet: Part, autoencoder: Part | None, scheduler: Path) -> ModelFacts:
    path, settings = unet.folder / "config.json", unet.built().config
    classes = [name for name in _CLASSES if settings[name] is not None]
    if classes:
        raise ValueError(f"{path}: {classes[0]}={settings[classes[0]]}, a model with class embeddings is not read here")
    for name, wanted in _WANTED.items():
        if settings[name] != wanted:
            raise ValueError(f"{path}: {name}={settings[name]}, {wanted} is wanted")
    if not isinstance(settings["sample_size"], int):
        raise ValueError(f"{path}: sample_size={settings['sample_size']}, one number is wanted")
    blocks = [*settings["down_block_types"], *settings["up_block_types"]]
    unknown = [block for block in blocks if block.removeprefix("UNetRes") not in _BLOCKS]
    if unknown:
        raise ValueError(f"{path}: {unknown[0]} is no block that ANL is inserted into: {', '.join(_BLOCKS)}")
    found, what = _COLORS, "images"
    image_size, scale, shift = settings["sample_size"], 1.0, 0.0
    if autoencoder is not None:
        theirs = autoencoder.built().config
        _check_autoencoder(theirs, autoencoder.folder / "config.json")
        found, what = _latent_channels(theirs), "latents"
        image_size *= 2 ** (len(theirs["block_out_channels"]) - 1)
        scale, shift = _latent_scale(autoencoder), float(theirs.get("shift_factor") or 0.0)
    _check_channels(settings, found, what, path)
    return ModelFacts(
        image_size=image_size, clip=clip_config(CLIP_NAME), clip_image_norm=None, latent_scale=scale,
        latent_shift=shift, schedule=read_schedule(scheduler), clip_name=CLIP_NAME,
    )  # fmt: skip


def _check_autoencoder(settings: Mapping[str, Any], path: Path) -> None:
    for name in ("in_channels", "out_channels"):
        if settings[name] != _COLORS:
            raise ValueError(f"{path}: {name}={settings[name]}, images have {_COLORS}")


def _check_channels(settings: Mapping[str, Any], wanted: int, what: str, path: Path) -> None:
    channels = settings["in_channels"], settings["out_channels"]
    if channels == (wanted, 2 * wanted):
        raise ValueError(f"{path}: {channels[1]} channels out: a model with learned variances is not read here")
    if channels != (wanted, wanted):
        raise ValueError(f"{path}: {channels[0]} channels in and {channels[1]} out, {what} have {wanted}")


def _latent_channels(autoencoder: Mapping[str, Any]) -> int:
    # a VQ model's latents are what its codebook holds, which may have other channels than its encoder gives
    return int(autoencoder.get("vq_embed_dim") or autoencoder["latent_channels"])


def _latent_scale(autoencoder: Part) -> float:
    """What latents are multiplied by.

    **Deviations:** where a VQ model's file names none it is 1: CompVis/ldm-celebahq-256 was trained so and published
    before diffusers had the setting. Its default of today, 0.18215, is another model's.
    """
    if autoencoder.kind is VQModel:
        return float(autoencoder.settings.get("scaling_factor") or 1.0)
    return float(autoencoder.built().config["scaling_factor"])


# ---------------------------------------------------------------------------------------------------------------------
# loading


def load(folder: Path, clip_checkpoint: str | None = None) -> LatentDiffusion:
    """The pipeline's model with ANL in it, in float32 on the CPU.

    Args:
        clip_checkpoint: weights of the paper's CLIP (`generators.conditioning.load_clip`).

    Raises:
        FileNotFoundError, ValueError: as `read_pipeline`, or CLIP's weights are not there.
    """
    pipeline = read_pipeline(folder)
    clip_file(clip_checkpoint, CLIP_NAME)  # what is missing is said before the weights are read
    unet = ConditionalUNet(_filled(pipeline.unet), int(pipeline.facts.clip["embed_dim"]))
    autoencoder = PixelSpace() if pipeline.autoencoder is None else _filled(pipeline.autoencoder)
    model = LatentDiffusion(pipeline.facts, unet, autoencoder)
    load_clip(model.clip.model, clip_checkpoint, CLIP_NAME)
    return model.eval()


def _filled(part: Part) -> Any:
    network = part.built()
    fill_network(network, part.weights, attention_renamed)
    return network
