"""What a report shows of a set: its drawings, also those that were thrown out or altered, and its labeled images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unicodedata import normalize

from ssl_aug.data.base import LabeledSet
from ssl_aug.synthetic import SyntheticSet, is_finished, read_rows, record_of
from ssl_aug.synthetic.kept import altered_paths, read_rejected
from ssl_aug.synthetic.manifest import Row, require_classes

MOST_SHOWN = 12_000  # drawings of a page: a browser opens that many at once, and 784 x 10 are fewer
DELETED, REJECTED, ALTERED = "deleted", "rejected", "altered"

Key = tuple[int, str]  # label and key of a labeled image


@dataclass(frozen=True)
class Drawing:
    """One row of the manifest, and what became of its file."""

    row: Row
    path: Path
    label: int
    state: str = ""  # deleted, rejected, altered; empty: as it was drawn

    @property
    def source(self) -> Key:
        """The labeled image that it was drawn from; an imported one need not know it, and has "" there."""
        return self.label, normalize("NFC", self.row["source"])

    def score(self, name: str) -> float | None:
        """A score of the manifest; None where the generator had nothing to score with."""
        return float(self.row[name]) if self.row.get(name) else None


@dataclass(frozen=True)
class Subject:
    """A synthetic set as it lies there."""

    folder: Path
    record: dict[str, Any]
    class_names: tuple[str, ...]
    drawings: tuple[Drawing, ...]
    labeled: Mapping[Key, Path]  # empty where it is not known where they lie
    notices: tuple[str, ...]  # what is not shown, and why
    kept: SyntheticSet  # as a training takes it, without what was thrown out or altered
    drawn: SyntheticSet  # as it was before that, when a run may have taken it


def read_subject(folder: Path, labeled: LabeledSet | None, per_sample: int, why_none: str = "") -> Subject:
    """A set in a folder. Images that are missing or altered are part of what is shown, not errors.

    Args:
        per_sample: how many drawings of each labeled image are shown, the first ones.
        labeled: the labeled images that it was drawn from, as they lie here now.
        why_none: where there are none, the reason.

    Raises:
        FileNotFoundError: there is no finished set.
        ValueError: its manifest or record is damaged, or rejected.txt names something else.
    """
    refuse_unfinished(folder)
    record, rows = record_of(folder), read_rows(folder / "manifest.csv")
    names = tuple(record.get("class_names", ()))
    require_classes(folder / "manifest.csv", rows, names or None)
    drawings = _with_states(folder, rows)
    asked = [each for each in drawings if int(each.row["k"]) < per_sample]
    notices = [f"The labeled images are not shown: {why_none}."] if labeled is None else []
    if labeled is not None and labeled.id != record["labeled_set_id"]:
        notices.append(
            f"The labeled images are not shown: those that lie here now are labeled set {labeled.id}, and the drawings "
            f"were made from {record['labeled_set_id']}."
        )
        labeled = None
    shown = _first_that_fit(asked)
    if len(shown) < len(drawings):
        why = f"per_sample={per_sample}" if len(shown) == len(asked) else f"a page takes {MOST_SHOWN}"
        notices.append(f"{len(shown)} of {len(drawings)} drawings are shown, the first of each labeled image ({why}).")
    return Subject(
        folder,
        record,
        names or _names_in(rows),
        tuple(shown),
        {(example.label, example.key): example.path for example in labeled.examples} if labeled is not None else {},
        tuple(notices),
        SyntheticSet(folder, record["labeled_set_id"], tuple(each.row for each in drawings if not each.state)),
        SyntheticSet(folder, record["labeled_set_id"], tuple(rows)),
    )


def refuse_unfinished(folder: Path) -> None:
    """Raises FileNotFoundError where a folder holds no set that was drawn to its end."""
    if not is_finished(folder):
        raise FileNotFoundError(
            f"synthetic.root={folder} holds no finished set: draw one with python -m ssl_aug.generate and the same "
            "settings, or name another folder"
        )


def _with_states(folder: Path, rows: Sequence[Row]) -> list[Drawing]:
    rejected = read_rejected(folder, rows)
    there = [row for row in rows if (folder / row["path"]).is_file()]
    present, altered = {row["path"] for row in there}, set(altered_paths(folder, there))
    found = []
    for row in rows:
        path = row["path"]
        state = DELETED if path not in present else REJECTED if path in rejected else ""
        found.append(Drawing(row, folder / path, int(row["label"]), state or (ALTERED if path in altered else "")))
    return found


def _first_that_fit(drawings: Sequence[Drawing]) -> list[Drawing]:
    """All drawings, or of a larger set as many of each labeled image as a page takes, the first ones."""
    ordered = sorted(drawings, key=lambda each: int(each.row["k"])) if len(drawings) > MOST_SHOWN else list(drawings)
    return ordered[:MOST_SHOWN]


def _names_in(rows: Sequence[Row]) -> tuple[str, ...]:
    """The classes' names as rows have them, of a set whose record does not list them."""
    named = {int(row["label"]): row["class_name"] for row in rows}
    return tuple(named.get(label) or f"class {label}" for label in range(1 + max(named, default=-1)))
