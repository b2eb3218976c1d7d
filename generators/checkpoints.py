"""Opens a checkpoint of any kind and says what it is.

A model's folder of ours, a diffusers pipeline's folder or name on the hub, or the published file of CompVis. Torch is
loaded for the latter two, whose networks are built to be checked, and to open: what a folder of ours is, its files say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generators import hub
from generators.hashes import file_hashes
from generators.model_facts import CLIP_FILE, FACTS_FILE, NEEDED_FILES, SCHEDULE, files_of, read_facts
from generators.pipeline_files import INDEX_FILE, LATENTS, PIXELS, WORDS, kind_of

if TYPE_CHECKING:
    from generators.ldm import LatentDiffusion


@dataclass(frozen=True)
class Checkpoint:
    """What lies at a path, known without reading weights."""

    path: Path
    files: tuple[Path, ...]  # all that the model is made of, without a CLIP whose weights come from elsewhere
    clip_name: str | None  # open_clip's name of the CLIP whose weights come from elsewhere; None: its own are in it
    clip: dict[str, Any]  # open_clip's config of its CLIP; without text_cfg no prompt can be embedded
    schedule: dict[str, Any]  # noise levels of the training and what the network predicts, as diffusers takes them
    image_norm: float | None  # mean norm of image embeddings; None: tuning measures it
    follows_images: bool  # whether its network was trained with CLIP's embeddings of images
    takes_images: bool  # whether they are as wide as its tokens, so that it can be tuned to follow them
    load: Callable[[Path, str | None], LatentDiffusion]  # path, CLIP's weights where they come from elsewhere


def locate(checkpoint: str) -> tuple[Path, str | None]:
    """Where a checkpoint lies, fetched if need be; beside it owner/name@commit where it is of the hub.

    Raises:
        FileNotFoundError, ValueError: as `generators.hub.find`; what is no hub id may be missing, `describe` says it.
    """
    if not hub.is_hub_id(checkpoint):
        return Path(checkpoint), None
    found = hub.find(checkpoint)
    return found.folder, found.id


def describe(path: Path, with_text: bool = False) -> Checkpoint:
    """Says of which kind the checkpoint at `path` is.

    Args:
        with_text: whether a text encoder of its own is wanted as well, for conditions of class names.

    Raises:
        FileNotFoundError: there is nothing, or a folder that lacks files of a model.
        ValueError: a model's folder of another format, or a file of another model.
    """
    if path.is_file():
        published = _describe_file(path)
        _refuse_text(path, with_text)
        return published
    if (path / FACTS_FILE).is_file():
        _refuse_text(path, with_text)
        facts = read_facts(path)
        files = tuple(files_of(path, facts))
        clip_name = None if path / CLIP_FILE in files else facts.clip_name
        norm, is_ours = facts.clip_image_norm, facts.source_sha256 is None
        return Checkpoint(path, files, clip_name, facts.clip, facts.schedule, norm, is_ours, True, _load_folder)
    if (path / INDEX_FILE).is_file():
        return _describe_pipeline(path, with_text)
    raise FileNotFoundError(f"generator.checkpoint={path}: {_what_is_missing(path)}")


def _load_folder(path: Path, clip_checkpoint: str | None) -> LatentDiffusion:
    from generators import model_folder

    return model_folder.load(path, clip_checkpoint)


def _describe_file(path: Path) -> Checkpoint:
    from generators import compvis
    from generators.weights import read_shapes

    # a file of PyTorch's has no head that tells as much: it is read first
    if path.suffix == ".safetensors" and compvis.CLASS_EMBEDDING not in read_shapes(path):
        raise ValueError(
            f"generator.checkpoint={path} is not the published cin256-v2 checkpoint; Stable Diffusion is taken as the "
            f"folder of a diffusers pipeline ({INDEX_FILE}, unet/, vae/, scheduler/), not as one file"
        )
    clip = compvis.clip_config(compvis.CLIP_NAME)
    return Checkpoint(path, (path,), compvis.CLIP_NAME, clip, dict(SCHEDULE), None, False, True, compvis.load)


def _describe_pipeline(path: Path, with_text: bool) -> Checkpoint:
    from generators import diffusers_pipeline, unconditional_pipeline

    kind = kind_of(path)
    load: Callable[[Path, str | None], LatentDiffusion]
    if kind in (PIXELS, LATENTS):
        _refuse_text(path, with_text)
        of_none = unconditional_pipeline.read_pipeline(path)
        files, facts, load = of_none.files, of_none.facts, unconditional_pipeline.load
    else:
        pipeline = diffusers_pipeline.read_pipeline(path, with_text)
        files, facts = pipeline.files, pipeline.facts
        load = partial(diffusers_pipeline.load, with_text=with_text)
    norm, has_own_clip = facts.clip_image_norm, facts.clip_name is None
    return Checkpoint(path, files, facts.clip_name, facts.clip, facts.schedule, norm, has_own_clip, kind != WORDS, load)


def _refuse_text(path: Path, with_text: bool) -> None:
    if with_text:
        raise ValueError(
            f"{path} has no text encoder for class names, which its network was not trained with: use condition=image "
            "or borrowed, or the weights of a text-to-image pipeline"
        )


def _what_is_missing(path: Path) -> str:
    wanted = (
        f"give the folder of a model ({', '.join(NEEDED_FILES)}), of a diffusers pipeline ({INDEX_FILE}), "
        "or the published checkpoint's file (model.ckpt of cin256-v2)"
    )
    if path.is_dir():
        return f"a folder without {FACTS_FILE} or {INDEX_FILE}; {wanted}"
    if hub.is_hub_id(str(path)):
        return hub.how_to_get(str(path))
    return f"there is no such file or folder; {wanted}"


def open_checkpoint(path: Path, clip_checkpoint: str | None = None, with_text: bool = False) -> LatentDiffusion:
    """The model at `path`, in float32 on the CPU.

    Args:
        clip_checkpoint: CLIP's weights where the checkpoint has none (`generators.conditioning.load_clip`).
        with_text: whether its own text encoder is wanted as well.

    Raises:
        FileNotFoundError: the checkpoint, one of its files or CLIP's weights are not there.
        ValueError: another format, or weights that do not fit.
    """
    return describe(path, with_text).load(path, clip_checkpoint)


def schedule_of(path: Path) -> dict[str, Any]:
    """The noise schedule that the model at `path` was trained with; reads no weights.

    Raises:
        FileNotFoundError, ValueError: as `describe`.
    """
    return describe(path).schedule


def weights_hash(
    path: Path, clip_checkpoint: str | None = None, with_text: bool = False, memory: Path | None = None
) -> str:
    """12 hex digits of all that a model is loaded from, CLIP's file and a text encoder's included; as `describe`.

    Args:
        memory: where hashes are remembered (`generators.hashes.file_hashes`); None: all is read.

    Raises:
        FileNotFoundError, ValueError: as `open_checkpoint`.
    """
    checkpoint = describe(path, with_text)
    files = list(checkpoint.files)
    if checkpoint.clip_name is not None:
        files.append(_checked_clip(checkpoint, checkpoint.clip_name, clip_checkpoint))
    elif clip_checkpoint is not None:
        raise ValueError(f"generator.clip_checkpoint has no effect: {path} holds its own CLIP")
    found = file_hashes(sorted(files), memory)
    return hashlib.sha256(b"".join(bytes.fromhex(sha256) for sha256 in found)).hexdigest()[:12]


def _checked_clip(checkpoint: Checkpoint, name: str, clip_checkpoint: str | None) -> Path:
    """The file of a CLIP whose weights come from elsewhere."""
    from generators.conditioning import check_clip, clip_file
    from generators.pipeline_clip import check_clip_of

    file = clip_file(clip_checkpoint, name)
    check_clip(file, name, checkpoint.clip)
    check_clip_of(checkpoint.path, file)
    return file
