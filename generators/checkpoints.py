"""Opens a checkpoint of any kind and says what it is: a model's folder of ours, or the published file of CompVis."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generators import compvis, ldm
from generators.conditioning import clip_file


@dataclass(frozen=True)
class Checkpoint:
    """What lies at a path, known without reading weights."""

    path: Path
    files: tuple[Path, ...]  # all that the model is made of, without a CLIP whose weights come from elsewhere
    clip_name: str | None  # open_clip's name of the CLIP whose weights come from elsewhere; None: its own are in it
    schedule: dict[str, Any]  # noise levels of the training and what the network predicts, as diffusers takes them
    load: Callable[[Path, str | None], ldm.LatentDiffusion]  # path, CLIP's weights where they come from elsewhere


def describe(path: Path) -> Checkpoint:
    """Says of which kind the checkpoint at `path` is.

    Raises:
        FileNotFoundError: there is nothing, or a folder that lacks files of a model.
        ValueError: a model's folder of another format.
    """
    if path.is_file():
        return Checkpoint(path, (path,), compvis.CLIP_NAME, dict(ldm.SCHEDULE), compvis.load)
    if (path / ldm.FACTS_FILE).is_file():
        facts = ldm.read_facts(path)
        files = tuple(ldm.files_of(path, facts))
        clip_name = None if path / ldm.CLIP_FILE in files else facts.clip_name
        return Checkpoint(path, files, clip_name, facts.schedule, ldm.load)
    what = f"a folder without {ldm.FACTS_FILE}" if path.is_dir() else "there is no such file or folder"
    raise FileNotFoundError(
        f"generator.checkpoint={path}: {what}; give the folder of a model ({', '.join(ldm.NEEDED_FILES)}), "
        "or the published checkpoint's file (model.ckpt of cin256-v2)"
    )


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
        FileNotFoundError: as `open_checkpoint`.
    """
    checkpoint = describe(path)
    files = list(checkpoint.files)
    if checkpoint.clip_name is not None:
        files.append(clip_file(clip_checkpoint, checkpoint.clip_name))
    digest = hashlib.sha256()
    for one in sorted(files):
        with one.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]
