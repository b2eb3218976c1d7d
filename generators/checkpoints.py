"""Opens a checkpoint of any kind and says what it is.

A model's folder of ours, a diffusers pipeline's folder, or the published file of CompVis.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generators import compvis, diffusers_pipeline, ldm, unconditional_pipeline
from generators.conditioning import check_clip, clip_file
from generators.pipeline_files import INDEX_FILE, LATENTS, PIXELS, kind_of
from generators.weights import read_shapes

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w.-]+)?")


@dataclass(frozen=True)
class Checkpoint:
    """What lies at a path, known without reading weights."""

    path: Path
    files: tuple[Path, ...]  # all that the model is made of, without a CLIP whose weights come from elsewhere
    clip_name: str | None  # open_clip's name of the CLIP whose weights come from elsewhere; None: its own are in it
    clip: dict[str, Any]  # open_clip's config of its CLIP; without text_cfg no prompt can be embedded
    schedule: dict[str, Any]  # noise levels of the training and what the network predicts, as diffusers takes them
    load: Callable[[Path, str | None], ldm.LatentDiffusion]  # path, CLIP's weights where they come from elsewhere


def describe(path: Path) -> Checkpoint:
    """Says of which kind the checkpoint at `path` is.

    Raises:
        FileNotFoundError: there is nothing, or a folder that lacks files of a model.
        ValueError: a model's folder of another format, or a file of another model.
    """
    if path.is_file():
        _check_single_file(path)
        clip = compvis.clip_config(compvis.CLIP_NAME)
        return Checkpoint(path, (path,), compvis.CLIP_NAME, clip, dict(ldm.SCHEDULE), compvis.load)
    if (path / ldm.FACTS_FILE).is_file():
        facts = ldm.read_facts(path)
        files = tuple(ldm.files_of(path, facts))
        clip_name = None if path / ldm.CLIP_FILE in files else facts.clip_name
        return Checkpoint(path, files, clip_name, facts.clip, facts.schedule, ldm.load)
    if (path / INDEX_FILE).is_file():
        reader = unconditional_pipeline if kind_of(path) in (PIXELS, LATENTS) else diffusers_pipeline
        pipeline = reader.read_pipeline(path)
        facts = pipeline.facts
        return Checkpoint(path, pipeline.files, facts.clip_name, facts.clip, facts.schedule, reader.load)
    raise FileNotFoundError(f"generator.checkpoint={path}: {_what_is_missing(path)}")


def _check_single_file(path: Path) -> None:
    # a file of PyTorch's has no head that tells as much: it is read first
    if path.suffix == ".safetensors" and compvis.CLASS_EMBEDDING not in read_shapes(path):
        raise ValueError(
            f"generator.checkpoint={path} is not the published cin256-v2 checkpoint; Stable Diffusion is taken as the "
            f"folder of a diffusers pipeline ({INDEX_FILE}, unet/, vae/, scheduler/), not as one file"
        )


def _what_is_missing(path: Path) -> str:
    wanted = (
        f"give the folder of a model ({', '.join(ldm.NEEDED_FILES)}), of a diffusers pipeline ({INDEX_FILE}), or the "
        "published checkpoint's file (model.ckpt of cin256-v2)"
    )
    if path.is_dir():
        return f"a folder without {ldm.FACTS_FILE} or {INDEX_FILE}; {wanted}"
    if _HUB_ID.fullmatch(str(path)):
        name, _, revision = str(path).partition("@")
        pinned = f", revision={revision!r}" if revision else ""
        return (
            "there is no such file or folder, and nothing is fetched from the hub: call huggingface_hub."
            f"snapshot_download({name!r}{pinned}, local_dir='FOLDER', allow_patterns=['*.json', "
            "'*/diffusion_pytorch_model.safetensors', 'image_encoder/model.safetensors']) and give "
            "generator.checkpoint=FOLDER"
        )
    return f"there is no such file or folder; {wanted}"


def open_checkpoint(path: Path, clip_checkpoint: str | None = None) -> ldm.LatentDiffusion:
    """The model at `path`, in float32 on the CPU.

    Args:
        clip_checkpoint: CLIP's weights where the checkpoint has none (`generators.conditioning.load_clip`).

    Raises:
        FileNotFoundError: the checkpoint, one of its files or CLIP's weights are not there.
        ValueError: another format, or weights that do not fit.
    """
    return describe(path).load(path, clip_checkpoint)


def schedule_of(path: Path) -> dict[str, Any]:
    """The noise schedule that the model at `path` was trained with; reads no weights.

    Raises:
        FileNotFoundError, ValueError: as `describe`.
    """
    return describe(path).schedule


def weights_hash(path: Path, clip_checkpoint: str | None = None) -> str:
    """12 hex digits of all that a model is loaded from, CLIP's file included.

    Raises:
        FileNotFoundError, ValueError: as `open_checkpoint`.
    """
    checkpoint = describe(path)
    files = list(checkpoint.files)
    if checkpoint.clip_name is not None:
        file = clip_file(clip_checkpoint, checkpoint.clip_name)
        check_clip(file, checkpoint.clip_name, checkpoint.clip)
        files.append(file)
    elif clip_checkpoint is not None:
        raise ValueError(f"generator.clip_checkpoint has no effect: {path} holds its own CLIP")
    digest = hashlib.sha256()
    for one in sorted(files):
        with one.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()[:12]
