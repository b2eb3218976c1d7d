"""Measured rows on disk: a set is measured once, and an evaluation that was stopped goes on behind the last one."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ssl_aug.files import write_json
from ssl_aug.records import read_record
from ssl_aug.settings import short_hash

ROWS = "rows"  # below an evaluation's folder
KINDS = {"set_id": (str,), "row": (dict,), "pairs": (list,), "notes": (list,), "title": (str,)}


@dataclass(frozen=True, order=True)
class Pair:
    """A drawing and the tuning image that it is nearest to."""

    cosine: float
    image: str
    nearest: str


@dataclass(frozen=True)
class Measured:
    """A set's figures, and what was said of them."""

    row: dict[str, Any]
    pairs: tuple[Pair, ...]  # near-copies
    title: str
    notes: tuple[str, ...]
    judge_accuracy: float | None
    set_id: str  # which images they are of
    shown: tuple[str, ...] = ()  # some of their files, for a picture


class Rows:
    """Those of one evaluation."""

    def __init__(self, folder: Path):
        self.folder = folder / ROWS

    def find(self, key: Any) -> Measured | None:
        """What was measured with this key; None where nothing was.

        Raises:
            ValueError: a damaged file.
        """
        path = self._path(key)
        if not path.is_file():
            return None
        found = read_record(path, KINDS, f"remove {path}, and it is measured again", KINDS)
        pairs = tuple(Pair(**pair) for pair in found["pairs"])
        accuracy = found.get("judge_accuracy")
        shown = tuple(found.get("shown", ()))
        return Measured(found["row"], pairs, found["title"], tuple(found["notes"]), accuracy, found["set_id"], shown)

    def keep(self, key: Any, measured: Measured) -> None:
        """Writes a row down."""
        write_json(self._path(key), {**asdict(measured), "key": json.loads(json.dumps(key))})

    def _path(self, key: Any) -> Path:
        return self.folder / f"{short_hash(key)}.json"
