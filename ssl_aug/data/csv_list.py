"""Any user's own images in a list: a CSV file with the columns `path`, `label` and, if you like, `split`.

Paths are absolute or relative to the list's folder. `split` is train, test, val (or valid, validation) or unlabeled;
where it is empty or no column, it is train. An image without label is unlabeled.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from generators.allowed import user_path
from ssl_aug.data.base import Dataset, Example, LabeledSet
from ssl_aug.data.finding import Found, notes_on, require_own_keys
from ssl_aug.data.formats import told_unreadable, unreadable_suffixes
from ssl_aug.data.layout import SPLITS
from ssl_aug.settings import DataSettings
from ssl_aug.tables import read_named_rows

COLUMNS = ("path", "label", "split")
LAYOUT = "a CSV file with the columns path,label and, if you like, split"
WAY_OUT = "name another file with data.root=FILE.csv"


@dataclass(frozen=True)
class Row:
    """One image of the list."""

    number: int  # from 1, the header's, as spreadsheets count
    path: Path
    label: str  # empty: none
    part: str  # train, test, validation or unlabeled


def load(settings: DataSettings) -> Dataset:
    """The dataset of the list `data.root`; classes are its training images' labels, sorted.

    Raises:
        FileNotFoundError: the list, or an image of it, is not there.
        ValueError: no CSV file, no such column or split, an image that is named twice, a single class.
    """
    path = _list_path(settings)
    rows = list(_rows(path))
    _refuse_named_twice(path, rows)
    _require_files(path, rows)
    left, unreadable = readable_rows(rows)
    class_names = tuple(sorted({row.label for row in rows if row.part == "train"}))
    if len(class_names) < 2:
        told = f"one label, {class_names[0]!r}" if class_names else "no labels"
        raise ValueError(f"{path}: the training images have {told}: a classifier needs 2 classes or more, add others")
    train = _labeled(path, left, "train", class_names)
    missing = sorted(set(range(len(class_names))) - set(train.labels))
    if missing:
        name = class_names[missing[0]]
        own = [row.path for row in rows if row.part == "train" and row.label == name]
        raise ValueError(f"{path}: class {name!r} has nothing but {told_unreadable(own)}")
    require_own_keys(train)
    validation = _labeled(path, left, "validation", class_names)
    return Dataset(
        "csv",
        train,
        _labeled(path, left, "test", class_names),
        tuple(row.path for row in left if row.part == "unlabeled"),
        validation if len(validation) else None,
        tuple(notes_on(Found(unreadable=unreadable))),
    )


def _list_path(settings: DataSettings) -> Path:
    if not settings.root:
        raise ValueError(f"data.root is not set: csv reads {LAYOUT}; {WAY_OUT} or SSL_AUG_DATA")
    path = Path(settings.root)
    if path.is_dir():
        raise ValueError(
            f"data.root={settings.root} is a folder: csv reads {LAYOUT}; {WAY_OUT}, or use data=image_folder"
        )  # fmt: skip
    if not path.is_file():
        raise FileNotFoundError(f"data.root={settings.root}: there is no such file; expected {LAYOUT}; {WAY_OUT}")
    return path


def _rows(path: Path) -> Iterator[Row]:
    way_out = f"correct it, and save it as CSV in UTF-8 (expected {LAYOUT})"
    for number, row in read_named_rows(path, COLUMNS[:2], way_out):
        of = {name: row.get(name, "").strip() for name in COLUMNS}
        yield _row(path, number, of["path"], of["label"], of["split"])


def _row(path: Path, number: int, image: str, label: str, split: str) -> Row:
    """One row's cells, settled."""
    if not image:
        raise ValueError(f"{path}, row {number}: the path is empty: name an image, or remove the row")
    if split.lower() not in SPLITS:
        raise ValueError(
            f"{path}, row {number}: split {split!r} is none of train, test, val and unlabeled: correct it, or leave it "
            "empty for train"
        )
    part = SPLITS[split.lower()]
    if not label and part in ("test", "validation"):
        raise ValueError(f"{path}, row {number}: {image} has no label, and {part} images need one: add it")
    part = part if label else "unlabeled"
    try:
        place = path.parent / user_path(image)
    except ValueError as error:
        raise ValueError(f"{path}, row {number}: {error}") from error
    return Row(number, place, unicodedata.normalize("NFC", label), part)


def _refuse_named_twice(path: Path, rows: list[Row]) -> None:
    first: dict[str, Row] = {}
    for row in rows:
        other = first.setdefault(os.path.normpath(row.path), row)
        if other is row:
            continue
        if other.label != row.label:
            told = f"has the label {row.label!r} here and {other.label!r} in row {other.number}"
        else:
            told = f"is in row {other.number} already"
        raise ValueError(f"{path}, row {row.number}: {row.path} {told}: keep one row for each image")


def _require_files(path: Path, rows: list[Row]) -> None:
    missing = [row for row in rows if not row.path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{path}, row {missing[0].number}: {missing[0].path} is not there, or no file ({len(missing)} of "
            f"{len(rows)} images are not): paths are absolute or relative to the list's folder; correct them, or "
            "remove the rows"
        )


def readable_rows(rows: list[Row]) -> tuple[list[Row], tuple[Path, ...]]:
    """The rows of images that are read here, and the images of the others."""
    suffixes = unreadable_suffixes()
    unreadable = tuple(row.path for row in rows if row.path.name.lower().endswith(suffixes))
    return [row for row in rows if not row.path.name.lower().endswith(suffixes)], unreadable


def _labeled(path: Path, rows: list[Row], part: str, class_names: tuple[str, ...]) -> LabeledSet:
    examples, indices = [], {name: index for index, name in enumerate(class_names)}
    for row in rows:
        if row.part != part:
            continue
        if row.label not in indices:
            raise ValueError(
                f"{path}, row {row.number}: no training image has the label {row.label!r} of this {part} image: add "
                "one, or remove the row"
            )
        examples.append(Example(row.path, indices[row.label]))
    return LabeledSet(tuple(examples), class_names)
