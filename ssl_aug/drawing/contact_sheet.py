"""A picture to look at: labeled images, each before what was drawn from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ssl_aug.data.base import LabeledSet
from ssl_aug.data.reading import read_square
from ssl_aug.files import written_atomically
from ssl_aug.synthetic import SyntheticSet
from ssl_aug.synthetic.kept import Row

SHEET = "contact_sheet.png"
THUMB, GAP, LINE = 112, 4, 16  # pixels: an image's side, between images, a line of text
LEAST_WIDTH = 480  # pixels, for the text
MOST_ROWS, MOST_COLUMNS = 16, 10
INK, PAPER = "#222222", "white"


def write_contact_sheet(synthetic: SyntheticSet, labeled: LabeledSet) -> Path:
    """Writes `contact_sheet.png` into the set's folder: a row for each of some labeled images of all classes.

    A row is headed by what its drawings' paths begin with, a column by what they end with, as rejected.txt takes them.
    """
    shown = chosen(synthetic.rows, labeled)
    columns = min(MOST_COLUMNS, 1 + max(int(row["k"]) for rows in shown.values() for row in rows))
    width = max(LEAST_WIDTH, GAP + (1 + columns) * (THUMB + GAP))
    height = LINE + len(shown) * (LINE + THUMB + GAP)
    sheet = Image.new("RGB", (width, height), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for column in range(columns):
        pen.text((GAP + (1 + column) * (THUMB + GAP), 2), f"..._{column}.png", INK, font)
    pen.text((GAP, 2), "labeled image", INK, font)
    for number, (source, rows) in enumerate(shown.items()):
        top = LINE + number * (LINE + THUMB + GAP)
        pen.text((GAP, top + 2), f"{rows[0]['class_name']}: {stem_of(rows[0])}_...", INK, font)
        places = {1 + int(row["k"]): synthetic.folder / row["path"] for row in rows}  # what was thrown out stays blank
        for column, path in {0: source, **places}.items():
            if column <= columns:
                sheet.paste(Image.fromarray(read_square(path, THUMB)), (GAP + column * (THUMB + GAP), top + LINE))
    path = synthetic.folder / SHEET
    with written_atomically(path, sweep=True) as part:
        sheet.save(part, "PNG", compress_level=1)  # a quarter of the time for a sixth more bytes
    return path


def chosen(rows: Sequence[Row], labeled: LabeledSet) -> dict[Path, list[Row]]:
    """Labeled images with their drawings: of each class the first, then the second, while there is room.

    With more classes than rows, classes at equal distances.
    """
    drawn: dict[tuple[int, str], list[Row]] = {}
    for row in rows:
        drawn.setdefault((int(row["label"]), row["source"]), []).append(row)
    turns: dict[int, int] = {}
    found = []
    for example in labeled.examples:
        own = drawn.get((example.label, example.key))
        if own:
            turns[example.label] = turns.get(example.label, -1) + 1
            found.append((turns[example.label], example.label, example.path, own))
    classes = sorted(turns)
    step = max(1.0, len(classes) / MOST_ROWS)
    kept = {classes[int(number * step)] for number in range(min(MOST_ROWS, len(classes)))}
    first = sorted((each for each in found if each[1] in kept), key=lambda each: each[:2])[:MOST_ROWS]
    return {path: own for _, _, path, own in sorted(first, key=lambda each: (each[1], each[0]))}


def stem_of(row: Row) -> str:
    """What the paths of an image's drawings have in common."""
    return row["path"].removesuffix(f"_{row['k']}.png")
