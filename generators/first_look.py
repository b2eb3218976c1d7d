"""What can be told of a checkpoint before torch and all else is loaded, which takes seconds."""

from __future__ import annotations

import zipfile
from pathlib import Path

from safetensors import safe_open

from generators import hub
from generators.files import check_head, read_json
from generators.needed_files import needed_files
from generators.network import may_fetch
from generators.pipeline_files import (
    FETCH_AGAIN,
    IMAGE,
    IMAGE_ENCODER,
    INDEX_FILE,
    SCHEDULER,
    TEXT,
    TEXT_ENCODER,
    UNET,
    check_token_width,
    kind_of,
    listing_of,
    read_schedule,
)
from generators.settings import GeneratorSettings

_TEXT_ENCODER_OF_SD = "cond_stage_model.transformer."
_CLIP_OUT = "visual.proj"  # (inner width, width of an embedding)


def refuse_at_once(generator: GeneratorSettings) -> None:
    """Says of a pipeline that is another one, not whole, damaged or out of reach.

    Raises:
        FileNotFoundError, ValueError: as `generators.hub.in_cache` and `generators.needed_files`, or a file of weights
            that is none or not all there.
    """
    if generator.name != "ldm":
        return
    require_named(generator)
    assert generator.checkpoint is not None
    if hub.is_hub_id(generator.checkpoint):
        if may_fetch():
            return
        folder = hub.in_cache(generator.checkpoint).folder
    else:
        folder = Path(generator.checkpoint)
        if not folder.exists():
            raise FileNotFoundError(
                f"generator.checkpoint={folder}: there is no such file or folder; docs/weights.md says where each kind "
                "of weights is fetched from"
            )
        if folder.is_file() and _is_stable_diffusion(folder):
            raise ValueError(
                f"generator.checkpoint={folder} is Stable Diffusion in one file, which is not read: give the folder of "
                "its diffusers pipeline, or its name on the hub (docs/weights.md)"
            )
    if not (folder / INDEX_FILE).is_file():
        return
    kind = kind_of(folder)
    files = needed_files(kind, listing_of(folder))
    for name in files:
        if name.endswith(".safetensors"):
            check_head(folder / name)
    read_schedule(folder / next(name for name in files if Path(name).name == Path(SCHEDULER).name))
    if kind in (TEXT, IMAGE):
        _check_widths(folder, kind, generator.clip_checkpoint)


def require_named(generator: GeneratorSettings) -> None:
    """Raises ValueError where no weights are named."""
    if generator.checkpoint is None:
        raise ValueError(
            f"generator={generator.name} needs generator.checkpoint=PATH: a diffusers pipeline (Stable Diffusion 1.x "
            "or 2.x, or without a condition), its folder or its name on the hub, the published model.ckpt "
            "(cin256-v2), or a folder that python -m ssl_aug.convert made of it; docs/weights.md says where to fetch "
            "them"
        )


def _is_stable_diffusion(path: Path) -> bool:
    """Whether a single file names the text encoder of Stable Diffusion's original format."""
    if path.suffix == ".safetensors":
        check_head(path)
        with safe_open(path, "np") as file:
            return any(name.startswith(_TEXT_ENCODER_OF_SD) for name in file.keys())  # noqa: SIM118
    try:
        with zipfile.ZipFile(path) as archive:
            pickled = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
            return pickled is not None and _TEXT_ENCODER_OF_SD.encode() in archive.read(pickled)
    except zipfile.BadZipFile:
        return False


def _check_widths(folder: Path, kind: str, clip_checkpoint: str | None) -> None:
    """Compares the UNet's tokens with what its encoders give; what no file tells is for the reader of weights."""
    wanted = read_json(folder / UNET / "config.json", FETCH_AGAIN).get("cross_attention_dim")
    for part, setting in ((TEXT_ENCODER, "hidden_size"), (IMAGE_ENCODER, "projection_dim")):
        path = folder / part / "config.json"
        width = read_json(path, FETCH_AGAIN).get(setting) if path.is_file() else None
        if isinstance(wanted, int) and width is not None:
            check_token_width(path, width, wanted)
    clip = Path(clip_checkpoint or "")
    if kind == TEXT and clip.is_file() and clip.suffix == ".safetensors":
        check_head(clip)
        with safe_open(clip, "np") as file:
            shape = file.get_slice(_CLIP_OUT).get_shape() if _CLIP_OUT in file.keys() else [wanted]  # noqa: SIM118
        if shape[-1] != wanted:
            raise ValueError(
                f"generator.clip_checkpoint={clip} gives embeddings of {shape[-1]} values, the UNet of {folder} takes "
                f"tokens of {wanted}: give the CLIP that the pipeline was trained with"
            )
