"""What stands around the drawings: accuracies, evaluations, the tuning, commands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssl_aug.files import write_json
from ssl_aug.reporting.charts import MOST_POINTS, bar_plot, curve
from ssl_aug.reporting.evaluations import read_evaluation, read_evaluations
from ssl_aug.reporting.page import render
from ssl_aug.reporting.runs import read_accuracies
from ssl_aug.reporting.settings import ReportSettings
from ssl_aug.reporting.subject import Subject, read_subject
from ssl_aug.reporting.tuning_log import read_tuning
from ssl_aug.results.accuracies import Cell, Kind, Row, Table
from ssl_aug.results.result import RunResult
from ssl_aug.settings import DataSettings, deciding_pictures
from ssl_aug.synthetic import SyntheticSet, best_of_each_class
from ssl_aug.synthetic.kept import REJECTED
from ssl_aug.tuning.place import tuning_folder
from ssl_aug.tuning.settings import TuneSettings
from tests.ssl_aug.reporting.sets import labeled_set, page_of, write_set

NAMES = ("ash", "beech")


@pytest.fixture
def subject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
    """A set of two classes, twelve drawings."""
    monkeypatch.chdir(tmp_path)
    labeled = labeled_set(tmp_path, NAMES)
    facts = {place: {"class_score": f"0.{90 - place}"} for place in range(12)}
    write_set(Path("set"), labeled, facts=facts, identity=deciding_pictures(ReportSettings()) | {"model_id": "aaaa"})
    return read_subject(Path("set"), labeled, 10)


def write_run(number: int, subject: Subject, accuracy: float, **other: Any) -> None:
    facts: dict[str, Any] = {
        "status": "done", "method": "erm", "augment": False, "protocol": "benchmark", "data": "csv", "seed": number,
        "labels_per_class": 4, "model": "m", "num_synthetic": 0, "steps": 5, "accuracy_last": accuracy,
        "labeled_set_id": subject.record["labeled_set_id"],
    }  # fmt: skip
    folder = Path("runs") / f"{number:04d}"
    folder.mkdir(parents=True)
    RunResult(**facts | other).write(folder)


def test_only_runs_of_this_set_and_plain_ones_of_its_labeled_images_count(subject: Subject) -> None:
    synthetic = SyntheticSet.open("set")
    write_run(1, subject, 20.0)
    write_run(2, subject, 22.0)
    for number, (drawn, settings, mix) in enumerate((
        (synthetic, {}, ""),
        (synthetic.first(2), {"per_sample": 2}, ""),
        (best_of_each_class(synthetic.first(2), 0.5), {"per_sample": 2}, "weight 0.5, best 0.5"),
    ), 3):  # fmt: skip
        other = {"augment": True, "synthetic_set_id": drawn.id, "settings": settings, "mix": mix}
        write_run(number, subject, 30.0 + number, **other)
    write_run(6, subject, 99.0, augment=True, synthetic_set_id="another")
    write_run(7, subject, 99.0, labeled_set_id="another")
    found = read_accuracies(Path("runs"), subject, True)
    (table,) = found.tables
    assert table.lines[0][:2] == ("plain", "21.0 ± 1.4 (n=2)") or table.lines[0][:2] == ("plain", "21.0 ± 1.4")
    assert not any("99" in cell for line in table.lines for cell in line)
    assert sum(row.kind is Kind.AUGMENTED for row in table.table.rows) == 3
    assert "2 of 7 runs are not shown" in found.notes[-1]
    # what was thrown out later makes no run of the whole set one of another set
    Path("set", REJECTED).write_text(f"{synthetic.rows[0]['path']}\n")
    later = read_subject(Path("set"), None, 10)
    assert read_accuracies(Path("runs"), later, True).tables[0].lines == table.lines


def test_the_accuracies_stand_on_the_page_in_words_and_as_a_plot(subject: Subject) -> None:
    write_run(1, subject, 20.0)
    write_run(2, subject, 24.0)
    write_run(3, subject, 40.0, augment=True, synthetic_set_id=SyntheticSet.open("set").id)
    Path("runs/0003/command.txt").write_text("python -m benchmarks.run augment=true\n")
    page = page_of(Path("set"), labeled_set(Path.cwd(), NAMES), ReportSettings(runs="runs"))
    text = render(page)
    assert "22.0 ± 2.8" in text and "erm, + augmentation: 40.0" in text
    assert page.commands == (("a run", "python -m benchmarks.run augment=true"),)
    assert ("+18.0", "points of accuracy by the drawings, mean of the methods: may be chance") in page.tiles


def test_without_runs_the_page_says_which_commands_make_some(subject: Subject) -> None:
    page = page_of(Path("set"), labeled_set(Path.cwd(), NAMES))
    assert not page.accuracies.tables
    assert "python -m benchmarks.run synthetic.root=set augment=true" in render(page)
    with pytest.raises(ValueError, match=r"--runs nowhere: no result.json beneath it"):
        read_accuracies(Path("nowhere"), subject, True)


def test_bars_end_where_their_figures_say() -> None:
    cells = (Cell((10.0, 30.0)), 40.0)
    plot = bar_plot(
        Table("t", ("erm", "mean"), (Row(Kind.PLAIN, "plain", cells), Row(Kind.DIFFERENCE, "d", (1.0, 2.0))))
    )
    (first,), (second,) = (group.bars for group in plot.groups)
    assert plot.series == ("plain",)
    assert second.end == pytest.approx(2 * first.end) and second.spread[0] == second.spread[1]
    assert first.spread == (
        pytest.approx(first.end - 14.142 / 20 * first.end, rel=1e-3),
        pytest.approx(first.end * (1 + 14.142 / 20), rel=1e-3),
    )
    assert plot.described == "erm, plain: 20.0 ± 14.1 %; mean, plain: 40.0 %"
    assert all(0 <= at <= 100 for at, _ in plot.ticks)
    single = Table("t", ("erm",), (Row(Kind.PLAIN, "plain", (Cell((40.0,)),)),), num_images=100)
    (alone,) = bar_plot(single).groups[0].bars
    assert alone.text == "40.0"
    low, high = (end / alone.end * 40 for end in alone.spread)
    assert (low, high) == (pytest.approx(30.9, abs=0.1), pytest.approx(49.8, abs=0.1))


def test_a_curve_is_thinned_and_told() -> None:
    line = curve([(step, 1 - step / 1000) for step in range(1000)], "loss")
    assert line is not None
    assert len(line.points.split()) <= MOST_POINTS
    assert line.described.startswith("loss from step 3 to 999: ")
    assert curve([(0, 1.0)], "loss") is None and curve([(0, float("nan")), (1, 2.0)], "loss") is None
    flat = curve([(0, 2.0), (5, 2.0)], "loss")
    assert flat is not None and flat.points == "0.00,100.00 100.00,100.00"


def write_evaluation(folder: str, settings: dict[str, Any], **row: Any) -> None:
    facts = {"set": "synthetic", "num_images": 12, "class_share": 0.456, "frechet_distance": 36.27} | row
    write_json(
        Path("outputs/evaluation", folder, "evaluation.json"), {"title": "t", "settings": settings, "rows": [facts]}
    )


def test_the_evaluation_of_a_set_is_found_by_its_folder_or_its_settings(subject: Subject) -> None:
    same = deciding_pictures(ReportSettings())
    measured = {
        "class_share_low": 0.4, "class_share_high": 0.512, "kernel_distance": 12.0, "kernel_distance_std": 0.5,
        "precision": None, "size_px": 64, "why": {"precision": "too few: 12"},
    }  # fmt: skip
    write_evaluation("by-settings", same)
    write_evaluation("by-folder", {"synthetic": {"root": str(Path("set").resolve())}}, **measured)
    write_evaluation("of-other-settings", same | {"guidance": 7.0})
    write_evaluation("of-other-folder", same | {"synthetic": {"root": "other"}})
    write_evaluation("of-a-sweep", same | {"sweep": "mask_rate"})
    write_evaluation("of-other-conditions", same | {"conditions": "test"})
    Path("outputs/evaluation/of-other-folder/evaluation.json").parent.with_name("damaged").mkdir()
    Path("outputs/evaluation/damaged/evaluation.json").write_text("{")
    found = read_evaluations(Path("outputs/evaluation"), subject)
    assert [each.folder.name for each in found] == ["by-folder", "by-settings"]
    assert found[1].header == ("", "synthetic")
    assert found[1].rows == (("images", "12"), ("right class %", "45.6"), ("Fréchet distance", "36.3"))
    assert found[0].rows == (
        ("images", "12"), ("right class %", "45.6 [40.0, 51.2]"), ("Fréchet distance", "36.3"),
        ("kernel distance x1000", "12 ± 0.5"), ("precision", "too few: 12"),
    )  # fmt: skip
    with pytest.raises(FileNotFoundError, match=r"--evaluation nowhere: .* no evaluation\.json in it"):
        read_evaluation(Path("nowhere"), subject)
    with pytest.raises(ValueError, match="damaged"):
        read_evaluation(Path("outputs/evaluation/damaged"), subject)
    assert read_evaluation(Path("outputs/evaluation/by-settings"), subject).notes == ()
    (note,) = read_evaluation(Path("outputs/evaluation/of-a-sweep"), subject).notes
    assert note == "By its settings this evaluation is of other sets than this one."


def test_the_closest_pairs_of_an_evaluation_stand_beside_their_tuning_images(subject: Subject) -> None:
    write_evaluation("found", deciding_pictures(ReportSettings()))
    labeled = labeled_set(Path.cwd(), NAMES)
    near = (
        ("synthetic", "0.98", subject.drawings[3].path, labeled.paths[0]),
        ("synthetic", "0.97", subject.drawings[1].path.resolve(), "gone.png"),
        ("other set", "0.96", "elsewhere/0.png", labeled.paths[1]),
    )
    lines = ["set,cosine,image,nearest", *(",".join(map(str, each)) for each in near)]
    Path("outputs/evaluation/found/near_copies.csv").write_text("\n".join(lines) + "\n")
    page = page_of(Path("set"), labeled)
    assert [(pair.number, pair.cosine, bool(pair.uri)) for pair in page.pairs] == [
        (3, "0.98", True),
        (1, "0.97", False),
    ]
    assert "Nearest to a tuning image, by CLIP" in render(page)


def test_the_tuning_of_a_set_is_found_and_shown_up_to_its_steps(subject: Subject) -> None:
    settings = ReportSettings(data=DataSettings(name="csv"), tune=TuneSettings(steps=20))
    known = replace(subject, record=subject.record | {"tuning_images_id": "bbbb"})
    assert read_tuning(settings, known) is None  # its folder is elsewhere
    folder = tuning_folder(settings, "csv", "aaaa", "bbbb", None)
    folder.mkdir(parents=True)
    (folder / "losses.csv").write_text("step,loss\n" + "".join(f"{step},{1 / (1 + step)}\n" for step in range(40)))
    for step in (10, 20, 30):
        Image.fromarray(np.zeros((8, 16, 3), np.uint8)).save(folder / f"samples_{step:06d}.png")
    (folder / "samples_000015.png").write_bytes(b"cut short")
    log = read_tuning(settings, known)
    assert log is not None
    assert [(what, line.last) for what, line in log.curves] == [("training loss", "20")]
    assert [grid.steps for grid in log.grids] == [10, 20]
    (folder / "losses.csv").write_text("step,loss\n1,high\n")
    with pytest.raises(ValueError, match=r"losses.csv, row 2: step and loss are numbers"):
        read_tuning(settings, known)
    assert read_tuning(settings, subject) is None  # its record does not name the images
