"""The source world on disk: pictures in one array, captions and factors in JSON lines beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from ssl_aug.arrays import new_array
from ssl_aug.files import written_atomically
from ssl_aug.world.source_world import VERSION, source_image

IMAGES, ROWS = "images.npy", "captions.jsonl"
_CHUNK = 500  # pictures drawn between two points from which a stopped run goes on


@dataclass(frozen=True, eq=False)
class SourceBank:
    """Pictures (n, 64, 64, 3) uint8, read from disk as needed, and one row of factors for each.

    A row has index, model_index, caption, paint, body_type, view, model (fields of CarModel, or None) and
    scene (fields of Scene).
    """

    images: np.ndarray
    rows: list[dict[str, Any]]


def draw_bank(
    folder: Path,
    num_images: int,
    seed: int = 0,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> SourceBank:
    """Draws the first `num_images` pictures of the source world into `folder`, or reads what is there.

    A stopped run goes on where it stopped. Pictures depend on (number, seed) alone, so a larger bank begins
    with the smaller one; a finished bank of at least `num_images` is read, not drawn again.

    Raises:
        ValueError: the folder holds a bank of another seed, or of another version of the source world.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mark, rows_path = folder / "seed.txt", folder / ROWS
    if mark.exists() and mark.read_text().strip() != str(seed):
        raise ValueError(
            f"{folder} holds pictures of seed {mark.read_text().strip()}, not {seed}: choose another folder"
        )
    version = folder / "version.txt"
    if mark.exists() and (version.read_text().strip() if version.exists() else "1") != VERSION:
        raise ValueError(f"{folder} holds an older source world, this is version {VERSION}: choose another folder")
    for path, content in ((version, VERSION), (mark, seed)):  # in this order: there is no seed without a version
        with written_atomically(path) as part:
            part.write_text(f"{content}\n")
    lines = rows_path.read_text(encoding="utf-8").splitlines(keepends=True) if rows_path.exists() else []
    lines = [line for line in lines if line.endswith("\n")]  # the last one may be torn
    done = len(lines) // _CHUNK * _CHUNK if len(lines) < num_images else len(lines)
    images = _grown(folder / IMAGES, max(num_images, done), done)
    with rows_path.open("r+" if rows_path.exists() else "w", encoding="utf-8") as file:
        file.truncate(len("".join(lines[:done]).encode()))
        file.seek(0, 2)
        with get_context("spawn").Pool(processes) as pool:
            for first in range(done, num_images, _CHUNK):
                numbers = range(first, min(first + _CHUNK, num_images))
                for number, (image, row) in zip(numbers, pool.map(partial(_drawn, seed), numbers), strict=True):
                    images[number] = image
                    file.write(row + "\n")
                file.flush()
                if progress is not None:
                    progress(numbers.stop, num_images)
    images.flush()
    return read_bank(folder, num_images)


def _grown(path: Path, count: int, done: int) -> np.memmap:
    """The array of pictures on disk with room for `count`; the first `done` are kept."""
    if path.exists():
        old = np.load(path, mmap_mode="r+")
        if len(old) >= count:
            return old
    else:
        old = np.empty((0, 64, 64, 3), np.uint8)
    with written_atomically(path) as part:
        images = new_array(part, np.uint8, (count, 64, 64, 3))
        images[: min(done, len(old))] = old[:done]
        images.flush()
    return np.load(path, mmap_mode="r+")


def _drawn(seed: int, number: int) -> tuple[np.ndarray, str]:
    drawn = source_image(number, seed)
    row = {
        "index": number,
        "model_index": drawn.model_index,
        "caption": drawn.caption,
        "paint": drawn.paint,
        "body_type": drawn.body_type,
        "view": drawn.view,
        "model": asdict(drawn.model) if drawn.model is not None else None,
        "scene": asdict(drawn.scene),
    }
    return drawn.image, json.dumps(row)


def read_bank(folder: Path, num_images: int) -> SourceBank:
    """The first `num_images` pictures of a bank on disk.

    Raises:
        FileNotFoundError: there is no bank, or it holds fewer pictures.
    """
    if not (folder / ROWS).exists() or not (folder / IMAGES).exists():
        raise FileNotFoundError(f"{folder} holds no pictures of the source world: draw them first")
    with (folder / ROWS).open(encoding="utf-8") as file:
        rows = [json.loads(line) for _, line in zip(range(num_images), file, strict=False)]
    if len(rows) < num_images:
        raise FileNotFoundError(
            f"{folder} holds {len(rows)} pictures, {num_images} are asked for: draw the others first"
        )
    return SourceBank(np.load(folder / IMAGES, mmap_mode="r")[:num_images], rows)
