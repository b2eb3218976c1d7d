"""Our format of a latent diffusion model: one folder of safetensors and JSON.

Folder layout: `model.json` (format, image size, latent scale, schedule, CLIP's config and embedding norm), and
`unet`, `autoencoder`, `clip`, each as `<part>.safetensors`, the first two with diffusers' `<part>.json`. A folder
without `clip.safetensors` takes CLIP's weights from elsewhere; `null_token.safetensors` is there where the token for
no condition is not zero.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel, VQModel

from generators.anl_ddpm import ConditionalUNet
from generators.conditioning import load_clip
from generators.files import read_json
from generators.kept_weights import write_weights
from generators.ldm import LatentDiffusion
from generators.model_facts import CLIP_FILE, FACTS_FILE, NULL_TOKEN_FILE, files_of, read_facts
from generators.weights import check_fit, load_weights, read_weights

AUTOENCODERS = {"AutoencoderKL": AutoencoderKL, "VQModel": VQModel}


def save(model: LatentDiffusion, folder: Path, dtype: torch.dtype = torch.float32, with_clip: bool = True) -> None:
    """Writes the model's folder; float16 halves it.

    Raises:
        ValueError: a model that our folders do not hold.
    """
    if isinstance(model.unet, ConditionalUNet):
        raise ValueError("a model with inserted ANL modules is kept as its pipeline's folder and an adapter")
    folder.mkdir(parents=True, exist_ok=True)
    modules = {"unet": model.unet, "autoencoder": model.autoencoder, "clip": model.clip.model}
    tensors = {part: module.state_dict() for part, module in modules.items() if part != "clip" or with_clip}
    if model.null_token.any():
        tensors["null_token"] = {"null_token": model.null_token}
    for part, state in tensors.items():
        weights = {name: tensor.detach().cpu().to(dtype) for name, tensor in state.items()}
        write_weights(weights, folder / f"{part}.safetensors", "what they were read from is damaged")
    for part in ("unet", "autoencoder"):
        (folder / f"{part}.json").write_text(json.dumps(_public_config(modules[part]), indent=2) + "\n")
    facts = asdict(model.facts)
    if not model.facts.latent_shift:
        del facts["latent_shift"]  # the id of a model without one stays what it was before there were any
    (folder / FACTS_FILE).write_text(json.dumps(facts, indent=2) + "\n")


def load(folder: Path, clip_checkpoint: str | None = None) -> LatentDiffusion:
    """Reads a model's folder, in float32 on the CPU; `generators.checkpoints` opens other kinds too.

    Args:
        clip_checkpoint: CLIP's weights where the folder has none (`generators.conditioning.load_clip`).

    Raises:
        FileNotFoundError: one of its files is missing.
        ValueError: another format, or weights that do not fit the config.
    """
    facts = read_facts(folder)
    files = files_of(folder, facts)
    has_clip = folder / CLIP_FILE in files
    if has_clip and clip_checkpoint is not None:
        raise ValueError(f"generator.clip_checkpoint has no effect: {folder} holds its own {CLIP_FILE}")
    model = LatentDiffusion(facts, _build_unet(folder), _build_autoencoder(folder))
    load_weights(model.unet, folder / "unet.safetensors")
    load_weights(model.autoencoder, folder / "autoencoder.safetensors")
    if has_clip:
        load_weights(model.clip.model, folder / CLIP_FILE)
    else:
        load_clip(model.clip.model, clip_checkpoint, str(facts.clip_name))
    path = folder / NULL_TOKEN_FILE
    if path in files:
        tensors = read_weights(path)
        check_fit(tensors, {"null_token": tuple(model.null_token.shape)}, f"{path} does not fit the model")
        model.null_token.copy_(tensors["null_token"])
    return model.eval()


def _build_unet(folder: Path) -> UNet2DConditionModel:
    config = read_json(folder / "unet.json", "restore it")
    config.pop("_class_name", None)
    return UNet2DConditionModel(**config)


def _build_autoencoder(folder: Path) -> AutoencoderKL | VQModel:
    path = folder / "autoencoder.json"
    config = read_json(path, "restore it")
    kind = config.pop("_class_name", None)
    if kind not in AUTOENCODERS:
        raise ValueError(f"{path}: _class_name {kind}, known are {', '.join(AUTOENCODERS)}")
    return AUTOENCODERS[kind](**config)


def _public_config(module: UNet2DConditionModel | AutoencoderKL | VQModel) -> dict[str, Any]:
    kept = {key: value for key, value in module.config.items() if not key.startswith("_") and value is not None}
    return {"_class_name": type(module).__name__, **kept}
