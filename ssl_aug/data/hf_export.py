"""The splits of a saved dataset, and those of a folder that `ssl_aug.export --to hf` wrote, which needs no library."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssl_aug.data.hf_columns import CLASSES, IMAGE, Column, image_column, label_column
from ssl_aug.files import read_json


@dataclass(frozen=True)
class SavedSplit:
    """One split; its rows may be gone through as often as you like."""

    name: str
    part: str  # train, test, validation or unlabeled
    label_names: tuple[str, ...] | None  # what its labels are indices into; None: they are names, or numbers
    labels: Callable[[], Iterator[Any]]  # of unlabeled ones anything, once for each row
    images: Callable[[], Iterator[Any]]  # a file's bytes, or a dictionary of its bytes and its path, one of them null


@dataclass(frozen=True)
class Saved:
    """All that is read of a folder, the training images first."""

    splits: tuple[SavedSplit, ...]
    notes: tuple[str, ...] = ()


def of_export(root: Path, image: str | None, label: str | None) -> Saved:
    """What `ssl_aug.export --to hf` wrote, without its synthetic images."""
    facts = read_json(root / "export.json")
    if facts.get("to") != "hf":
        raise ValueError(f"{root} was exported with --to {facts.get('to')}: data=hf reads what --to hf wrote")
    columns = {"image": Column(IMAGE), "label": Column(CLASSES, tuple(facts["class_names"]))}
    image_column(root, columns, image)
    label_column(root, columns, label)
    splits, num_synthetic = [], 0
    for name, part in (("labeled", "train"), *((part, part) for part in ("validation", "test", "unlabeled"))):
        if not (root / name / "metadata.jsonl").is_file():
            continue
        with (root / name / "metadata.jsonl").open(encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        real = [row for row in rows if not row["synthetic"]]
        num_synthetic += len(rows) - len(real)
        if real:
            splits.append(_of_metadata(root / name, part, real, columns["label"].names))
    note = f"left out {num_synthetic} synthetic images: synthetic.root=SET brings a set's into a training"
    return Saved(tuple(splits), (note,) if num_synthetic else ())


def _of_metadata(
    folder: Path, part: str, rows: Sequence[Mapping[str, Any]], names: tuple[str, ...] | None
) -> SavedSplit:
    return SavedSplit(
        folder.name,
        part,
        names,
        lambda: (row["label"] for row in rows),
        lambda: ({"bytes": None, "path": str(folder / row["file_name"])} for row in rows),
    )
