"""What the files of a diffusers pipeline say: which one it is, where its weights lie, its noise levels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from generators.files import read_json

FETCH_AGAIN = "fetch it again"  # the way out where a file is damaged
INDEX_FILE = "model_index.json"
TEXT, IMAGE = "StableDiffusionPipeline", "StableDiffusionImageVariationPipeline"
PIXELS, LATENTS = "DDPMPipeline", "LDMPipeline"  # without a condition
# What the first letters of other pipelines' names stand for: their networks are not what ANL tunes.
OTHERS = {
    "StableDiffusionXL": "Stable Diffusion XL, whose UNet takes two text encoders and sizes",
    "StableDiffusion3": "a transformer",
    "Flux": "a transformer",
    "PixArt": "a transformer",
    "Sana": "a transformer",
    "QwenImage": "a transformer",
    "StableCascade": "a cascade of its own conditions",
    "Wuerstchen": "a cascade of its own conditions",
    "UnCLIP": "a cascade of its own conditions",
    "Kandinsky": "a model of its own conditions",
    "LDMTextToImage": "a model with a text encoder of its own",
}
UNET, AUTOENCODER, IMAGE_ENCODER = "unet", "vae", "image_encoder"
ROOT = "."  # the part that lies in the pipeline's folder itself: folders of a network alone once had no others
SCHEDULER = "scheduler/scheduler_config.json"
NETWORK_WEIGHTS = "diffusion_pytorch_model"
_WEIGHTS = {IMAGE_ENCODER: "model"}  # of all other parts: NETWORK_WEIGHTS
_SCHEDULE = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule")
_BETAS = ("linear", "scaled_linear", "squaredcos_cap_v2")  # the schedules of which both our samplers know
_PREDICTIONS = ("epsilon", "v_prediction")


def kind_of(folder: Path) -> str:
    """The class that `model_index.json` names.

    Raises:
        ValueError: one that is not read here, or a damaged file.
    """
    kind = str(read_json(folder / INDEX_FILE, FETCH_AGAIN).get("_class_name"))
    if kind in (TEXT, IMAGE, PIXELS, LATENTS):
        return kind
    what = next((what for name, what in OTHERS.items() if kind.startswith(name)), "not one that is read here")
    raise ValueError(
        f"generator.checkpoint={folder}: a {kind} is {what}; give a {TEXT}, {IMAGE}, {PIXELS} or {LATENTS}, or "
        "draw with diffusers and bring the pictures in: python -m ssl_aug.import_set"
    )


def weight_files(folder: Path, part: str) -> tuple[Path, ...]:
    """The safetensors of a part: one file, or its shards; those of half precision where there are no others.

    Raises:
        FileNotFoundError: there are none, or a shard is missing.
        ValueError: there are only pickles.
    """
    stem, place = _WEIGHTS.get(part, NETWORK_WEIGHTS), folder / part
    for name in (f"{stem}.safetensors", f"{stem}.fp16.safetensors"):
        if (place / name).is_file():
            return (place / name,)
        index = place / f"{name}.index.json"
        if index.is_file():
            shards = read_json(index, FETCH_AGAIN).get("weight_map")
            if not isinstance(shards, dict) or not shards:
                raise ValueError(f"{index} is damaged (no weight_map): fetch it again")
            files = tuple(place / shard for shard in sorted({str(shard) for shard in shards.values()}))
            missing = [str(file.relative_to(folder)) for file in files if not file.is_file()]
            if missing:
                raise FileNotFoundError(not_whole(folder, missing))
            return files
    wanted = (place / f"{stem}.safetensors").relative_to(folder)
    pickles = [path.name for path in sorted(place.iterdir()) if path.suffix in (".bin", ".ckpt", ".pt")]
    if pickles:
        raise ValueError(
            f"generator.checkpoint={folder}: {'it' if part == ROOT else part} holds its weights as a pickle "
            f"({pickles[0]}), which can run code and is not opened: fetch {wanted}, or save the pipeline with "
            "safe_serialization=True"
        )
    raise FileNotFoundError(not_whole(folder, [str(wanted)]))


def not_whole(folder: Path, missing: list[str]) -> str:
    """What is said of a folder that lacks files."""
    return f"generator.checkpoint={folder}: {', '.join(missing)} missing; the folder is not whole, fetch the rest"


def read_schedule(path: Path) -> dict[str, Any]:
    """The noise levels of the training and what the network predicts. Which solver it names is no matter: ours draws.

    Raises:
        ValueError: noise levels or a prediction that are not known here.
    """
    config = read_json(path, FETCH_AGAIN)
    lacking = [name for name in _SCHEDULE if name not in config]
    if lacking:
        raise ValueError(f"{path}: {', '.join(lacking)} not named, so its noise levels are not known")
    for name in ("trained_betas", "rescale_betas_zero_snr"):
        if config.get(name):
            raise ValueError(f"{path}: {name} is set, which is not known here")
    prediction = config.get("prediction_type", "epsilon")
    if prediction not in _PREDICTIONS:
        raise ValueError(f"{path}: prediction_type={prediction!r}, known are {', '.join(_PREDICTIONS)}")
    if config["beta_schedule"] not in _BETAS:
        raise ValueError(f"{path}: beta_schedule={config['beta_schedule']!r}, known are {', '.join(_BETAS)}")
    schedule = {name: config[name] for name in _SCHEDULE}
    return schedule if prediction == "epsilon" else {**schedule, "prediction_type": prediction}
