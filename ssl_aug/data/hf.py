"""A folder of Hugging Face `datasets`: what save_to_disk wrote, a dataset of the hub as it lies on disk, or an export
of this package (`--to hf`).

Images are written once as files into a folder of the cache, byte for byte as they are stored, and read from there.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from ssl_aug.data.base import Dataset, Example, LabeledSet
from ssl_aug.data.cached import made_once, require_made
from ssl_aug.data.finding import files_below
from ssl_aug.data.formats import suffix_of
from ssl_aug.data.given import NOT_LABELED, part_folder
from ssl_aug.data.hf_labels import LabelColumn, settled
from ssl_aug.data.hf_splits import LAYOUT, opened
from ssl_aug.data.layout import data_root
from ssl_aug.data.reading import format_of
from ssl_aug.files import write_json
from ssl_aug.records import read_record
from ssl_aug.runtime import progress_bar
from ssl_aug.settings import DataSettings

VERSION = 1  # another number where the files change
INDEX = "index.json"  # class names, notes, and of each part the files with their labels


def load(settings: DataSettings) -> Dataset:
    """The dataset of the folder `data.root`.

    Raises:
        FileNotFoundError: no such folder, or images were taken out of the cache.
        ValueError: nothing that can be opened, columns or labels that do not fit, a single class, an image that
            cannot be read, or no `datasets` here.
    """
    root = data_root(settings, LAYOUT).absolute()  # a row may say its path from here, or from there
    folder = made_once(_name(root, settings), lambda new: _write(new, root, settings))
    kinds = {"parts": (dict,), "class_names": (list,), "notes": (list,)}
    index = read_record(folder / INDEX, kinds, f"remove {folder} and run again, it is made anew", kinds)
    parts = {
        part: [(folder / name, label) for name, label in rows]
        for part, rows in index["parts"].items()
    }  # fmt: skip
    require_made(folder, [path for rows in parts.values() for path, _ in rows])
    names = tuple(index["class_names"])
    labeled = {
        part: LabeledSet(tuple(Example(path, label) for path, label in rows), names) for part, rows in parts.items()
    }
    return Dataset(
        "hf",
        labeled["train"],
        labeled["test"],
        labeled["unlabeled"].paths,
        labeled["validation"] if len(labeled["validation"]) else None,
        tuple(index["notes"]),
    )


def _name(root: Path, settings: DataSettings) -> str:
    """The cache's folder for these columns of these files: other names, sizes or times of a file, another folder."""
    files, _ = files_below(root)
    rows = [f"{settings.image_column} {settings.label_column}"]
    for path in filter(Path.is_file, files):  # a link may lead nowhere
        stat = path.stat()
        rows.append(f"{path.relative_to(root)} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}")
    content = hashlib.sha256("\n".join(rows).encode(errors="surrogateescape")).hexdigest()
    return f"hf-{VERSION}-{content[:16]}"


def _write(folder: Path, root: Path, settings: DataSettings) -> None:
    saved = opened(root, settings.image_column, settings.label_column)
    labels = settled(
        root, [LabelColumn(split.name, split.part, list(split.labels()), split.label_names) for split in saved.splits]
    )
    parts: dict[str, list[tuple[str, int]]] = {part: [] for part in ("train", "validation", "test", "unlabeled")}
    with progress_bar(sum(map(len, labels.indices.values())), "writing images") as bar:
        for split in saved.splits:
            of_split = zip(split.images(), labels.indices[split.name], strict=True)
            for row, (image, index) in enumerate(of_split):
                label = NOT_LABELED if index is None else index
                is_learned = split.part in ("train", "unlabeled")
                if label != NOT_LABELED or is_learned:  # nothing learns from test images
                    content, suffix = _checked(root, f"{split.name}[{row}]", image)
                    digits = hashlib.sha256(content).hexdigest()[:12]
                    name = Path(split.part, part_folder(label, labels.class_names), f"{row:06d}-{digits}{suffix}")
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    (folder / name).write_bytes(content)
                    parts["unlabeled" if label == NOT_LABELED else split.part].append((str(name), label))
                bar.update()
    notes = (*saved.notes, *labels.notes)
    write_json(folder / INDEX, {"class_names": labels.class_names, "parts": parts, "notes": notes})


def _checked(root: Path, where: str, image: Any) -> tuple[bytes, str]:
    """An image's bytes as they are stored, and the suffix that goes with them.

    Args:
        where: split and row, for the error.
        image: bytes, or a dictionary of bytes and path.
    """
    content, place = (image.get("bytes"), image.get("path")) if isinstance(image, dict) else (image, None)
    if content is None and place:
        if "://" in place:
            raise ValueError(
                f"{root}: the image of {where} is {place}: archives and addresses are not read, unpack or download it"
            )
        path = _plain(root / place)
        if not any(path.is_relative_to(own) for own in (_plain(root), root.resolve())):
            raise ValueError(
                f"{root}: the image of {where} is {place}, outside of the folder, and nothing is fetched: save the "
                "dataset with its images, or write a list (data=csv)"
            )
        if not path.is_file():
            raise FileNotFoundError(
                f"{root}: the image of {where} is {path}, which is not there: copy the folder again"
            )
        content = path.read_bytes()
    if not content:
        raise ValueError(f"{root}: {where} has no image: remove the row")
    try:
        return content, suffix_of(format_of(content))
    except ValueError as error:
        raise ValueError(f"{root}: the image of {where} {error}: remove the row or replace it") from error


def _plain(path: Path) -> Path:
    """Absolute and without `..`; links stay, since those of a folder may lead out of it."""
    return Path(os.path.normpath(path.absolute()))
