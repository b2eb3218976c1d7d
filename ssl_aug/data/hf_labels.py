"""From the labels of a saved dataset's splits, as they stand there, to class names and indices."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ssl_aug.data.finding import some

UNLABELED = -1  # what stands for "no label" beside null
Classes = Mapping[int | str, int]  # a label as it stands there -> its class index


@dataclass(frozen=True)
class LabelColumn:
    """The labels of one split."""

    split: str
    part: str  # train, test, validation or unlabeled
    labels: Sequence[Any]
    names: tuple[str, ...] | None  # what the labels are indices into; None: they are the names, or numbers

    @cached_property
    def index_of(self) -> dict[str, int]:
        """The index of each name, of equal ones the first."""
        return {name: index for index, name in reversed(list(enumerate(self.names or ())))}


@dataclass(frozen=True)
class Settled:
    """The same as class indices."""

    class_names: tuple[str, ...]
    indices: Mapping[str, list[int | None]]  # by split; None: no label
    notes: tuple[str, ...]


def settled(root: Path, columns: Sequence[LabelColumn]) -> Settled:
    """Class names and indices of the splits; the names are those of the training images.

    Named classes keep their order, texts and numbers are sorted.

    Raises:
        ValueError: an empty split, a label out of its range or of no training image, or a single class.
    """
    for column in columns:
        if not column.labels:
            raise ValueError(no_rows(root, column.split))
    plain = {
        column.split: [_plain(root, column, row, label) for row, label in enumerate(column.labels)]
        for column in columns
        if column.part != "unlabeled"
    }
    train = next(column for column in columns if column.part == "train")
    _require_same_names(root, train, columns)
    used = sorted({label for label in plain[train.split] if label is not None}, key=_in_order)
    if len(used) < 2:
        told = f"one label, {_told(used[0], train)}" if used else "no labels"
        raise ValueError(f"{root}: the images of {train.split} have {told}: a classifier needs 2 classes or more")
    classes = {label: index for index, label in enumerate(used)}
    indices: dict[str, list[int | None]] = {column.split: [None] * len(column.labels) for column in columns}
    notes = []
    if train.names is not None and len(used) < len(train.names):
        idle = [name for index, name in enumerate(train.names) if index not in classes]
        notes.append(f"warning: {len(idle)} classes have no images in {train.split}: left out {some(idle)}")
    for column in columns:
        if column.part == "unlabeled":
            continue
        indices[column.split] = [_index(root, column, row, one, classes) for row, one in enumerate(plain[column.split])]
        hidden = indices[column.split].count(None)
        if hidden and column.part != "train":
            notes.append(f"warning: left out {hidden} images of {column.split}, which have no label")
    return Settled(tuple(_name(label, train) for label in used), indices, tuple(notes))


def no_rows(root: Path, split: str) -> str:
    """Why an empty split is refused."""
    return f"{root}: the split {split} has no rows: fill it, or save the dataset without it"


def _plain(root: Path, column: LabelColumn, row: int, label: Any) -> int | str | None:
    """A whole number or a text; None for no label."""
    if label is None or label != label:  # a table with gaps holds "not a number"
        return None
    if isinstance(label, str):
        text = unicodedata.normalize("NFC", label)
        if column.names is None:
            return text or None
        if label not in column.index_of:
            raise ValueError(f"{root}: the label of {column.split}[{row}] is {label!r}, which is no class's name")
        return column.index_of[label]
    if isinstance(label, bool):
        return str(label)
    if not isinstance(label, int | float) or not float(label).is_integer():
        raise ValueError(
            f"{root}: the label of {column.split}[{row}] is {label!r}: whole numbers and names are labels, choose "
            "another column with data.label_column=COLUMN"
        )
    number = int(label)
    if number == UNLABELED:
        return None
    if number < 0 or (column.names is not None and number >= len(column.names)):
        most = "" if column.names is None else f" to {len(column.names) - 1}, there are {len(column.names)} names"
        raise ValueError(
            f"{root}: the label of {column.split}[{row}] is {number}: it must be from 0{most}; -1 or null stand for an "
            "image without label"
        )
    return number


def _require_same_names(root: Path, train: LabelColumn, columns: Sequence[LabelColumn]) -> None:
    for column in columns:
        if column.part in ("test", "validation") and column.names != train.names:
            raise ValueError(
                f"{root}: the classes of {column.split} are not those of {train.split}, or not in their order: save "
                "both with the same ClassLabel"
            )


def _index(root: Path, column: LabelColumn, row: int, label: int | str | None, classes: Classes) -> int | None:
    if label is not None and label not in classes:
        raise ValueError(
            f"{root}: the label of {column.split}[{row}] is {_told(label, column)}, which no training image has: add "
            "one, or remove the row"
        )
    return None if label is None else classes[label]


def _in_order(label: int | str) -> tuple[int, str]:
    return (label, "") if isinstance(label, int) else (0, label)


def _name(label: int | str, column: LabelColumn) -> str:
    return column.names[label] if column.names is not None and isinstance(label, int) else str(label)


def _told(label: int | str, column: LabelColumn) -> str:
    return repr(_name(label, column)) if column.names is not None else repr(label)
