"""The frozen encoders, run once per image: latents and condition tokens of the tuning images, cached on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from generators.ldm import LatentDiffusion
from generators.text_encoder import class_prompt_of
from ssl_aug.arrays import new_array
from ssl_aug.data.base import file_list_id
from ssl_aug.data.cached import made_once, make_whole
from ssl_aug.data.reading import read_square
from ssl_aug.runtime import Placement, progress_bar

BATCH_SIZE = 32  # of images up to 256 pixels


@dataclass(frozen=True)
class Prompts:
    """The class prompts of the same images, for conditions that have them."""

    states: Tensor  # (c, m, d) of each class's prompt
    null: Tensor  # (m, d) of the empty one
    classes: Tensor  # (n,) which class an image is of
    with_image: bool  # whether the image's tokens stand behind them


@dataclass(frozen=True)
class Encodings:
    """Arrays on disk. Where flips are on, the second half holds the mirrored images."""

    latents: np.ndarray  # (n, c, h, w) float32
    tokens: np.ndarray  # (n, tokens, d) float32, of the images
    prompts: Prompts | None = None

    def __len__(self) -> int:
        return len(self.latents)

    def rows(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Latents and conditions of some images, copied to memory: (b, c, h, w) and (b, t, d)."""
        latents, tokens = (torch.from_numpy(array[indices.numpy()]) for array in (self.latents, self.tokens))
        if self.prompts is None:
            return latents, tokens
        states = self.prompts.states[self.prompts.classes[indices]]
        return latents, torch.cat([states, tokens], dim=1) if self.prompts.with_image else states

    def null(self, null_token: Tensor) -> Tensor:
        """(t, d) the condition that stands for none, where `null_token` (1, d) is an image's."""
        of_image = null_token.expand(self.tokens.shape[1], -1)
        if self.prompts is None:
            return of_image
        return torch.cat([self.prompts.null, of_image]) if self.prompts.with_image else self.prompts.null

    @property
    def num_tokens(self) -> int:
        """How many tokens a condition has."""
        return len(self.null(torch.from_numpy(self.tokens[0, :1].copy())))


def with_prompts(
    encodings: Encodings, model: LatentDiffusion, classes: Sequence[str], template: str, with_image: bool
) -> Encodings:
    """The same images with their classes' prompts as conditions.

    Args:
        classes: the class's name of each image; mirrored ones come after all others.
        template: the prompt with {class} in the name's place.
        with_image: whether the image's tokens stand behind the prompt's states.
    """
    names = sorted(set(classes))
    states = model.prompt_states([class_prompt_of(template, name) for name in names]).cpu()
    row_of = {name: row for row, name in enumerate(names)}
    rows = torch.tensor([row_of[name] for name in classes]).repeat(len(encodings) // len(classes))
    return replace(encodings, prompts=Prompts(states, model.prompt_states([""])[0].cpu(), rows, with_image))


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

    return _open(made_once(name, make), len(paths) * (2 if flip else 1))


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
    return _open(folder, len(images))


def batch_size_at(image_size: int) -> int:
    """Images that are encoded at once: the autoencoder's memory grows with their pixels."""
    return max(1, BATCH_SIZE * 256**2 // max(256, image_size) ** 2)


def _open(folder: Path, count: int) -> Encodings:
    """Raises ValueError where the arrays are damaged, or are not of so many images."""
    arrays = []
    for name, axes in (("latents.npy", 4), ("tokens.npy", 3)):
        try:
            array = np.load(folder / name, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError, SyntaxError) as error:  # of a header that is none
            raise ValueError(f"{folder / name} is damaged: remove {folder} and run again, it is made anew") from error
        if (array.ndim, array.dtype, len(array)) != (axes, np.float32, count):
            raise ValueError(f"{folder / name} is of other images: remove {folder} and run again, it is made anew")
        arrays.append(array)
    return Encodings(*arrays)


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
    latents = new_array(folder / "latents.npy", np.float32, (count, *model.shape_at(image_size)))
    tokens = new_array(folder / "tokens.npy", np.float32, (count, model.clip.num_tokens, model.clip.width))
    size = batch_size_at(image_size)
    with progress_bar(count, "encoding images") as bar, torch.no_grad():
        for start in range(0, num_images, size):
            images = read(slice(start, start + size)).to(place.device)
            for half, mirror in enumerate(mirrored):
                first = half * num_images + start
                view = images.flip(-1) if mirror else images
                latents[first : first + len(view)] = model.encode(view).cpu().numpy()
                seen = seen_by_clip(view, range(start, start + len(view)))
                tokens[first : first + len(view)] = model.clip.embed_images(seen).cpu().numpy()
                if not (np.isfinite(latents[first : first + len(view)]).all() and np.isfinite(tokens[first]).all()):
                    raise ValueError(
                        f"image {start} or one behind it is encoded as numbers that are not finite (nan or inf): the "
                        "weights of the autoencoder or of CLIP do not fit, or are damaged"
                    )
                bar.update(len(view))
    latents.flush()
    tokens.flush()
