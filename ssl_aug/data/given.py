"""Images that a program holds, as files: each is written once as PNG into a folder of the cache.

From there on they are lists of files and integers like any other dataset. The folder is named for their content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import index
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssl_aug.data.base import Dataset, Example, LabeledSet
from ssl_aug.data.cached import images_made_once, require_made
from ssl_aug.data.finding import some
from ssl_aug.data.layout import class_folder
from ssl_aug.data.reading import to_rgb
from ssl_aug.runtime import progress_bar

VERSION = 1  # another number where the files change
NOT_LABELED = -1


class MapDataset(Protocol):
    """What PyTorch calls a map-style dataset: items (image, label), or images alone."""

    def __len__(self) -> int: ...

    def __getitem__(self, position: Any, /) -> Any: ...


@dataclass(frozen=True)
class Part:
    """Images as they were given: `item(position)` is (image, label), whatever an image is."""

    name: str  # train, test or unlabeled
    length: int
    item: Callable[[int], tuple[Any, Any]]


def labeled_part(name: str, images: MapDataset, labels: Sequence[Any] | None) -> Part:
    """Images with labels beside them, or (labels None) a dataset of pairs.

    Raises:
        ValueError: not one label for each image, or something without a length.
    """
    length = _length(name, images)
    if labels is None:
        return Part(name, length, lambda position: _pair(name, position, images[position]))
    if len(labels) != length:
        raise ValueError(f"{name}: {length} images and {len(labels)} labels: give one label for each image")
    return Part(name, length, lambda position: (images[position], labels[position]))


def unlabeled_part(images: MapDataset | None) -> Part:
    """Images alone, or a dataset of pairs whose labels are not looked at."""
    if images is None:
        return Part("unlabeled", 0, lambda position: (None, NOT_LABELED))

    def item(position: int) -> tuple[Any, Any]:
        found = images[position]
        return (found[0] if isinstance(found, tuple | list) else found), NOT_LABELED

    return Part("unlabeled", _length("unlabeled", images), item)


def dataset_of(
    name: str, train: Part, test: Part | None, unlabeled: Part, class_names: Sequence[str] | None
) -> Dataset:
    """The images as files in the cache, written where they are not there yet.

    Each is read twice the first time, and once when its file is there: so that what is written is what was hashed.

    Args:
        name: the dataset's name begins with it; 8 hex digits of the content follow.
        class_names: in the order of the labels; None: the labels' own digits.

    Raises:
        ValueError: no images, a label that is none of the classes', an image of another kind, or one that is not the
            same each time it is read.
    """
    parts = [part for part in (train, test, unlabeled) if part is not None]
    if train.length == 0:
        raise ValueError("train: there are no images in it: give some of each class")
    found = {part.name: [(_short(pixels), label) for pixels, label in _read(part)] for part in parts}
    known = [label for rows in found.values() for _, label in rows]
    names = tuple(map(str, range(max(known) + 1) if class_names is None else class_names))
    _check_labels(found, names)
    text = "\n".join([*names, *(f"{part} {digits} {label}" for part, rows in found.items() for digits, label in rows)])
    content = hashlib.sha256(text.encode()).hexdigest()
    files = {
        part: [Path(part, part_folder(label, names), f"{i:06d}-{digits}.png") for i, (digits, label) in enumerate(rows)]
        for part, rows in found.items()
    }
    root = images_made_once("given", str(VERSION), lambda folder: _write(folder, parts, files), together=content[:16])

    def labeled(part: str) -> LabeledSet:
        rows = zip(files.get(part, ()), found.get(part, ()), strict=True)
        return LabeledSet(tuple(Example(root / path, label) for path, (_, label) in rows), names)

    require_made(root, [root / path for paths in files.values() for path in paths])
    extra = tuple(root / path for path in files["unlabeled"])
    return Dataset(f"{name}-{content[:8]}", labeled("train"), labeled("test"), extra)


def pixels_of(image: Any) -> NDArray[np.uint8]:
    """(height, width, 3) in 0..255 of a PIL picture, an array (height, width[, channels]) or a tensor with channels
    first; numbers with a point count from 0 to 1.

    Raises:
        ValueError: it is none of these, or its numbers are out of their range.
    """
    if isinstance(image, Image.Image):
        return np.asarray(to_rgb(image))
    try:
        values = np.asarray(image)
    except (TypeError, RuntimeError) as error:  # a tensor on a GPU, or one that takes gradients
        raise ValueError(f"an image cannot be read as an array ({error}): give .detach().cpu()") from error
    if values.ndim == 3 and not isinstance(image, np.ndarray):
        values = values.transpose(1, 2, 0)  # a tensor's channels stand first
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.shape[2] not in (1, 3):
        raise ValueError(
            f"an image is a {type(image).__name__} of shape {np.shape(values)}: give a PIL picture, an array (height, "
            "width, 3) or (height, width), or a tensor (3, height, width) or (1, height, width)"
        )
    if np.issubdtype(values.dtype, np.floating):
        if not (values.min() >= 0 and values.max() <= 1):
            raise ValueError(
                f"an image has numbers from {values.min():.3g} to {values.max():.3g}: give them from 0 to 1, without "
                "normalization, or uint8 from 0 to 255"
            )
        values = np.rint(values * 255).astype(np.uint8)
    if values.dtype != np.uint8:
        raise ValueError(
            f"an image has numbers of type {values.dtype}: give uint8 from 0 to 255, or floats from 0 to 1"
        )
    return np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:2], 3)))


def _length(name: str, images: MapDataset) -> int:
    try:
        return len(images)
    except TypeError as error:
        raise ValueError(
            f"{name}: a {type(images).__name__} has no length: give a folder, images, or a map-style dataset"
        ) from error


def _pair(name: str, position: int, item: Any) -> tuple[Any, Any]:
    if isinstance(item, dict):
        raise ValueError(
            f"{name}: item {position} is a dict with {some(list(map(str, item)))}, no pair (image, label): give the "
            "columns, load(data['image'], data['label'])"
        )
    if not (isinstance(item, tuple | list) and len(item) == 2):
        raise ValueError(
            f"{name}: item {position} is a {type(item).__name__}, no pair (image, label): give a dataset of pairs, or "
            "images and labels beside them"
        )
    return item[0], item[1]


def _read(part: Part) -> Iterator[tuple[NDArray[np.uint8], int]]:
    for position in range(part.length):
        image, label = part.item(position)
        try:
            yield pixels_of(image), index(label)
        except TypeError as error:
            raise ValueError(
                f"{part.name}: the label of item {position} is {label!r}: give whole numbers from 0, names in "
                "class_names"
            ) from error
        except ValueError as error:
            raise ValueError(f"{part.name}: item {position}: {error}") from error


def _short(pixels: NDArray[np.uint8]) -> str:
    return hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()[:12]


def _check_labels(found: dict[str, list[tuple[str, int]]], names: tuple[str, ...]) -> None:
    if len(set(names)) != len(names):
        raise ValueError("class_names: two classes have the same name; give each its own")
    for part in ("train", "test"):
        for position, (_, label) in enumerate(found.get(part, ())):
            if not 0 <= label < len(names):
                raise ValueError(
                    f"{part}: the label of item {position} is {label}: give 0 to {len(names) - 1}, there are "
                    f"{len(names)} classes"
                )


def part_folder(label: int, names: Sequence[str]) -> str:
    """The folder of a class's images in that of their part."""
    return "all" if label == NOT_LABELED else class_folder(label, names)


def _write(folder: Path, parts: Sequence[Part], files: dict[str, list[Path]]) -> None:
    with progress_bar(sum(part.length for part in parts), "writing images") as bar:
        for part in parts:
            for position, (path, (pixels, _)) in enumerate(zip(files[part.name], _read(part), strict=True)):
                if not path.stem.endswith(f"-{_short(pixels)}"):
                    raise ValueError(
                        f"{part.name}: item {position} is another image each time it is read: leave random transforms "
                        "out here, and give them to ssl_aug.torch_dataset"
                    )
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(folder / path, "PNG")
                bar.update()
