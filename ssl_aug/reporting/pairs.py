"""The drawings that an evaluation found nearest to a tuning image in CLIP's space, each beside that image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ssl_aug.data.reading import read_square
from ssl_aug.reporting.sheets import as_jpeg, data_uri
from ssl_aug.reporting.subject import Subject
from ssl_aug.tables import read_named_rows

NAME = "near_copies.csv"  # beside evaluation.json, the closest first
WAY_OUT = "take it away: the report alone reads it"
MOST_SHOWN = 10
SIDE_PX = 96


@dataclass(frozen=True)
class Pair:
    """A drawing by its number on the page, and the tuning image that it is nearest to."""

    number: int
    cosine: str
    nearest: str  # its path
    uri: str  # its picture; empty where it is not here


def closest_pairs(folder: Path, subject: Subject) -> tuple[Pair, ...]:
    """The closest pairs of a set in an evaluation's folder; none where it did not look for any.

    Raises:
        ValueError: its list is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        return ()
    numbers = {drawing.path.resolve(): number for number, drawing in enumerate(subject.drawings)}
    found: list[Pair] = []
    for _, row in read_named_rows(path, ("cosine", "image", "nearest"), WAY_OUT):
        number = numbers.get(Path(row["image"]).resolve())
        if number is not None and len(found) < MOST_SHOWN:
            found.append(Pair(number, row["cosine"], row["nearest"], _picture(Path(row["nearest"]))))
    return tuple(found)


def _picture(path: Path) -> str:
    try:
        return data_uri(as_jpeg(read_square(path, SIDE_PX), 80), "jpeg")
    except (ValueError, OSError):  # it may lie on another machine
        return ""


def pairs_of(folders: Sequence[Path], subject: Subject) -> tuple[Pair, ...]:
    """Those of the first evaluation that has some."""
    return next((pairs for folder in folders if (pairs := closest_pairs(folder, subject))), ())
