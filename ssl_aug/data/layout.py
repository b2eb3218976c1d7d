"""Finding the parts of a dataset on disk, with errors that name the part and the way out."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from unicodedata import normalize

from ssl_aug.settings import DataSettings

SAVED_BY_DATASETS = ("dataset_dict.json", "state.json")  # what save_to_disk writes beside the images
# how parts of a dataset are called by others, and what they are here
SPLITS = {
    "": "train", "train": "train", "training": "train", "test": "test", "testing": "test", "val": "validation",
    "valid": "validation", "validation": "validation", "unlabeled": "unlabeled", "unlabelled": "unlabeled",
}  # fmt: skip
VALIDATION = tuple(name for name, part in SPLITS.items() if part == "validation")
WAY_OUT = "name another folder with data.root=DIR or SSL_AUG_DATA"


def data_root(settings: DataSettings, expected: str) -> Path:
    """The folder that `data.root` names.

    Args:
        expected: the layout inside it, in words, for the error.

    Raises:
        ValueError: no folder is named.
        FileNotFoundError: it is not there, is no folder or is empty.
    """
    if not settings.root:
        raise ValueError(f"data.root is not set: {settings.name} is read from a folder with {expected}; {WAY_OUT}")
    root = Path(settings.root)
    if not root.is_dir():
        found = "is a file, not a folder" if root.exists() else "there is no such folder"
        raise FileNotFoundError(f"data.root={settings.root}: {found}; expected {expected}; {WAY_OUT}")
    if next(root.iterdir(), None) is None:
        raise FileNotFoundError(f"data.root={settings.root}: the folder is empty; expected {expected}; {WAY_OUT}")
    return root


def class_folder(label: int, class_names: Sequence[str]) -> str:
    """`007_audi-tt`: the index padded so that string order is index order, and an ASCII slug of the name."""
    ascii_name = normalize("NFKD", class_names[label]).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_name.lower()).strip("-")[:60]
    width = max(2, len(str(len(class_names) - 1)))
    return f"{label:0{width}d}_{slug or 'class'}"


def refuse_root(settings: DataSettings) -> None:
    """For datasets that are made, not read.

    Raises:
        ValueError: `data.root` is set.
    """
    if settings.root is not None:
        raise ValueError(
            f"data.root={settings.root} has no effect on {settings.name}, which is made, not read: "
            "leave it out, or choose data=image_folder to read your own images"
        )


def required(path: Path, expected: str) -> Path:
    """`path`, which must exist.

    Raises:
        FileNotFoundError: it does not.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: expected {expected}; put it there, or {WAY_OUT}")
    return path


def require_images(folder: Path, names: Iterable[str], listed_in: Path) -> list[Path]:
    """The paths of the named images of one folder, each of which must be there.

    Raises:
        FileNotFoundError: the folder or an image is missing; the first and the number are named.
    """
    names = list(names)
    required(folder, f"a folder with the {len(names)} images that {listed_in.name} lists")
    with os.scandir(folder) as entries:
        here = {entry.name for entry in entries if entry.is_file()}  # whoever opened a pipe would wait for ever
    missing = [name for name in names if name not in here]
    if missing:
        raise FileNotFoundError(
            f"{folder / missing[0]} is missing ({len(missing)} of the {len(names)} images that "
            f"{listed_in.name} lists are not in {folder}): unpack the images again, or {WAY_OUT}"
        )
    return [folder / name for name in names]
