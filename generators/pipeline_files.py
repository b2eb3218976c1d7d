"""What the files of a diffusers pipeline say: which one it is, where its weights lie, its noise levels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generators.files import read_json

FETCH_AGAIN = "fetch it again"  # the way out where a file is damaged
INDEX_FILE = "model_index.json"
TEXT, IMAGE = "StableDiffusionPipeline", "StableDiffusionImageVariationPipeline"
WORDS = "LDMTextToImagePipeline"  # with a text encoder of its own kind
PIXELS, LATENTS = "DDPMPipeline", "LDMPipeline"  # without a condition
KINDS = (TEXT, IMAGE, WORDS, PIXELS, LATENTS)
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
}
UNET, AUTOENCODER, IMAGE_ENCODER, VQVAE = "unet", "vae", "image_encoder", "vqvae"
TEXT_ENCODER, TOKENIZER, BERT = "text_encoder", "tokenizer", "bert"
ROOT = "."  # the part that lies in the pipeline's folder itself: folders of a network alone once had no others
SCHEDULER = "scheduler/scheduler_config.json"
VOCABULARY = "vocab.txt"  # of BERT's tokenizer
_NETWORK_WEIGHTS = "diffusion_pytorch_model"
_WEIGHTS = {IMAGE_ENCODER: "model", TEXT_ENCODER: "model", BERT: "model"}  # of all other parts: _NETWORK_WEIGHTS
_SCHEDULE = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule")
_BETAS = ("linear", "scaled_linear", "squaredcos_cap_v2")  # the schedules of which both our samplers know
_PREDICTIONS = ("epsilon", "v_prediction")
# the first that is there is read: half precision where there is no other; of its index diffusers' own name comes first
_ENDINGS = (
    ".safetensors", ".safetensors.index.json",
    ".fp16.safetensors", ".safetensors.index.fp16.json", ".fp16.safetensors.index.json",
)  # fmt: skip
_PICKLES = (".bin", ".ckpt", ".pt")


@dataclass(frozen=True)
class Listing:
    """The files of a pipeline, in a folder or in a repository of which no more is here."""

    checkpoint: str  # as it is named to the user
    names: frozenset[str]  # paths from the pipeline's root
    read: Callable[[str], dict[str, Any]]  # the JSON object in one of them
    way_out: str = "the folder is not whole, fetch the rest"  # where files are missing


def listing_of(folder: Path, checkpoint: str | None = None, way_out: str = Listing.way_out) -> Listing:
    """The files of a folder and of the folders in it.

    Args:
        checkpoint, way_out: as in `Listing`; the folder is named where no checkpoint is.
    """
    files = (path for path in (*folder.glob("*"), *folder.glob("*/*")) if path.is_file())
    names = frozenset(path.relative_to(folder).as_posix() for path in files)
    return Listing(checkpoint or str(folder), names, lambda name: read_json(folder / name, FETCH_AGAIN), way_out)


def kind_of(folder: Path, checkpoint: str | None = None) -> str:
    """The class that `model_index.json` names.

    Args:
        checkpoint: how the pipeline is named to the user, where not by its folder.

    Raises:
        ValueError: one that is not read here, or a damaged file.
    """
    kind = str(read_json(folder / INDEX_FILE, FETCH_AGAIN).get("_class_name"))
    if kind in KINDS:
        return kind
    what = next((what for name, what in OTHERS.items() if kind.startswith(name)), "not one that is read here")
    raise ValueError(
        f"generator.checkpoint={checkpoint or folder}: a {kind} is {what}; give a {', '.join(KINDS[:-1])} or "
        f"{LATENTS}, or draw with diffusers and bring the pictures in: python -m ssl_aug.import_set"
    )


def weight_files(folder: Path, part: str) -> tuple[Path, ...]:
    """The safetensors of a part: one file, or its shards; those of half precision where there are no others.

    Raises:
        FileNotFoundError: there are none, or a shard is missing.
        ValueError: there are only pickles.
    """
    listing = listing_of(folder)
    return tuple(folder / name for name in shards_of(listing, part, weights_entry(listing, part)))


def place_of(part: str, name: str) -> str:
    """Where a file of a part lies, from the pipeline's root."""
    return name if part == ROOT else f"{part}/{name}"


def weights_entry(listing: Listing, part: str) -> str:
    """The file of a part's safetensors, or where they are sharded the index that names their files.

    Raises:
        FileNotFoundError, ValueError: as `weight_files`.
    """
    stem = place_of(part, _WEIGHTS.get(part, _NETWORK_WEIGHTS))
    for ending in _ENDINGS:
        if f"{stem}{ending}" in listing.names:
            return f"{stem}{ending}"
    beside = (name for name in sorted(listing.names) if Path(name).parent == Path(part))
    pickles = [Path(name).name for name in beside if name.endswith(_PICKLES)]
    if pickles:
        raise ValueError(
            f"generator.checkpoint={listing.checkpoint}: {'it' if part == ROOT else part} holds its weights as a "
            f"pickle ({pickles[0]}), which can run code and is not opened: fetch {stem}.safetensors, or save the "
            "pipeline with safe_serialization=True"
        )
    raise FileNotFoundError(not_whole(listing.checkpoint, [f"{stem}.safetensors"], listing.way_out))


def is_flat(listing: Listing) -> bool:
    """Whether UNet and scheduler lie in the pipeline's folder itself, as in google/ddpm-celebahq-256."""
    theirs = ("config.json", *(f"{_NETWORK_WEIGHTS}{end}" for end in (*_ENDINGS, *_PICKLES)), Path(SCHEDULER).name)
    has_unet = any(name.startswith(f"{UNET}/") for name in listing.names)
    return not has_unet and any(name in listing.names for name in theirs)


def shards_of(listing: Listing, part: str, entry: str) -> list[str]:
    """The files of weights that a part's entry stands for: itself, or those that it names.

    Raises:
        FileNotFoundError: a shard is missing.
        ValueError: a damaged index.
    """
    if not entry.endswith(".json"):
        return [entry]
    shards = listing.read(entry).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise ValueError(f"{listing.checkpoint}/{entry} is damaged (no weight_map): fetch it again")
    names = sorted({place_of(part, shard) for shard in shards.values()})
    missing = [name for name in names if name not in listing.names]
    if missing:
        raise FileNotFoundError(not_whole(listing.checkpoint, missing, listing.way_out))
    return names


def not_whole(checkpoint: Path | str, missing: list[str], way_out: str = Listing.way_out) -> str:
    """What is said of a pipeline that lacks files."""
    return f"generator.checkpoint={checkpoint}: {', '.join(missing)} missing; {way_out}"


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


def check_token_width(path: Path, width: int, wanted: int) -> None:
    """Compares what an encoder gives with what the UNet takes.

    Raises:
        ValueError: they differ; `path` of the encoder's config is named.
    """
    if width != wanted:
        raise ValueError(
            f"{path}: embeddings of {width} values, the UNet takes tokens of {wanted}: the two parts are not of one "
            "pipeline"
        )
