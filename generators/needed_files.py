"""Which files of a repository a pipeline is read from, so that no others are fetched.

Never a safety checker, a pickle, or the same weights in two precisions.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from generators.pipeline_files import (
    AUTOENCODER,
    BERT,
    IMAGE,
    IMAGE_ENCODER,
    INDEX_FILE,
    LATENTS,
    PIXELS,
    ROOT,
    SCHEDULER,
    TEXT,
    TEXT_ENCODER,
    TOKENIZER,
    UNET,
    VOCABULARY,
    VQVAE,
    WORDS,
    Listing,
    is_flat,
    not_whole,
    place_of,
    shards_of,
    weights_entry,
)


def needed_files(kind: str, listing: Listing) -> tuple[str, ...]:
    """The files of a pipeline, by the class that its `model_index.json` names (`pipeline_files.kind_of`).

    Raises:
        FileNotFoundError: one is missing.
        ValueError: weights that are there as pickles only, or a damaged index of shards.
    """
    return _FILES_OF[kind](listing)


def _text_pipeline(listing: Listing) -> tuple[str, ...]:
    try:
        text = _part(listing, TEXT_ENCODER)
    except (FileNotFoundError, ValueError):  # a condition of images does without it
        text = []
    tokenizer = sorted(name for name in listing.names if re.fullmatch(rf"{TOKENIZER}/[^/]+\.(json|txt)", name))
    return (*_latent_diffusion(listing, (UNET, AUTOENCODER)), *text, *(tokenizer if text else ()))


def _image_pipeline(listing: Listing) -> tuple[str, ...]:
    return _latent_diffusion(listing, (UNET, AUTOENCODER, IMAGE_ENCODER))


def _words_pipeline(listing: Listing) -> tuple[str, ...]:
    vocabulary = f"{TOKENIZER}/{VOCABULARY}"
    _refuse_missing(listing, vocabulary)
    return (*_latent_diffusion(listing, (UNET, VQVAE, BERT)), vocabulary)


def _pixel_pipeline(listing: Listing) -> tuple[str, ...]:
    if not is_flat(listing):
        return _latent_diffusion(listing, (UNET,))
    scheduler = Path(SCHEDULER).name
    _refuse_missing(listing, scheduler)
    return (INDEX_FILE, scheduler, *_part(listing, ROOT))


def _latent_pipeline(listing: Listing) -> tuple[str, ...]:
    return _latent_diffusion(listing, (UNET, VQVAE))


# A pipeline that keeps its files otherwise gets a function and a line here.
_FILES_OF: dict[str, Callable[[Listing], tuple[str, ...]]] = {
    TEXT: _text_pipeline,
    IMAGE: _image_pipeline,
    WORDS: _words_pipeline,
    PIXELS: _pixel_pipeline,
    LATENTS: _latent_pipeline,
}


def _latent_diffusion(listing: Listing, parts: tuple[str, ...]) -> tuple[str, ...]:
    _refuse_missing(listing, SCHEDULER)
    return (INDEX_FILE, SCHEDULER, *(name for part in parts for name in _part(listing, part)))


def _part(listing: Listing, part: str) -> list[str]:
    """Config and weights of one part, with the index where they are sharded."""
    config = place_of(part, "config.json")
    _refuse_missing(listing, config)
    entry = weights_entry(listing, part)
    return list(dict.fromkeys([config, entry, *shards_of(listing, part, entry)]))


def _refuse_missing(listing: Listing, name: str) -> None:
    if name not in listing.names:
        raise FileNotFoundError(not_whole(listing.checkpoint, [name], listing.way_out))
