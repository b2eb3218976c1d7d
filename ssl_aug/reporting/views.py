"""A set as the page shows it: classes, in them a row per labeled image, in it the drawings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unicodedata import normalize

from ssl_aug.data.layout import class_folder
from ssl_aug.reporting.findings import FLAGS, LOW, TOLD, ClassFacts, Judged
from ssl_aug.reporting.looks import Look
from ssl_aug.reporting.sheets import Cell, Sheets
from ssl_aug.reporting.subject import DELETED, Drawing, Key, Subject

MOST_AT_A_GLANCE = 12
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Picture:
    """A thumbnail by the names of its CSS classes, or why there is none."""

    css: str
    why_none: str
    name: str


@dataclass(frozen=True)
class DrawingView:
    """One drawing: its thumbnail, its scores, what its condition was beside the labeled image."""

    number: int
    picture: Picture
    class_score: str
    source_score: str
    flags: tuple[str, ...]
    told: str  # all of it in words
    box: Box | None  # left, top, width, height of the erased rectangle, in pixels of the drawing
    lender: Picture | None


@dataclass(frozen=True)
class RowView:
    """A labeled image and what was drawn from it."""

    picture: Picture
    drawings: tuple[DrawingView, ...]


@dataclass(frozen=True)
class ClassView:
    """A class with its rows; `id` is the page's anchor."""

    id: str
    name: str
    facts: ClassFacts
    rows: tuple[RowView, ...]


@dataclass(frozen=True)
class Pictures:
    """All thumbnails: of the drawings in their order, and of the labeled images."""

    of_drawings: tuple[Picture, ...]
    of_labeled: Mapping[Key, Picture]


def pictures_of(subject: Subject, looks: Sequence[Look], labeled: Mapping[Key, Look], sheets: Sheets) -> Pictures:
    """Thumbnails by their places in the sheets, which hold the drawings first and then the labeled images."""
    count = len(subject.drawings)
    drawn = tuple(
        _picture(cell, _why_none(drawing, look), Path(drawing.row["path"]).name)
        for cell, drawing, look in zip(sheets.cells[:count], subject.drawings, looks, strict=True)
    )
    known = {
        key: _picture(cell, look.why_none and "cannot be read", Path(key[1]).name)
        for cell, (key, look) in zip(sheets.cells[count:], labeled.items(), strict=True)
    }
    return Pictures(drawn, known)


def _why_none(drawing: Drawing, look: Look) -> str:
    return "deleted" if drawing.state == DELETED else "cannot be read" if look.pixels is None else ""


def _picture(cell: Cell | None, why_none: str, name: str) -> Picture:
    return Picture("" if cell is None else f"s{cell.sheet} x{cell.column} y{cell.row}", why_none, name)


def class_views(
    subject: Subject, judged: Sequence[Judged], facts: Sequence[ClassFacts], pictures: Pictures
) -> list[ClassView]:
    """The classes in the order of `facts`, with the rows of all labeled images and of all drawings."""
    rows: dict[Key, list[DrawingView]] = {key: [] for key in subject.labeled}
    lenders = {key: picture for (_, key), picture in pictures.of_labeled.items()}
    for number, (drawing, own, picture) in enumerate(zip(subject.drawings, judged, pictures.of_drawings, strict=True)):
        rows.setdefault(drawing.source, []).append(_drawing_view(number, drawing, own, picture, lenders))
    of_class: dict[int, list[RowView]] = defaultdict(list)
    for (label, source), drawings in rows.items():
        unknown = "not here" if source else "not known"
        shown = pictures.of_labeled.get((label, source), Picture("", unknown, Path(source).name))
        of_class[label].append(RowView(shown, tuple(drawings)))
    names = subject.class_names
    return [
        ClassView(class_folder(each.label, names), names[each.label], each, tuple(of_class[each.label]))
        for each in facts
    ]


def _drawing_view(
    number: int, drawing: Drawing, own: Judged, picture: Picture, lenders: Mapping[str, Picture]
) -> DrawingView:
    row = drawing.row
    class_score, source_score = row.get("class_score", ""), row.get("source_score", "")
    lender = normalize("NFC", row.get("lender", ""))
    scores = [f"{name} score {score}" for name, score in (("class", class_score), ("source", source_score)) if score]
    told = ", ".join([picture.name, *scores, *(FLAGS[flag] for flag in own.flags if flag != LOW)])
    shown_lender = lenders.get(lender, Picture("", "not here", Path(lender).name)) if lender else None
    box = box_of(row.get("mask_box", ""))
    return DrawingView(number, picture, class_score, source_score, own.flags, told, box, shown_lender)


def box_of(cell: str) -> Box | None:
    """left, top, width, height of the manifest's "left top right bottom"; None where there is nothing to show."""
    parts = cell.split()
    if len(parts) != 4 or not all(part.isdecimal() for part in parts):
        return None
    left, top, right, bottom = map(int, parts)
    return (left, top, right - left, bottom - top) if right > left and bottom > top else None


def glance_at(classes: Sequence[ClassView]) -> tuple[tuple[str, str, Picture, Picture], ...]:
    """A drawing of some classes, evenly over all, each with its class's id and name and its labeled image."""
    drawn = []
    for each in sorted(classes, key=lambda one: one.facts.label):
        pairs = ((row.picture, one.picture) for row in each.rows for one in row.drawings if one.picture.css)
        first = next(pairs, None)
        drawn += [(each.id, each.name, *first)] if first else []
    step = max(1.0, len(drawn) / MOST_AT_A_GLANCE)
    return tuple(drawn[int(number * step)] for number in range(min(len(drawn), MOST_AT_A_GLANCE)))


def facts_for_script(subject: Subject, judged: Sequence[Judged], labeled: Mapping[Key, Picture]) -> list[list[Any]]:
    """What the page tells of a drawing when it is looked at closely: a list for each, in the order of page.js.

    Args:
        labeled: pictures of the labeled images.
    """
    return [
        [
            drawing.row["path"],
            drawing.row["k"],
            drawing.row.get("seed", ""),
            drawing.row["source"],
            drawing.row.get("lender", ""),
            drawing.row.get("mask_box", "") if box_of(drawing.row.get("mask_box", "")) else "",
            own.copy_of[1] if own.copy_of else "",
            labeled[own.copy_of].css if own.copy_of and own.copy_of in labeled else "",
            [FLAGS[flag] for flag in own.flags],
        ]
        for drawing, own in zip(subject.drawings, judged, strict=True)
    ]


def told_share(drawings: Sequence[Drawing]) -> float | None:
    """Share of drawings of which CLIP tells the class; None where there are no scores."""
    scores = [score for each in drawings if (score := each.score("class_score")) is not None]
    return sum(score >= TOLD for score in scores) / len(scores) if scores else None
