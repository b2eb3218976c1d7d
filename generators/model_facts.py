"""What is known of a model without its weights, and which files its folder of ours holds. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from generators.files import read_json

FORMAT = 1
FACTS_FILE, CLIP_FILE, NULL_TOKEN_FILE = "model.json", "clip.safetensors", "null_token.safetensors"
NEEDED_FILES = (FACTS_FILE, "unet.json", "autoencoder.json", "unet.safetensors", "autoencoder.safetensors")
SCHEDULE: dict[str, Any] = {  # cin256-v2's
    "num_train_timesteps": 1000,
    "beta_start": 0.0015,
    "beta_end": 0.0195,
    "beta_schedule": "scaled_linear",  # CompVis calls it "linear"
}


@dataclass
class ModelFacts:
    """What the weights alone do not say."""

    image_size: int  # pixels
    clip: dict[str, Any]  # open_clip's model config
    clip_image_norm: float | None  # mean norm of image embeddings; None: measured in tuning
    latent_scale: float = 1.0  # latents are multiplied by it after encoding; cin256-v2: 1.0
    pixel_fold: int = 1  # space folded into channels before the autoencoder: 2 makes 64x64x3 into 32x32x12
    schedule: dict[str, Any] = field(default_factory=lambda: dict(SCHEDULE))  # of the training, as diffusers takes it
    clip_name: str | None = None  # open_clip's name, where CLIP's weights are a published model's
    source_sha256: str | None = None  # of the published file that the weights were converted from
    latent_shift: float = 0.0  # subtracted from the latents before they are scaled; 0 in most models
    format: int = FORMAT


def read_facts(folder: Path) -> ModelFacts:
    """What `model.json` says.

    Raises:
        ValueError: a damaged file, or another format.
    """
    path = folder / FACTS_FILE
    written = read_json(path, "restore it")
    if written.get("format") != FORMAT:
        raise ValueError(f"{path}: format {written.get('format')}, this version reads {FORMAT}")
    try:
        return ModelFacts(**written)
    except TypeError as error:
        known = ", ".join(field.name for field in fields(ModelFacts))
        raise ValueError(f"{path} is damaged ({error}; it names {known}): restore it") from error


def files_of(folder: Path, facts: ModelFacts) -> list[Path]:
    """The files that the folder's model is made of. CLIP's weights may come from elsewhere where its name is known.

    Raises:
        FileNotFoundError: some are missing; they are named.
    """
    needed = NEEDED_FILES if facts.clip_name is not None else (*NEEDED_FILES, CLIP_FILE)
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"generator.checkpoint={folder}: {', '.join(missing)} missing; a model's folder holds {', '.join(needed)}"
        )
    optional = [name for name in (CLIP_FILE, NULL_TOKEN_FILE) if (folder / name).is_file() and name not in needed]
    return [folder / name for name in (*needed, *optional)]
