"""The table's arithmetic against numbers worked out by hand, and what is left out of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.accuracies import AUGMENTED, DIFFERENCE, PLAIN, Cell, build_report, read_runs
from benchmarks.table import as_text, cell_text, main

NUMBERS = {
    "accuracy_last": 50.0,
    "accuracy_best_on_test": 60.0,
    "mean_class_accuracy": 49.0,
    "ema_accuracy_last": None,
    "ema_accuracy_best_on_test": None,
    "ema_mean_class_accuracy": None,
}


def result(method: str, augment: bool, seed: int, accuracy: float | None, **other: Any) -> dict[str, Any]:
    facts = {"data": "toycars", "labels_per_class": 4, "model": "embedded", "protocol": "benchmark", "steps": 100}
    found = facts | NUMBERS | {"method": method, "augment": augment, "seed": seed, "status": "done"}
    found |= {"labeled_set_id": "abc", "num_synthetic": 960 if augment else 0, "accuracy_last": accuracy}
    return found | {"folder": f"runs/{method}-{augment}-{seed}"} | other


RUNS = [
    result("erm", False, 0, 30.0),
    result("erm", False, 1, 34.0),
    result("erm", True, 0, 41.0),
    result("erm", True, 1, 43.0),
    result("fixmatch", False, 0, 50.0),
    result("fixmatch", False, 1, 51.0),
    result("fixmatch", True, 0, 55.0),
    result("fixmatch", True, 1, 59.0),
]


def test_means_deviations_and_differences() -> None:
    report = build_report(RUNS, "last")
    (table,) = report.tables
    assert table.columns == ("erm", "fixmatch", "mean")
    # a paired t-test with one degree of freedom: p = 1 - 2 arctan(t) / pi, with t = 10 and 6.5 / 1.5
    assert report.notes == (
        "erm: + augmentation against plain +10.0 ± 1.4 over 2 seeds, paired t-test p = 0.063",
        "fixmatch: + augmentation against plain +6.5 ± 2.1 over 2 seeds, paired t-test p = 0.14",
    )
    erm, fixmatch, mean = table.rows[PLAIN]
    assert isinstance(erm, Cell) and isinstance(fixmatch, Cell)
    assert (erm.mean, fixmatch.mean, mean) == (32.0, 50.5, 41.25)
    assert erm.std == pytest.approx(8**0.5) and fixmatch.std == pytest.approx(0.5**0.5)  # n - 1 below
    assert table.rows[AUGMENTED][2] == 49.5
    assert table.rows[DIFFERENCE] == (10.0, 6.5, 8.25)
    for words in ("toycars", "4 labels per class", "embedded", "erm 100", "n = 2 (seeds 0, 1)", "last step"):
        assert words in table.title


def test_each_way_of_mixing_is_a_row_of_its_own() -> None:
    half = [result("erm", True, seed, 50.0 + seed, mix="share 0.5") for seed in (0, 1)]
    (table,) = build_report([*RUNS, *half], "last").tables
    assert list(table.rows) == [
        PLAIN, AUGMENTED, DIFFERENCE, f"{AUGMENTED}, share 0.5", f"{DIFFERENCE}, share 0.5",
    ]  # fmt: skip
    assert table.rows[f"{DIFFERENCE}, share 0.5"] == (18.5, None, None)
    assert table.rows[AUGMENTED][0] == Cell((41.0, 43.0))


def test_columns_come_in_the_papers_order() -> None:
    names = ["softmatch", "flexmatch", "fixmatch", "dst", "self_tuning", "erm", "uda", "pseudo_label"]
    (table,) = build_report([result(name, False, 0, 1.0) for name in names], "last").tables
    assert table.columns == (
        "erm", "pseudo_label", "uda", "fixmatch", "self_tuning", "flexmatch", "dst", "softmatch", "mean",
    )  # fmt: skip


def test_the_plot_is_a_picture_with_a_bar_for_each_cell(tmp_path: Path, runs_folder: Path) -> None:
    main(["--runs", str(runs_folder), "--plot", str(tmp_path / "bars.png")])
    with Image.open(tmp_path / "bars.png") as picture:
        assert picture.format == "PNG" and min(picture.size) > 300
    with pytest.raises(FileExistsError, match="--plot"):
        main(["--runs", str(runs_folder), "--plot", str(tmp_path / "bars.png")])


def test_one_run_has_no_deviation() -> None:
    (table,) = build_report(RUNS[:1], "last").tables
    assert list(table.rows) == [PLAIN]
    cell = table.rows[PLAIN][0]
    assert isinstance(cell, Cell) and cell.std is None and cell_text(cell, 1, PLAIN) == "30.0"
    assert "n = 1 (seed 0)" in table.title


@pytest.mark.parametrize("status", ["running", "stopped at step 7", "failed: loss is nan"])
def test_a_run_that_is_not_done_is_listed_and_never_averaged(status: str) -> None:
    unfinished = result("erm", False, 2, 99.0, status=status)
    report = build_report([*RUNS, unfinished], "last")
    assert report.tables == build_report(RUNS, "last").tables
    (note,) = (note for note in report.notes if note.startswith("not counted"))
    assert status in note and "runs/erm-False-2" in note
    assert status in as_text(report, "markdown")
    assert build_report([unfinished], "last").tables == ()


def test_of_two_runs_of_one_experiment_the_newer_counts_and_is_named() -> None:
    report = build_report([*RUNS, result("erm", False, 0, 36.0, folder="runs/newer")], "last")
    cell = report.tables[0].rows[PLAIN][0]
    assert isinstance(cell, Cell) and sorted(cell.values) == [34.0, 36.0]
    assert report.notes[0] == "not counted: runs/erm-False-0, the newer runs/newer is the same experiment"


def test_a_missing_method_leaves_dashes_and_no_mean_over_others() -> None:
    (table,) = build_report(RUNS[:6], "last").tables  # FixMatch only plain
    assert table.rows[AUGMENTED][1:] == (None, None)
    assert table.rows[DIFFERENCE] == (10.0, None, None)
    assert cell_text(None, 2, AUGMENTED) == "-"


def test_other_data_labels_models_and_protocols_are_tables_of_their_own() -> None:
    others = [
        result("erm", False, 0, 10.0, **{name: value})
        for name, value in (("data", "digits"), ("labels_per_class", 10), ("model", "x"), ("protocol", "paper"))
    ]
    tables = build_report([*RUNS, *others], "last").tables
    assert len(tables) == 5
    assert sum(table.rows[PLAIN][0].mean == 10.0 for table in tables) == 4  # type: ignore[union-attr]


def test_unlike_seeds_steps_and_numbers_of_synthetic_images_are_said() -> None:
    runs = [*RUNS, result("erm", False, 2, 33.0, steps=200), result("erm", True, 3, 40.0, num_synthetic=384)]
    notes = build_report(runs, "last").notes
    assert "erm: plain has seeds [0, 1, 2], + augmentation [0, 1, 3]" in notes
    assert "erm: runs with 100, 200 steps are taken together" in notes
    assert "erm: runs with 384, 960 synthetic images are taken together" in notes


def test_metrics_are_columns_of_the_result() -> None:
    best = build_report(RUNS, "best_on_test").tables[0]
    assert best.rows[PLAIN][0] == Cell((60.0, 60.0)) and "best evaluation on the test set" in best.title
    ema = build_report(RUNS, "ema_last")
    assert ema.tables == () and len(ema.notes) == len(RUNS)


def test_cells_name_their_n_where_it_is_not_the_tables() -> None:
    assert cell_text(Cell((1.0, 3.0)), 2, PLAIN) == "2.0 ± 1.4"
    assert cell_text(Cell((1.0, 3.0)), 3, PLAIN) == "2.0 ± 1.4 (n=2)"
    assert cell_text(2.0, 2, DIFFERENCE) == "+2.0" and cell_text(-2.0, 2, DIFFERENCE) == "-2.0"


def test_formats_hold_the_same_numbers() -> None:
    report = build_report(RUNS, "last")
    markdown = as_text(report, "markdown")
    assert "| + augmentation | 42.0 ± 1.4 | 57.0 ± 2.8 | 49.5 |" in markdown
    assert "| difference | +10.0 | +6.5 | +8.2 |" in markdown
    assert r"+ augmentation & 42.0 $\pm$ 1.4 & 57.0 $\pm$ 2.8 & 49.5 \\" in as_text(report, "latex")
    lines = as_text(report, "csv").splitlines()
    assert lines[0] == "table,row,column,mean,std,n"
    assert any(line.endswith("plain,erm,32.0000,2.8284,2") for line in lines)


@pytest.fixture
def runs_folder(tmp_path: Path) -> Path:
    for number, run in enumerate(RUNS, 1):
        folder = tmp_path / "runs" / f"{number:04d}"
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps(run))
    return tmp_path / "runs"


def test_the_command_prints_and_writes_and_never_overwrites(
    runs_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--runs", str(runs_folder)])
    printed = capsys.readouterr().out
    assert "augmentation" in printed and "42.0 ± 1.4" in printed
    out = tmp_path / "table.md"
    main(["--runs", str(runs_folder), "--format", "markdown", "--out", str(out)])
    assert "| plain |" in out.read_text()
    with pytest.raises(FileExistsError, match="choose another name"):
        main(["--runs", str(runs_folder), "--out", str(out)])


def test_no_runs_and_foreign_files_are_errors_of_one_line(tmp_path: Path, runs_folder: Path) -> None:
    with pytest.raises(ValueError, match=r"no result\.json beneath it; train with python -m benchmarks\.run"):
        main(["--runs", str(tmp_path / "none")])
    with pytest.raises(ValueError, match="--metric"):
        main(["--metric", "best"])
    (runs_folder / "0001" / "result.json").write_text('{"method": "erm"}')
    with pytest.raises(ValueError, match=r"0001/result\.json lacks data, labels_per_class"):
        read_runs(runs_folder)


def test_data_or_weights_of_one_name_are_tables_of_their_own() -> None:
    """image_folder with another data.root, or model.checkpoint with another file."""
    birds, cars = result("erm", False, 0, 90.0, test_id="birds"), result("erm", False, 1, 10.0, test_id="cars")
    assert [table.rows[PLAIN][0] for table in build_report([birds, cars], "last").tables] == [
        Cell((90.0,)),
        Cell((10.0,)),
    ]
    assert len(build_report([birds, birds | {"model_id": "other", "seed": 1}], "last").tables) == 2


def test_sets_and_settings_that_differ_have_rows_of_their_own() -> None:
    def run(augment: bool, steps: int, accuracy: float, mask: float | None = None) -> dict[str, Any]:
        settings = {"train.steps": steps} | ({"set.mask_rate": mask, "set.model_id": "x"} if augment else {})
        return result("erm", augment, 0, accuracy, steps=steps, settings=settings)

    runs = [run(False, 600, 30), run(False, 900, 31), run(True, 600, 40, 0.0), run(True, 600, 44, 0.3)]
    runs.append(run(True, 900, 41, 0.3))
    report = build_report(runs, "last")
    cells = {name: row[0] for name, row in report.tables[0].rows.items()}
    assert cells == {
        "plain, train.steps=600": Cell((30.0,)),
        "plain, train.steps=900": Cell((31.0,)),
        "+ augmentation, set.mask_rate=0.0, train.steps=600": Cell((40.0,)),
        "difference, set.mask_rate=0.0, train.steps=600": 10.0,  # against the plain run of as many steps
        "+ augmentation, set.mask_rate=0.3, train.steps=600": Cell((44.0,)),
        "difference, set.mask_rate=0.3, train.steps=600": 14.0,
        "+ augmentation, set.mask_rate=0.3, train.steps=900": Cell((41.0,)),
        "difference, set.mask_rate=0.3, train.steps=900": 10.0,
    }
    assert "n = 1 (seed 0)" in report.tables[0].title
    assert not any("same experiment" in note for note in report.notes)


def test_runs_are_paired_by_seed_and_split() -> None:
    runs = [
        result("erm", augment, 0, accuracy, labeled_set_id=split)
        for augment, split, accuracy in ((False, "a", 30.0), (False, "b", 36.0), (True, "a", 33.0), (True, "b", 43.0))
    ]
    (note,) = build_report(runs, "last").notes
    assert note.startswith("erm: + augmentation against plain +5.0 ± 2.8 over 2 seeds and splits, paired t-test")
    elsewhere = [run | {"labeled_set_id": "c"} if run["augment"] else run for run in runs[::2]]
    assert build_report(elsewhere, "last").notes[-1] == "erm: plain and + augmentation are of other splits, no test"
