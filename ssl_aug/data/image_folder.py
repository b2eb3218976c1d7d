"""Any user's own images: `train/<class>/...`, `test/<class>/...` and, if there are any, `unlabeled/...`.

Class indices and file order are those of `torchvision.datasets.ImageFolder`. Hidden files and folders
(a leading dot) are no images and no classes; links are followed.
"""

from __future__ import annotations

import os
from pathlib import Path

from ssl_aug.data.base import Dataset, Example, LabeledSet
from ssl_aug.data.layout import IMAGE_SUFFIXES, WAY_OUT, data_root
from ssl_aug.settings import DataSettings

LAYOUT = "train/<class>/*.jpg, test/<class>/*.jpg and, if you like, unlabeled/*.jpg"


def load(settings: DataSettings) -> Dataset:
    """The dataset of the folder `data.root`; images in `unlabeled/` join the unlabeled set.

    Raises:
        FileNotFoundError: the folder, train/, test/ or the images of a class are missing.
        ValueError: train/ and test/ have other classes, a name is not UTF-8, or two images share a key.
    """
    root = data_root(settings, LAYOUT)
    class_names = _class_names(root / "train")
    test_names = _class_names(root / "test")
    if class_names != test_names:
        raise ValueError(
            f"{root}: train and test must have the same class folders, "
            f"but {_difference(class_names, test_names)}; "
            "add the folders that are missing, or remove the others"
        )
    train, test = (_labeled(root / part, class_names) for part in ("train", "test"))
    _require_own_keys(train)
    unlabeled = images_below(root / "unlabeled") if (root / "unlabeled").is_dir() else []
    return Dataset("image_folder", train, test, tuple(unlabeled))


def images_below(folder: Path) -> list[Path]:
    """The image files of a folder and of the folders in it: folder after folder, names sorted.

    Raises:
        ValueError: a name that is not UTF-8, so that no list of files could hold it.
    """
    visited: set[str] = set()  # a link to a folder above it would lead round for ever
    of_folder: list[tuple[str, list[str]]] = []
    for parent, inner, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        inner[:] = [] if real in visited else sorted(name for name in inner if not name.startswith("."))
        if real not in visited:
            of_folder.append((parent, sorted(name for name in names if _is_image(name))))
        visited.add(real)
    paths = [Path(parent, name) for parent, names in sorted(of_folder) for name in names]
    for path in paths:
        _require_utf8(path)
    return paths


def _class_names(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder; expected {LAYOUT} in {folder.parent}; {WAY_OUT}")
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not names:
        raise FileNotFoundError(
            f"{folder} holds no class folders: expected {LAYOUT} in {folder.parent}; "
            f"put the images of each class into a folder with its name, or {WAY_OUT}"
        )
    for name in names:
        _require_utf8(folder / name)
    return tuple(names)


def _labeled(folder: Path, class_names: tuple[str, ...]) -> LabeledSet:
    examples: list[Example] = []
    for label, name in enumerate(class_names):
        paths = images_below(folder / name)
        if not paths:
            raise FileNotFoundError(
                f"class folder {folder / name} holds no images ({', '.join(s[1:] for s in IMAGE_SUFFIXES)}): "
                "add some, or remove the class from train and test"
            )
        examples += [Example(path, label) for path in paths]
    return LabeledSet(tuple(examples), class_names)


def _require_own_keys(train: LabeledSet) -> None:
    """Folder and file name identify an image from here on: two of one class must not share both."""
    seen: dict[tuple[int, str], Path] = {}
    for example in train.examples:
        other = seen.setdefault((example.label, example.key), example.path)
        if other != example.path:
            raise ValueError(
                f"{other} and {example.path}: two images of one class need another file name or folder name "
                "to be told apart; rename one of the files or folders"
            )


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def _difference(train: tuple[str, ...], test: tuple[str, ...]) -> str:
    only = {"train": sorted(set(train) - set(test)), "test": sorted(set(test) - set(train))}
    return " and ".join(f"only {part} has {_some(names)}" for part, names in only.items() if names)


def _some(names: list[str]) -> str:
    rest = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(repr(name) for name in names[:5]) + rest


def _require_utf8(path: Path) -> None:
    try:
        path.name.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{os.fsencode(path)!r}: the name is not UTF-8; rename it, for example with convmv") from error
