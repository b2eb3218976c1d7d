"""The paper's tables: which sets they are of, and what stands beside them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ssl_aug.command_line import compose
from ssl_aug.evaluation.paper import FD, IS, Cell, cells, in_paper_form
from ssl_aug.evaluation.plots import plot
from ssl_aug.evaluation.rows import Measured
from ssl_aug.evaluation.settings import EvaluateSettings

PAPER = ["experiment=paper", "data.root=photos", "generator.checkpoint=cin256.ckpt"]


def asked(*words: str) -> EvaluateSettings:
    return compose("evaluate", list(words), EvaluateSettings)


def row(name: str, distance: float | None, shown: tuple[str, ...] = ()) -> Measured:
    why = {} if distance is not None else {FD: "too few: 9"}
    figures = {"set": name, "num_images": 300, FD: distance, IS: 3.0, "inception_score_std": 0.1, "why": why}
    return Measured(figures, (), "title", (), None, "id", shown)


def test_table_1_is_of_four_tunings_on_all_images_and_on_a_thousand() -> None:
    found = cells(asked("table=1", *PAPER))
    assert [(one.row, one.column) for one in found[:2]] == [
        ("ScratchDiff", "all images"),
        ("ScratchDiff", "1000 images"),
    ]
    assert [one.settings.tune.approach for one in found[::2]] == ["scratch", "all", "anl_unconditional", "anl"]
    assert {one.settings.tune.steps for one in found} == {60_000}
    assert [one.settings.data.subset for one in found] == [None, 1000] * 4
    assert [one.published[FD] for one in found[-2:]] == ["11.15", "15.70"]
    for one in found:
        sampling = one.settings.sampling()
        assert (sampling.guidance, sampling.condition, sampling.mask_rate) == (1.0, "image", 0.0)
        assert (one.settings.drawn_from, one.settings.measured_in) == ("train", "inception")
        assert one.settings.num_images is None  # one of each training image


def test_the_figures_of_the_paper_are_those_of_the_dataset() -> None:
    found = cells(asked("table=1", *PAPER, "data=celeba", "approaches=[anl]"))
    assert [(one.column, one.published[FD]) for one in found] == [("10000 images", "8.76"), ("1000 images", "14.34")]
    (first, *_) = cells(asked("table=1", *PAPER, "data=flowers102", "approaches=[all]", "tune_steps=[7]"))
    assert (first.published[FD], first.settings.tune.steps) == ("15.75", 7)


def test_table_3_is_of_ten_mask_rates_after_4000_steps() -> None:
    found = cells(asked("table=3", *PAPER))
    assert [one.settings.mask_rate for one in found] == [rate / 10 for rate in range(10)]
    assert {one.settings.tune.steps for one in found} == {4_000}
    assert (found[5].name, found[5].published) == ("mask 50 %", {IS: "3.46", FD: "27.28"})


def test_figure_4_is_of_eight_numbers_of_steps_for_two_approaches() -> None:
    found = cells(asked("figure=4", *PAPER))
    assert [one.settings.tune.steps for one in found[::2]] == list(range(500, 4_001, 500))
    assert {(one.column, one.settings.tune.approach) for one in found} == {("Tuning-All", "all"), ("ANL", "anl")}


@pytest.mark.parametrize("word", ["table=1", "table=3", "figure=1", "figure=4"])
def test_on_toycars_a_table_is_small_and_in_the_embedded_features(word: str) -> None:
    found = cells(asked(word))
    assert all(one.settings.tune.steps <= 200 and one.settings.num_images == 288 for one in found)
    assert {one.settings.measured_in for one in found} == {"backbone"}


def test_a_table_of_several_numbers_of_steps_is_refused() -> None:
    with pytest.raises(ValueError, match=r"tune_steps=\[1, 2\]: table 3 is of one number of steps"):
        cells(asked("table=3", "tune_steps=[1,2]"))


def test_our_figures_stand_beside_the_papers_and_real_images_below() -> None:
    settings = asked("table=1", "approaches=[all,anl]")
    of_cells = cells(settings)
    rows = [row(one.name, 50.0 + number) for number, one in enumerate(of_cells)]
    rows[-1] = row("last", None)
    text = in_paper_form(settings, of_cells, rows, [row("real test images", 12.0)], "backbone")
    header, _, first, second, real, source = text.splitlines()
    assert header.split("  ")[0] == "table 1" and header.count("paper") == 2
    assert first.split() == ["Tuning-All", "50", "13.30", "51", "29.54"]
    assert second.split() == ["ANL", "52", "11.15", "too", "few:", "9", "15.70"]
    assert real.split() == ["real", "test", "images", "(300)", "12", "-", "12", "-"]
    assert "stanford_cars, FID" in source and "compare the order of rows, never the values" in source
    same = in_paper_form(asked("table=1", *PAPER), cells(asked("table=1", *PAPER)), [row("", 1.0)] * 8, [], "")
    assert "never" not in same and "FID all images" in same


@pytest.mark.parametrize(
    ("word", "pictures"),
    [
        ("table=1", ["table1.png"]), ("table=3", ["table3.png"]), ("figure=4", ["figure4.png"]),
        ("figure=1", ["figure1.png", "figure1_drawings.png"]), ("sweep=mask_rate", []),
    ],
)  # fmt: skip
def test_a_table_of_the_paper_is_drawn_as_well(word: str, pictures: list[str], tmp_path: Path) -> None:
    settings = asked(word)
    of_cells: list[Cell] = cells(settings) if settings.of_paper else []
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    shown = (str(tmp_path / "one.png"), str(tmp_path / "gone.png"))
    rows = [row(one.name, None if number == 1 else 9.0, shown) for number, one in enumerate(of_cells)]
    written = plot(settings, of_cells, rows, [row("real test images", 12.0)], "backbone", tmp_path)
    assert [path.name for path in written] == pictures
    for path in written:
        with Image.open(path) as picture:
            assert min(picture.size) > 300
