"""A diffusers pipeline's folder as our model: Stable Diffusion 1.x and 2.x, its image variations, LDM text2im.

Everything but the tensors themselves is checked before any weights are read: which pipeline it is, that all parts are
there, and every tensor's name and shape, which stand in the head of a safetensors file. No pickle is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn

from generators.conditioning import clip_file, load_clip
from generators.files import read_json, stamps
from generators.image_encoder import ImageTower, open_clip_weights
from generators.ldm import LatentDiffusion
from generators.ldm_bert import BertTextEncoder, WordPieces, sizes_of
from generators.model_facts import ModelFacts
from generators.pipeline_clip import clip_of
from generators.pipeline_files import (
    AUTOENCODER,
    BERT,
    FETCH_AGAIN,
    IMAGE,
    IMAGE_ENCODER,
    INDEX_FILE,
    SCHEDULER,
    TEXT_ENCODER,
    TOKENIZER,
    UNET,
    VOCABULARY,
    VQVAE,
    WORDS,
    check_token_width,
    kind_of,
    not_whole,
    read_schedule,
    weight_files,
)
from generators.pipeline_networks import (
    Renaming,
    attention_renamed,
    build_network,
    check_weights,
    fill_network,
    settings_of,
)
from generators.text_encoder import PAD_FILES, TextEncoder, open_clip_text_weights, read_text_settings

# Settings with which a UNet wants more than noisy latents, a timestep and tokens, or attends to them otherwise.
_MORE_CONDITIONS = (
    "class_embed_type", "num_class_embeds", "addition_embed_type", "encoder_hid_dim_type", "encoder_hid_dim",
    "time_cond_proj_dim", "dual_cross_attention", "only_cross_attention",
)  # fmt: skip
# Where a pipeline keeps a part that others keep elsewhere.
_PLACES = {WORDS: {AUTOENCODER: VQVAE, TEXT_ENCODER: BERT}}


@dataclass(frozen=True)
class Pipeline:
    """A folder that was checked, weights not yet read."""

    folder: Path
    facts: ModelFacts
    unet: dict[str, Any]  # settings of the networks, as diffusers takes them
    autoencoder: dict[str, Any]
    make_text: Callable[[], nn.Module] | None  # its text encoder without weights, where that is wanted
    places: dict[str, Path]  # of each part
    weights: dict[str, tuple[Path, ...]]  # of each part; several files where they are sharded
    files: tuple[Path, ...]  # all that the model is made of, without a CLIP whose weights come from elsewhere


# ---------------------------------------------------------------------------------------------------------------------
# checking


def read_pipeline(folder: Path, with_text: bool = False) -> Pipeline:
    """Says what the pipeline of a folder is made of; reads JSON and the heads of the weights' files.

    Args:
        with_text: whether its text encoder is wanted as well.

    Raises:
        FileNotFoundError: parts of it are not there.
        ValueError: another pipeline, a damaged file, a pickle, or networks of another kind.
    """
    return _read_pipeline(folder, with_text, stamps(folder))


@lru_cache(maxsize=4)  # a command asks several times, and networks are built to answer
def _read_pipeline(folder: Path, with_text: bool, as_it_is: tuple[object, ...]) -> Pipeline:
    kind = kind_of(folder)
    if with_text and kind == IMAGE:
        raise ValueError(f"{folder}: a {IMAGE} has no text encoder for class names; use condition=image")
    has_text = with_text or kind == WORDS
    parts = [UNET, AUTOENCODER, *([IMAGE_ENCODER] if kind == IMAGE else []), *([TEXT_ENCODER] if has_text else [])]
    names = {part: _PLACES.get(kind, {}).get(part, part) for part in parts}
    configs = [*(f"{name}/config.json" for name in names.values()), SCHEDULER]
    if kind == WORDS:
        configs.append(f"{TOKENIZER}/{VOCABULARY}")
    missing = [name for name in configs if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(not_whole(folder, missing))
    places = {part: folder / name for part, name in names.items()}
    weights = {part: weight_files(folder, name) for part, name in names.items()}
    settings = {part: read_json(place / "config.json", FETCH_AGAIN) for part, place in places.items()}
    unet = settings_of(settings[UNET], places[UNET], UNet2DConditionModel)
    autoencoder = settings_of(settings[AUTOENCODER], places[AUTOENCODER], AutoencoderKL)
    with torch.device("meta"):
        networks = _networks(places, unet, autoencoder)
    _check_unet(networks[UNET].config, networks[AUTOENCODER].config, folder)
    facts = _facts(folder, kind, networks, settings.get(IMAGE_ENCODER))
    if IMAGE_ENCODER in parts:
        with torch.device("meta"):
            networks[IMAGE_ENCODER] = ImageTower(facts.clip)
    make_text = None
    if has_text:
        make_text = _text_encoder(folder, kind, places[TEXT_ENCODER], settings[UNET]["cross_attention_dim"])
        with torch.device("meta"):
            networks[TEXT_ENCODER] = make_text()
    for part, network in networks.items():
        check_weights(places[part], network, weights[part], _renaming(kind, part))
    files = [folder / INDEX_FILE, *(folder / name for name in configs), *(f for each in weights.values() for f in each)]
    if has_text and kind != WORDS:
        tokenizer = (folder / TOKENIZER / name for name in PAD_FILES)
        files += [path for path in tokenizer if path.is_file()]
    return Pipeline(folder, facts, unet, autoencoder, make_text, places, weights, tuple(files))


def _networks(places: Mapping[str, Path], unet: dict[str, Any], autoencoder: dict[str, Any]) -> dict[str, Any]:
    return {
        UNET: build_network(UNet2DConditionModel, unet, places[UNET]),
        AUTOENCODER: build_network(AutoencoderKL, autoencoder, places[AUTOENCODER]),
    }


def _check_unet(unet: Mapping[str, Any], autoencoder: Mapping[str, Any], folder: Path) -> None:
    path = folder / UNET / "config.json"
    more = [name for name in _MORE_CONDITIONS if unet.get(name)]
    if more:
        raise ValueError(
            f"{path}: {more[0]}={unet[more[0]]} asks for conditions beside tokens, which are not known here; draw with "
            "diffusers and bring the pictures in: python -m ssl_aug.import_set"
        )
    channels = int(autoencoder["latent_channels"])
    if (unet["in_channels"], unet["out_channels"]) != (channels, channels):
        raise ValueError(
            f"{path}: {unet['in_channels']} channels in and {unet['out_channels']} out, latents have {channels}; a "
            "UNet for inpainting, depth or editing is not read here"
        )
    for name in ("sample_size", "cross_attention_dim"):
        if not isinstance(unet[name], int):
            raise ValueError(f"{path}: {name}={unet[name]}, one number is wanted")


def _text_encoder(folder: Path, kind: str, place: Path, width: int) -> Callable[[], nn.Module]:
    path = place / "config.json"
    if kind == WORDS:
        sizes = sizes_of(read_json(path, FETCH_AGAIN), path)
        check_token_width(path, sizes.d_model, width)
        return partial(BertTextEncoder, sizes, WordPieces(folder / TOKENIZER / VOCABULARY))
    text = read_text_settings(place, folder / TOKENIZER, FETCH_AGAIN)
    check_token_width(path, text.width, width)
    return partial(TextEncoder, text)


# ---------------------------------------------------------------------------------------------------------------------
# facts


def _facts(folder: Path, kind: str, networks: Mapping[str, Any], image_encoder: dict[str, Any] | None) -> ModelFacts:
    unet, autoencoder = networks[UNET].config, networks[AUTOENCODER].config
    clip, clip_name = clip_of(folder, kind, int(unet["cross_attention_dim"]), image_encoder)
    return ModelFacts(
        image_size=unet["sample_size"] * 2 ** (len(autoencoder["block_out_channels"]) - 1),
        clip=clip,
        clip_image_norm=None,
        latent_scale=float(autoencoder["scaling_factor"]),
        latent_shift=float(autoencoder["shift_factor"] or 0.0),
        schedule=read_schedule(folder / SCHEDULER),
        clip_name=clip_name,
    )


# ---------------------------------------------------------------------------------------------------------------------
# loading


def load(folder: Path, clip_checkpoint: str | None = None, with_text: bool = False) -> LatentDiffusion:
    """The pipeline's model, in float32 on the CPU.

    Args:
        clip_checkpoint: CLIP's weights where the pipeline has no image encoder (`generators.conditioning.load_clip`).
        with_text: whether its text encoder is wanted as well.

    Raises:
        FileNotFoundError, ValueError: as `read_pipeline`, or CLIP's weights are not there or have no effect.
    """
    pipeline = read_pipeline(folder, with_text)
    facts = pipeline.facts
    if facts.clip_name is not None:
        clip_file(clip_checkpoint, facts.clip_name)  # what is missing is said before gigabytes are read
    elif clip_checkpoint is not None:
        raise ValueError(f"generator.clip_checkpoint has no effect: {folder} holds its own CLIP")
    with torch.device("meta"):
        networks = _networks(pipeline.places, pipeline.unet, pipeline.autoencoder)
        if pipeline.make_text is not None:
            networks[TEXT_ENCODER] = pipeline.make_text()
    for part, network in networks.items():
        fill_network(network, pipeline.weights[part], _renaming(kind_of(folder), part))
    model = LatentDiffusion(facts, networks[UNET], networks[AUTOENCODER], networks.get(TEXT_ENCODER))
    if facts.clip_name is None:
        fill_network(model.clip.model, pipeline.weights[IMAGE_ENCODER], open_clip_weights)
        model.clip.requires_grad_(False)
    else:
        load_clip(model.clip.model, clip_checkpoint, facts.clip_name)
    return model.eval()


def _renaming(kind: str, part: str) -> Renaming:
    return dict if (kind, part) == (WORDS, TEXT_ENCODER) else _RENAMED[part]


_RENAMED: dict[str, Renaming] = {
    UNET: dict,
    AUTOENCODER: attention_renamed,
    IMAGE_ENCODER: open_clip_weights,
    TEXT_ENCODER: open_clip_text_weights,
}
