"""The frozen encoders, run once per image: latents and condition tokens of the tuning images, cached on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from generators.ldm import LatentDiffusion
from ssl_aug.data.base import file_list_id
from ssl_aug.data.cached import made_once, make_whole
from ssl_aug.data.reading import read_square
from ssl_aug.runtime import Placement, progress_bar

BATCH_SIZE = 32


@dataclass(frozen=True)
class Encodings:
    """Arrays on disk. Where flips are on, the second half holds the mirrored images."""

    latents: np.ndarray  # (n, c, h, w) float32
    tokens: np.ndarray  # (n, tokens, d) float32

    def __len__(self) -> int:
        return len(self.latents)

    def rows(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Latents and tokens of some images, copied to memory."""
        return torch.from_numpy(self.latents[indices.numpy()]), torch.from_numpy(self.tokens[indices.numpy()])


def images_to_tensor(images: np.ndarray) -> Tensor:
    """(b, h, w, 3) uint8 -> (b, 3, h, w) float32 in [-1, 1]."""
    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def read_batch(paths: Sequence[Path], image_size: int) -> Tensor:
    """Image files as (b, 3, s, s) in [-1, 1]: scaled and cut to the central square.

    Raises:
        ValueError: a file that is no image, named.
    """
    return images_to_tensor(np.stack([read_square(path, image_size) for path in paths]))


def encode(
    paths: Sequence[Path], model: LatentDiffusion, model_id: str, image_size: int, flip: bool, place: Placement
) -> Encodings:
    """Encodings of image files, from the cache where they are.

    Args:
        model_id: what identifies the encoders' weights.
        flip: whether mirrored images are wanted as well.
    """
    name = f"encodings-{file_list_id(paths)}-{model_id}-{image_size}{'-flip' if flip else ''}"

    def read(rows: slice) -> Tensor:
        return read_batch(paths[rows], image_size)

    def make(folder: Path) -> None:
        _write(folder, len(paths), read, model, image_size, (False, True) if flip else (False,), place)

    return _open(made_once(name, make))


def encode_arrays(
    images: np.ndarray,
    model: LatentDiffusion,
    folder: Path,
    place: Placement,
    seen_by_clip: Callable[[Tensor, range], Tensor] = lambda pictures, _: pictures,
) -> Encodings:
    """Encodings of (n, s, s, 3) uint8 pictures, written to `folder` where there is none.

    Args:
        seen_by_clip: (b, 3, s, s) pictures and their numbers -> what the tokens are made of in their place.
    """

    def read(rows: slice) -> Tensor:
        return images_to_tensor(images[rows])

    def make(part: Path) -> None:
        _write(part, len(images), read, model, images.shape[1], (False,), place, seen_by_clip)

    make_whole(folder, make)
    return _open(folder)


def _open(folder: Path) -> Encodings:
    return Encodings(np.load(folder / "latents.npy", mmap_mode="r"), np.load(folder / "tokens.npy", mmap_mode="r"))


def _write(
    folder: Path,
    num_images: int,
    read: Callable[[slice], Tensor],
    model: LatentDiffusion,
    image_size: int,
    mirrored: Sequence[bool],
    place: Placement,
    seen_by_clip: Callable[[Tensor, range], Tensor] = lambda pictures, _: pictures,
) -> None:
    count = num_images * len(mirrored)
    latents = _new_array(folder / "latents.npy", (count, *model.shape_at(image_size)))
    tokens = _new_array(folder / "tokens.npy", (count, model.clip.num_tokens, model.clip.width))
    with progress_bar(count, "encoding images") as bar, torch.no_grad():
        for start in range(0, num_images, BATCH_SIZE):
            images = read(slice(start, start + BATCH_SIZE)).to(place.device)
            for half, mirror in enumerate(mirrored):
                first = half * num_images + start
                view = images.flip(-1) if mirror else images
                latents[first : first + len(view)] = model.encode(view).cpu().numpy()
                seen = seen_by_clip(view, range(start, start + len(view)))
                tokens[first : first + len(view)] = model.clip.embed_images(seen).cpu().numpy()
                bar.update(len(view))
    latents.flush()
    tokens.flush()


def _new_array(path: Path, shape: tuple[int, ...]) -> np.memmap:
    return np.lib.format.open_memmap(path, "w+", np.float32, shape)
