"""A diffusers pipeline's folder as our model: Stable Diffusion 1.x and 2.x, and its image variations.

Everything but the tensors themselves is checked before any weights are read: which pipeline it is, that all parts are
there, and every tensor's name and shape, which stand in the head of a safetensors file. No pickle is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch.nn.functional import cosine_similarity

from generators.conditioning import clip_config, clip_file, load_clip
from generators.files import read_json
from generators.image_encoder import ImageTower, open_clip_config, open_clip_weights
from generators.ldm import LatentDiffusion, ModelFacts
from generators.pipeline_files import (
    AUTOENCODER,
    FETCH_AGAIN,
    IMAGE,
    IMAGE_ENCODER,
    INDEX_FILE,
    SCHEDULER,
    TEXT_ENCODER,
    TOKENIZER,
    UNET,
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
from generators.text_encoder import PAD_FILES, TextEncoder, TextSettings, open_clip_text_weights, read_text_settings
from generators.weights import read_one_of

# open_clip's model whose embeddings are as wide as the UNet's tokens, for pipelines without an image encoder. The text
# states that the UNet was trained with are of the same models.
CLIP_OF_WIDTH = {768: "ViT-L-14-quickgelu", 1024: "ViT-H-14"}
# Settings with which a UNet wants more than noisy latents, a timestep and tokens, or attends to them otherwise.
_MORE_CONDITIONS = (
    "class_embed_type", "num_class_embeds", "addition_embed_type", "encoder_hid_dim_type", "encoder_hid_dim",
    "time_cond_proj_dim", "dual_cross_attention", "only_cross_attention",
)  # fmt: skip
_SAME_CLIP = 0.9  # cosine of place embeddings from which two towers are of one training


@dataclass(frozen=True)
class Pipeline:
    """A folder that was checked, weights not yet read."""

    folder: Path
    facts: ModelFacts
    unet: dict[str, Any]  # settings of the networks, as diffusers takes them
    autoencoder: dict[str, Any]
    text: TextSettings | None  # of its text encoder, where that is wanted
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
    kind = kind_of(folder)
    if with_text and kind == IMAGE:
        raise ValueError(f"{folder}: a {IMAGE} has no text encoder for class names; use condition=image")
    parts = [UNET, AUTOENCODER, *([IMAGE_ENCODER] if kind == IMAGE else []), *([TEXT_ENCODER] if with_text else [])]
    configs = [*(f"{part}/config.json" for part in parts), SCHEDULER]
    missing = [name for name in configs if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(not_whole(folder, missing))
    weights = {part: weight_files(folder, part) for part in parts}
    settings = {part: read_json(folder / part / "config.json", FETCH_AGAIN) for part in parts}
    unet = settings_of(settings[UNET], folder / UNET, UNet2DConditionModel)
    autoencoder = settings_of(settings[AUTOENCODER], folder / AUTOENCODER, AutoencoderKL)
    with torch.device("meta"):
        networks = _networks(folder, unet, autoencoder)
    _check_unet(networks[UNET].config, networks[AUTOENCODER].config, folder)
    facts = _facts(folder, networks, settings.get(IMAGE_ENCODER))
    if IMAGE_ENCODER in parts:
        with torch.device("meta"):
            networks[IMAGE_ENCODER] = ImageTower(facts.clip)
    text = None
    if with_text:
        text = read_text_settings(folder / TEXT_ENCODER, folder / TOKENIZER, FETCH_AGAIN)
        _check_token_width(folder / TEXT_ENCODER / "config.json", text.width, unet)
        with torch.device("meta"):
            networks[TEXT_ENCODER] = TextEncoder(text)
    for part, network in networks.items():
        check_weights(folder / part, network, weights[part], _RENAMED[part])
    files = [folder / INDEX_FILE, *(folder / name for name in configs), *(f for each in weights.values() for f in each)]
    if with_text:
        tokenizer = (folder / TOKENIZER / name for name in PAD_FILES)
        files += [path for path in tokenizer if path.is_file()]
    return Pipeline(folder, facts, unet, autoencoder, text, weights, tuple(files))


def _networks(folder: Path, unet: dict[str, Any], autoencoder: dict[str, Any]) -> dict[str, Any]:
    return {
        UNET: build_network(UNet2DConditionModel, unet, folder / UNET),
        AUTOENCODER: build_network(AutoencoderKL, autoencoder, folder / AUTOENCODER),
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


def _check_token_width(path: Path, width: int, unet: Mapping[str, Any]) -> None:
    if width != unet["cross_attention_dim"]:
        raise ValueError(
            f"{path}: embeddings of {width} values, the UNet takes tokens of {unet['cross_attention_dim']}: the two "
            "parts are not of one pipeline"
        )


# ---------------------------------------------------------------------------------------------------------------------
# facts


def _facts(folder: Path, networks: Mapping[str, Any], image_encoder: dict[str, Any] | None) -> ModelFacts:
    unet, autoencoder = networks[UNET].config, networks[AUTOENCODER].config
    width = int(unet["cross_attention_dim"])
    if image_encoder is not None:
        path = folder / IMAGE_ENCODER / "config.json"
        clip, clip_name = open_clip_config(image_encoder, path), None
        _check_token_width(path, clip["embed_dim"], unet)
    elif width in CLIP_OF_WIDTH:
        clip_name = CLIP_OF_WIDTH[width]
        clip = clip_config(clip_name)
    else:
        known = ", ".join(f"{size} ({name})" for size, name in CLIP_OF_WIDTH.items())
        raise ValueError(
            f"{folder / UNET / 'config.json'}: tokens of {width} values, and no CLIP is known that gives them: {known}"
        )
    return ModelFacts(
        image_size=unet["sample_size"] * 2 ** (len(autoencoder["block_out_channels"]) - 1),
        clip=clip,
        clip_image_norm=None,
        latent_scale=float(autoencoder["scaling_factor"]),
        latent_shift=float(autoencoder["shift_factor"] or 0.0),
        schedule=read_schedule(folder / SCHEDULER),
        clip_name=clip_name,
    )


def check_clip_of(folder: Path, clip: Path) -> None:
    """Compares a CLIP with the text encoder of a pipeline, where it has one: tokens as wide come from others too.

    Place embeddings are looked at, which fine-tuning hardly moves and another training shares nothing of.

    Raises:
        ValueError: the two are of different trainings.
    """
    if clip.suffix != ".safetensors" or not any((folder / TEXT_ENCODER).glob("*.safetensors")):
        return
    names = [f"{prefix}embeddings.position_embedding.weight" for prefix in ("text_model.", "")]
    found = (read_one_of(file, names) for file in weight_files(folder, TEXT_ENCODER))
    own = next((tensor for tensor in found if tensor is not None), None)
    given = read_one_of(clip, ["positional_embedding", "text.positional_embedding"])
    if own is None or given is None:
        return
    is_same = own.shape == given.shape and float(cosine_similarity(own.flatten(), given.flatten(), dim=0)) > _SAME_CLIP
    if not is_same:
        raise ValueError(
            f"generator.clip_checkpoint={clip} is another training of CLIP than {folder / TEXT_ENCODER} is of: give "
            "the one that the pipeline was trained with"
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
        networks = _networks(folder, pipeline.unet, pipeline.autoencoder)
        if pipeline.text is not None:
            networks[TEXT_ENCODER] = TextEncoder(pipeline.text)
    for part, network in networks.items():
        fill_network(network, pipeline.weights[part], _RENAMED[part])
    model = LatentDiffusion(facts, networks[UNET], networks[AUTOENCODER], networks.get(TEXT_ENCODER))
    if facts.clip_name is None:
        fill_network(model.clip.model, pipeline.weights[IMAGE_ENCODER], _RENAMED[IMAGE_ENCODER])
        model.clip.requires_grad_(False)
    else:
        load_clip(model.clip.model, clip_checkpoint, facts.clip_name)
    return model.eval()


_RENAMED: dict[str, Renaming] = {
    UNET: dict,
    AUTOENCODER: attention_renamed,
    IMAGE_ENCODER: open_clip_weights,
    TEXT_ENCODER: open_clip_text_weights,
}
