"""manifest.csv: a row for each image of a set. The one place that reads and writes it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from sys import intern
from unicodedata import normalize

from ssl_aug.files import written_atomically
from ssl_aug.tables import csv_line, read_named_rows

SCORES = ("source_score", "class_score")  # empty where the generator has no CLIP (`ssl_aug/selection.py`)
COLUMNS = (
    "path", "label", "class_name", "source", "k", "seed",
    "mask_rate", "mask_box", "lender", "sampler", "steps", "guidance", "sha256", *SCORES,
)  # fmt: skip
NEEDED = ("path", "label", "class_name", "source", "k", "sha256")
NUMBERS = ("mask_rate", "guidance", *SCORES)  # or empty
# cells that are the same in many rows: held once
SHARED = ("label", "class_name", "source", "k", "mask_rate", "lender", "sampler", "steps", "guidance", *SCORES)
WAY_OUT = (
    "put a copy of the file back, or without one remove it and run the same python -m ssl_aug.generate again (of an "
    "imported set import it again)"
)
WHOLE = re.compile(r"[0-9]{1,9}")
SHA256 = re.compile(r"[0-9a-f]{64}")
# what we name an image: images/<label>_<slug of the class>/<name>_<k>.<suffix>
OUR_PATH = re.compile(r"images/(?P<label>[0-9]{1,9})_[^/]*/[^/]*_(?P<k>[0-9]{1,9})\.[A-Za-z]+")

Row = dict[str, str]


def read_rows(path: Path) -> list[Row]:
    """The rows, each with whole numbers for label and k, a path inside the set and a sha256.

    Commas, semicolons or tabs between the cells, and what spreadsheets put at the head of a file, are all read.

    Raises:
        ValueError: no such table, or a row that cannot be one of a set; the row is named as spreadsheets count.
    """
    rows: list[Row] = []
    first: dict[object, int] = {}
    for number, row in read_named_rows(path, NEEDED, WAY_OUT):
        why = _why_wrong(row)
        if why is None:
            of_source = (row["label"], row["source"], row["k"]) if row["source"] else row["path"]
            other = min(first.setdefault(key, number) for key in (row["path"], of_source))
            why = f"it is the same image as row {other}" if other != number else None
        if why is not None:
            raise ValueError(f"{path}, row {number}: {why}: {WAY_OUT}")
        for name in SHARED:
            if name in row:
                row[name] = intern(row[name])
        rows.append(row)
    return rows


def require_classes(path: Path, rows: Iterable[Row], class_names: tuple[str, ...] | None) -> None:
    """Sees to it that label and class_name of each row say the same.

    Args:
        path: the manifest, for the error.
        class_names: of the set; None where its record does not hold them, so that rows may only agree.

    Raises:
        ValueError: a row whose do not.
    """
    known = {label: normalize("NFC", name) for label, name in enumerate(class_names or ())}
    for row in rows:
        label, name = int(row["label"]), normalize("NFC", row["class_name"])
        if class_names is not None and label not in known:
            raise ValueError(
                f"{path}: {row['path']} has the label {label}, the set has the classes 0 to {len(known) - 1}: {WAY_OUT}"
            )
        if name and known.setdefault(label, name) != name:
            raise ValueError(
                f"{path}: {row['path']} has the label {label}, which is {known[label]!r}, and class_name {name!r}: "
                f"{WAY_OUT}"
            )


def write_manifest(path: Path, rows: Iterable[Row]) -> None:
    """A manifest; columns that a row lacks stay empty."""
    with written_atomically(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        file.write(csv_line(COLUMNS))
        for row in rows:
            assert row.keys() <= set(COLUMNS), row.keys() - set(COLUMNS)
            file.write(csv_line(row.get(name, "") for name in COLUMNS))


def _why_wrong(row: Row) -> str | None:
    path = PurePosixPath(row["path"])
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in row["path"]:
        return f"path {row['path']!r} is none inside the set's folder"
    for name in ("label", "k"):
        if not WHOLE.fullmatch(row[name]):
            return f"{name} {row[name]!r} is no whole number from 0"
    if row.get("steps") and not WHOLE.fullmatch(row["steps"]):
        return f"steps {row['steps']!r} is no whole number"
    for name in NUMBERS:
        if row.get(name) and not _is_number(row[name]):
            return f"{name} {row[name]!r} is no number with a decimal point"
    if not SHA256.fullmatch(row["sha256"]):
        return f"sha256 {row['sha256'][:80]!r} is not 64 hex digits"
    ours = OUR_PATH.fullmatch(row["path"])
    for name, said in ours.groupdict().items() if ours else ():
        if int(said) != int(row[name]):
            return f"{name} {row[name]} contradicts the path {row['path']}"
    return None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
