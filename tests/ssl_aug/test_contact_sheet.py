"""The picture of a set: every class has its turn, and each labeled image stands before its own drawings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ssl_aug.data.base import Example, LabeledSet
from ssl_aug.drawing.contact_sheet import (
    GAP,
    LINE,
    MOST_ROWS,
    SHEET,
    THUMB,
    chosen,
    stem_of,
    write_contact_sheet,
)  # fmt: skip
from ssl_aug.synthetic import SetWriter, SyntheticSet, make_requests
from ssl_aug.synthetic.kept import Row


def rows_of(labeled: LabeledSet, per_sample: int = 2) -> list[Row]:
    return [
        {"path": request.path, "label": str(request.source.label), "source": request.source.key, "k": str(request.k)}
        for request in make_requests(labeled, per_sample, 0)
    ]


def named(*per_class: int) -> LabeledSet:
    names = tuple(f"kind {label}" for label in range(len(per_class)))
    examples = [Example(Path(f"/x/k{label}/{i}.png"), label) for label, n in enumerate(per_class) for i in range(n)]
    return LabeledSet(tuple(examples), names)


def test_every_class_has_its_turn_before_any_has_a_second() -> None:
    labeled = named(30, 1, 2)
    shown = list(chosen(rows_of(labeled), labeled))
    assert [path.parent.name for path in shown] == ["k0"] * 13 + ["k1"] + ["k2"] * 2
    many = named(*[2] * 100)
    labels = [int(path.parent.name[1:]) for path in chosen(rows_of(many), many)]
    assert len(labels) == MOST_ROWS and np.ptp(np.diff(labels)) <= 1 and labels[-1] > 90


def test_what_was_thrown_out_is_not_shown() -> None:
    labeled = named(1, 1)
    kept = [row for row in rows_of(labeled) if row["label"] == "1" or row["k"] == "1"]
    assert [[row["k"] for row in rows] for rows in chosen(kept, labeled).values()] == [["1"], ["0", "1"]]
    assert list(chosen([row for row in kept if row["label"] == "1"], labeled)) == [Path("/x/k1/0.png")]
    assert stem_of(kept[0]) == "images/01_kind-1/0"


def test_the_sheet_shows_each_labeled_image_before_its_own_drawings(tmp_path: Path) -> None:
    """Plain colors: the labeled image's green is its number's, a drawing's red also tells which one it is."""
    paths = [tmp_path / "photos" / f"{number}.png" for number in range(3)]
    (tmp_path / "photos").mkdir()
    for number, path in enumerate(paths):
        Image.new("RGB", (30, 20), (0, 60 * number, 0)).save(path)
    labeled = LabeledSet(tuple(Example(path, number // 2) for number, path in enumerate(paths)), ("a", "b"))
    writer, requests = SetWriter(tmp_path / "set", {"seed": 0}, labeled), make_requests(labeled, 2, 0)
    for request in requests:
        Image.new("RGB", (8, 8), (100 + 50 * request.k, 60 * paths.index(request.source.path), 0)).save(
            tmp_path / "drawn.png"
        )
        writer.write([request], [(tmp_path / "drawn.png").read_bytes()], [{}])
    synthetic = writer.finish(requests, "card", {})
    assert isinstance(synthetic, SyntheticSet)
    assert write_contact_sheet(synthetic, labeled) == tmp_path / "set" / SHEET
    sheet = np.asarray(Image.open(tmp_path / "set" / SHEET))
    for number in range(3):
        middle = LINE + number * (LINE + THUMB + GAP) + LINE + THUMB // 2
        across = [GAP + column * (THUMB + GAP) + THUMB // 2 for column in range(3)]
        assert [tuple(sheet[middle, place]) for place in across] == [
            (0, 60 * number, 0), (100, 60 * number, 0), (150, 60 * number, 0),
        ]  # fmt: skip
    (tmp_path / "set" / requests[0].path).unlink()  # the first image's first drawing is thrown out
    write_contact_sheet(SyntheticSet.open(tmp_path / "set"), labeled)
    sheet = np.asarray(Image.open(tmp_path / "set" / SHEET))
    middle = 2 * LINE + THUMB // 2
    across = [GAP + column * (THUMB + GAP) + THUMB // 2 for column in range(3)]
    assert [tuple(sheet[middle, place]) for place in across] == [(0, 0, 0), (255, 255, 255), (150, 0, 0)]
