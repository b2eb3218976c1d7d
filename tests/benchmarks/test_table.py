"""The table's arithmetic against numbers worked out by hand, and what is left out of it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from PIL import Image

from benchmarks.table import main
from benchmarks.table_plot import plot
from benchmarks.table_text import as_text, print_report
from ssl_aug.results.accuracies import IN_PARENTHESES, Cell, Kind, Table, build_report, read_runs
from ssl_aug.results.cells import cell_text
from ssl_aug.results.result import RunResult
from ssl_aug.results.significance import difference_interval, wilson_interval


def result(method: str, augment: bool, seed: int, accuracy: float | None, **other: Any) -> RunResult:
    facts: dict[str, Any] = {
        "data": "toycars", "labels_per_class": 4, "model": "embedded", "protocol": "benchmark", "steps": 100,
        "labeled_set_id": "abc", "num_synthetic": 960 if augment else 0, "status": "done",
        "accuracy_best_on_test": 60.0, "num_test": 1000,
    }  # fmt: skip
    return RunResult(**facts | {"method": method, "augment": augment, "seed": seed, "accuracy_last": accuracy} | other)


def in_folders(*results: RunResult) -> dict[Path, RunResult]:
    """The results as if they had been read, oldest first."""
    return {Path(f"runs/{number:04d}-{run.method}"): run for number, run in enumerate(results, 1)}


def row(table: Table, label: str) -> tuple[Cell | float | None, ...]:
    """The cells of the row with this label."""
    (cells,) = (each.cells for each in table.rows if each.label == label)
    return cells


PLAIN, AUGMENTED, DIFFERENCE = (kind.value for kind in Kind)
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
    report = build_report(in_folders(*RUNS), "last")
    (table,) = report.tables
    assert table.columns == ("erm", "fixmatch", "mean")
    # a paired t-test with one degree of freedom: p = 1 - 2 arctan(t) / pi, with t = 10 and 6.5 / 1.5
    assert report.notes == (
        "erm: + augmentation against plain +10.0 ± 1.4 over 2 seeds, paired t-test p = 0.063; by 1000 test images +5.8 "
        "to +14.2 (95 %)",
        "fixmatch: + augmentation against plain +6.5 ± 2.1 over 2 seeds, paired t-test p = 0.14; by 1000 test images "
        "+2.1 to +10.8 (95 %)",
    )
    erm, fixmatch, mean = row(table, PLAIN)
    assert isinstance(erm, Cell) and isinstance(fixmatch, Cell)
    assert (erm.mean, fixmatch.mean, mean) == (32.0, 50.5, 41.25)
    assert erm.std == pytest.approx(8**0.5) and fixmatch.std == pytest.approx(0.5**0.5)  # n - 1 below
    assert row(table, AUGMENTED)[2] == 49.5
    assert row(table, DIFFERENCE) == (10.0, 6.5, 8.25)
    for words in ("toycars", "4 labels per class", "embedded", "erm 100", "n = 2 (seeds 0, 1)", "last step"):
        assert words in table.title


@pytest.mark.parametrize(
    ("data", "folder", "world"),
    [("toycars", "", "embedded world toycars"), ("digits", "", "handwritten digits"), ("csv", "mine", "csv mine")],
)
def test_a_title_begins_with_what_the_images_are(data: str, folder: str, world: str) -> None:
    run = replace(RUNS[0], data=data, data_folder=folder)
    (table,) = build_report(in_folders(run), "last").tables
    assert table.title.startswith(world)


def test_each_way_of_mixing_is_a_row_of_its_own() -> None:
    half = [result("erm", True, seed, 50.0 + seed, mix="share 0.5") for seed in (0, 1)]
    (table,) = build_report(in_folders(*RUNS, *half), "last").tables
    assert [each.label for each in table.rows] == [
        PLAIN, AUGMENTED, DIFFERENCE, f"{AUGMENTED}, share 0.5", f"{DIFFERENCE}, share 0.5",
    ]  # fmt: skip
    assert row(table, f"{DIFFERENCE}, share 0.5") == (18.5, None, None)
    assert row(table, AUGMENTED)[0] == Cell((41.0, 43.0))


def test_columns_come_in_the_papers_order() -> None:
    names = ["softmatch", "flexmatch", "fixmatch", "dst", "self_tuning", "erm", "uda", "pseudo_label"]
    (table,) = build_report(in_folders(*(result(name, False, 0, 1.0) for name in names)), "last").tables
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
    (table,) = build_report(in_folders(*RUNS[:1]), "last").tables
    assert [each.label for each in table.rows] == [PLAIN]
    cell = row(table, PLAIN)[0]
    assert isinstance(cell, Cell) and cell.std is None and cell_text(cell, 1, Kind.PLAIN) == "30.0"
    assert "n = 1 (seed 0)" in table.title


@pytest.mark.parametrize("status", ["running", "stopped at step 7", "failed: loss is nan"])
def test_a_run_that_is_not_done_is_listed_and_never_averaged(status: str) -> None:
    unfinished = result("erm", False, 2, 99.0, status=status)
    report = build_report(in_folders(*RUNS, unfinished), "last")
    assert report.tables == build_report(in_folders(*RUNS), "last").tables
    (note,) = (note for note in report.notes if note.startswith("not counted"))
    assert status in note and "runs/0009-erm (erm, seed 2)" in note
    assert status in as_text(report, "markdown")
    assert build_report(in_folders(unfinished), "last").tables == ()


def test_of_two_runs_of_one_experiment_the_newer_counts_and_is_named() -> None:
    report = build_report(in_folders(*RUNS, result("erm", False, 0, 36.0)), "last")
    cell = row(report.tables[0], PLAIN)[0]
    assert isinstance(cell, Cell) and sorted(cell.values) == [34.0, 36.0]
    assert report.notes[0] == "not counted: runs/0001-erm, the newer runs/0009-erm is the same experiment"


def test_a_missing_method_leaves_dashes_and_no_mean_over_others() -> None:
    (table,) = build_report(in_folders(*RUNS[:6]), "last").tables  # FixMatch only plain
    assert row(table, AUGMENTED)[1:] == (None, None)
    assert row(table, DIFFERENCE) == (10.0, None, None)
    assert cell_text(None, 2, Kind.AUGMENTED) == "-"


def test_other_data_labels_models_and_protocols_are_tables_of_their_own() -> None:
    others = [
        result("erm", False, 0, 10.0, **{name: value})
        for name, value in (("data", "digits"), ("labels_per_class", 10), ("model", "x"), ("protocol", "paper"))
    ]
    tables = build_report(in_folders(*RUNS, *others), "last").tables
    assert len(tables) == 5
    assert sum(row(table, PLAIN)[0].mean == 10.0 for table in tables) == 4  # type: ignore[union-attr]


def test_unlike_seeds_steps_and_numbers_of_synthetic_images_are_said() -> None:
    runs = [*RUNS, result("erm", False, 2, 33.0, steps=200), result("erm", True, 3, 40.0, num_synthetic=384)]
    notes = build_report(in_folders(*runs), "last").notes
    assert any(note.startswith("erm: plain has seeds [0, 1, 2], + augmentation [0, 1, 3]; by 1000") for note in notes)
    assert "erm: runs with 100, 200 steps are taken together" in notes
    assert "erm: runs with 384, 960 synthetic images are taken together" in notes


def test_metrics_are_columns_of_the_result() -> None:
    best = build_report(in_folders(*RUNS), "best_on_test").tables[0]
    assert row(best, PLAIN)[0] == Cell((60.0, 60.0)) and "best evaluation on the test set" in best.title
    ema = build_report(in_folders(*RUNS), "ema_last")
    assert ema.tables == () and len(ema.notes) == len(RUNS)


def test_cells_name_their_n_where_it_is_not_the_tables() -> None:
    assert cell_text(Cell((1.0, 3.0)), 2, Kind.PLAIN) == "2.0 ± 1.4"
    assert cell_text(Cell((1.0, 3.0)), 3, Kind.PLAIN) == "2.0 ± 1.4 (n=2)"
    assert cell_text(2.0, 2, Kind.DIFFERENCE) == "+2.0" and cell_text(-2.0, 2, Kind.DIFFERENCE) == "-2.0"


def test_formats_hold_the_same_numbers() -> None:
    report = build_report(in_folders(*RUNS), "last")
    markdown = as_text(report, "markdown")
    assert "| + augmentation | 42.0 ± 1.4 | 57.0 ± 2.8 | 49.5 |" in markdown
    assert "| difference | +10.0 | +6.5 | +8.2 |" in markdown
    assert r"+ augmentation & 42.0 $\pm$ 1.4 & 57.0 $\pm$ 2.8 & 49.5 \\" in as_text(report, "latex")
    lines = as_text(report, "csv").splitlines()
    assert lines[0] == "table,row,column,mean,std,n"
    assert any(line.endswith("plain,erm,32.0000,2.8284,2") for line in lines)


TITLE = (
    "embedded world toycars, 4 labels per class, embedded, protocol benchmark: test accuracy (%) after the last step, "
    "of 1000 test images; steps: erm 100, fixmatch 100; n = 2 (seeds 0, 1)"
)
NOTES = (
    "not counted: runs/0007-erm (erm, seed 2): running",
    "erm: + augmentation against plain +10.0 ± 1.4 over 2 seeds, paired t-test p = 0.063; by 1000 test images +5.8 to "
    "+14.2 (95 %)",
    "erm: plain has seeds [0, 1], + augmentation, share 0.5 [0]; by 1000 test images +13.7 to +22.2 (95 %)",
)
MARKDOWN = f"""\
{TITLE}

|  | erm | fixmatch | mean |
| --- | ---: | ---: | ---: |
| plain | 32.0 ± 2.8 | 50.0 [46.9, 53.1] (n=1) | 41.0 |
| + augmentation | 42.0 ± 1.4 | - | - |
| difference | +10.0 | - | - |
| + augmentation, share 0.5 | 50.0 [46.9, 53.1] (n=1) | - | - |
| difference, share 0.5 | +18.0 | - | - |

- {NOTES[0]}
- {NOTES[1]}
- {NOTES[2]}
"""
CSV = f"""\
table,row,column,mean,std,n
"{TITLE}",plain,erm,32.0000,2.8284,2
"{TITLE}",plain,fixmatch,50.0000,,1
"{TITLE}",plain,mean,41.0000,,
"{TITLE}",+ augmentation,erm,42.0000,1.4142,2
"{TITLE}",difference,erm,10.0000,,
"{TITLE}","+ augmentation, share 0.5",erm,50.0000,,1
"{TITLE}","difference, share 0.5",erm,18.0000,,
"{NOTES[0]}",,,,,
"{NOTES[1]}",,,,,
"{NOTES[2]}",,,,,
"""
LATEX = rf"""% {TITLE}
\begin{{tabular}}{{lrrr}}
\hline
 & erm & fixmatch & mean \\
\hline
plain & 32.0 $\pm$ 2.8 & 50.0 [46.9, 53.1] (n=1) & 41.0 \\
+ augmentation & 42.0 $\pm$ 1.4 & - & - \\
difference & +10.0 & - & - \\
+ augmentation, share 0.5 & 50.0 [46.9, 53.1] (n=1) & - & - \\
difference, share 0.5 & +18.0 & - & - \\
\hline
\end{{tabular}}

% {NOTES[0]}

% {NOTES[1]}

% {NOTES[2]}
"""


@pytest.mark.parametrize(("form", "expected"), [("markdown", MARKDOWN), ("csv", CSV), ("latex", LATEX)])
def test_texts_stay_as_they_are_to_the_letter(form: str, expected: str) -> None:
    """Other programs read them, and texts of two versions are compared."""
    others = [result("erm", True, 0, 50.0, mix="share 0.5"), result("erm", False, 2, 9.0, status="running")]
    runs = in_folders(*RUNS[:4], result("fixmatch", False, 0, 50.0), *others)
    assert as_text(build_report(runs, "last"), form) == expected


@pytest.fixture
def runs_folder(tmp_path: Path) -> Path:
    for number, run in enumerate(RUNS, 1):
        folder = tmp_path / "runs" / f"{number:04d}"
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps(asdict(run)))
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
    with pytest.raises(ValueError, match="unrecognized arguments: --run"):  # no short form of --runs
        main(["--run", "runs"])
    with pytest.raises(ValueError, match="--metric"):
        main(["--metric", "best"])
    (runs_folder / "0001" / "result.json").write_text('{"method": "erm"}')
    with pytest.raises(ValueError, match=r"0001/result\.json lacks status, augment, .*: it is not a result of"):
        read_runs(runs_folder)
    (runs_folder / "0001" / "result.json").write_text("[]")
    with pytest.raises(ValueError, match=r"0001/result\.json is damaged, it holds no JSON object"):
        read_runs(runs_folder)


def test_data_or_weights_of_one_name_are_tables_of_their_own() -> None:
    """image_folder with another data.root, or model.checkpoint with another file."""
    birds, cars = result("erm", False, 0, 90.0, test_id="birds"), result("erm", False, 1, 10.0, test_id="cars")
    assert [row(table, PLAIN)[0] for table in build_report(in_folders(birds, cars), "last").tables] == [
        Cell((90.0,)),
        Cell((10.0,)),
    ]
    assert len(build_report(in_folders(birds, replace(birds, model_id="other", seed=1)), "last").tables) == 2


def test_drawn_and_imported_sets_are_named_by_what_tells_their_own_kind_apart() -> None:
    drawn = {"set.generator.name": "ldm", "set.condition": "borrowed", "set.steps": 20}
    imported = {"set.imported": True}
    runs = [result("erm", True, 0, 50.0, settings=drawn)]
    runs += [result("erm", True, 0, 40.0, settings=imported | {"set.made_by": name}) for name in ("copies", "a GAN")]
    rows = [each.label for each in build_report(in_folders(*runs), "last").tables[0].rows]
    assert rows == [AUGMENTED, f"{AUGMENTED}, set.made_by=a GAN", f"{AUGMENTED}, set.made_by=copies"]
    alone = [each.label for each in build_report(in_folders(runs[0], runs[1]), "last").tables[0].rows]
    assert alone == [f"{AUGMENTED}, set.generator.name=ldm", f"{AUGMENTED}, set.made_by=copies"]


def test_sets_and_settings_that_differ_have_rows_of_their_own() -> None:
    def run(augment: bool, steps: int, accuracy: float, mask: float | None = None) -> RunResult:
        settings = {"train.steps": steps} | ({"set.mask_rate": mask, "set.model_id": "x"} if augment else {})
        return result("erm", augment, 0, accuracy, steps=steps, settings=settings)

    runs = [run(False, 600, 30), run(False, 900, 31), run(True, 600, 40, 0.0), run(True, 600, 44, 0.3)]
    runs.append(run(True, 900, 41, 0.3))
    report = build_report(in_folders(*runs), "last")
    cells = {each.label: each.cells[0] for each in report.tables[0].rows}
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


def test_intervals_over_test_images_are_those_of_the_papers() -> None:
    """Wilson's for 10 and 40 of 100, and Newcombe's for their difference, worked out by hand."""
    assert wilson_interval(10.0, 100) == pytest.approx((5.52, 17.44), abs=0.01)
    assert wilson_interval(40.0, 100) == pytest.approx((30.94, 49.80), abs=0.01)
    assert difference_interval(10.0, 40.0, 100) == pytest.approx((18.27, 40.78), abs=0.01)
    assert wilson_interval(100.0, 8)[1] == pytest.approx(100)


def test_rows_whose_settings_were_chosen_for_each_are_compared_and_the_note_says_what_differs() -> None:
    steps = {"train.steps": 400, "data.validation_per_class": 0}
    plain = [
        result("erm", False, seed, 40.0 + seed, settings=steps | {"train.learning_rate": 0.001}) for seed in (0, 1)
    ]
    after = [result("erm", True, seed, 50.0 + seed, settings=steps | {"train.learning_rate": 0.003}) for seed in (0, 1)]
    report = build_report(in_folders(*plain, *after), "last")
    assert row(report.tables[0], DIFFERENCE)[0] == pytest.approx(10.0)
    said = "erm: plain runs with train.learning_rate=0.001, those with augmentation with train.learning_rate=0.003"
    assert said in report.notes

    def rows(*runs: RunResult) -> list[str]:
        return [each.label for each in build_report(in_folders(*runs), "last").tables[0].rows]

    of_two_kinds = [*plain, result("erm", False, 0, 40.0, settings=steps | {"train.learning_rate": 0.01})]
    longer = [replace(run, settings={**run.settings, "train.steps": 800}) for run in after]
    other_data = [replace(run, settings={**run.settings, "data.validation_per_class": 8}) for run in after]
    assert not any(DIFFERENCE in label for label in rows(*of_two_kinds, *after))  # which of them is not said
    assert not any(DIFFERENCE in label for label in rows(*plain, *longer) + rows(*plain, *other_data))


def test_accuracies_on_validation_images_have_a_table_of_their_own() -> None:
    found = result("erm", False, 0, 40.0, validation_accuracy_last=44.0, num_validation=384)
    (table,) = build_report(in_folders(found), "validation").tables
    assert row(table, PLAIN)[0] == Cell((44.0,)) and table.num_images == 384
    assert "accuracy (%) on validation images after the last step, of 384 validation images" in table.title
    report = build_report(in_folders(result("erm", False, 0, 40.0)), "validation")
    assert report.tables == () and "data.validation_per_class is 0" in report.notes[0]


@pytest.mark.parametrize(
    ("gains", "num_test", "said"),
    [
        ([12.5], 8, "(+12.5)"),  # one photo of eight
        ([12.5], None, "(+12.5)"),
        ([12.5], 1000, "+12.5"),
        ([2.0], 1000, "(+2.0)"),
        ([12.0, 13.0], 8, "(+12.5)"),
        ([12.0, 13.0, 12.5], 8, "(+12.5)"),  # the same eight each time
        ([12.5, 12.5, 12.5], 8, "(+12.5)"),
        ([2.0, 2.1, 1.9], 1000, "+2.0"),  # small, and the same with every seed
        ([-9.0, 15.0, 0.0], 1000, "(+2.0)"),
    ],
)
def test_a_difference_that_may_be_chance_stands_in_parentheses(
    gains: list[float], num_test: int | None, said: str
) -> None:
    pairs = [
        result("erm", augment, seed, 50.0 + augment * gain, num_test=num_test)
        for seed, gain in enumerate(gains)
        for augment in (False, True)
    ]
    report = build_report(in_folders(*pairs), "last")
    assert f"| difference | {said} | {said} |" in as_text(report, "markdown")
    assert (IN_PARENTHESES in report.notes) == said.startswith("(")


def test_the_title_says_of_how_many_test_images() -> None:
    report = build_report(in_folders(result("erm", False, 0, 37.5, num_test=8)), "last")
    assert "of 8 test images" in report.tables[0].title
    assert "| plain | 37.5 [13.7, 69.4] | 37.5 |" in as_text(report, "markdown")


def test_a_row_and_its_note_round_a_difference_alike() -> None:
    accuracies = ((False, 0, 33.3), (False, 1, 36.5), (True, 0, 44.5), (True, 1, 46.6))  # 10.65 apart, but for rounding
    report = build_report(in_folders(*(result("erm", *run) for run in accuracies)), "last")
    assert "| difference | +10.6 |" in as_text(report, "markdown")
    assert report.notes[0].startswith("erm: + augmentation against plain +10.6 ± ")


def test_a_search_tells_chance_by_its_validation_images() -> None:
    runs = [
        replace(result("erm", augment, 0, 99.0), num_validation=400, validation_accuracy_last=accuracy)
        for augment, accuracy in ((False, 40.0), (True, 50.0))
    ]
    report = build_report(in_folders(*runs), "validation")
    assert "of 400 validation images" in report.tables[0].title
    assert report.notes == (
        "erm: + augmentation against plain: one seed, no test; by 400 validation images +3.1 to +16.8 (95 %)",
    )


def test_runs_are_paired_by_seed_and_split() -> None:
    runs = [
        result("erm", augment, 0, accuracy, labeled_set_id=split, split_seed="ab".index(split))
        for augment, split, accuracy in ((False, "a", 30.0), (False, "b", 36.0), (True, "a", 33.0), (True, "b", 43.0))
    ]
    report = build_report(in_folders(*runs), "last")
    assert "n = 2 (seed 0; splits 0, 1)" in report.tables[0].title
    (note,) = report.notes
    assert note.startswith("erm: + augmentation against plain +5.0 ± 2.8 over 2 seeds and splits, paired t-test")
    elsewhere = [replace(run, labeled_set_id="c") if run.augment else run for run in runs[::2]]
    assert (
        build_report(in_folders(*elsewhere), "last").notes[0]
        == "erm: plain and + augmentation are of other splits, no test; by 1000 test images -1.1 to +7.1 (95 %)"
    )


TEN = (
    "debiasmatch",
    "dst",
    "erm",
    "fixmatch",
    "flexmatch",
    "freematch",
    "pseudo_label",
    "self_tuning",
    "softmatch",
    "uda",
)


@pytest.mark.parametrize("width", [200, 80, 40])
def test_ten_methods_are_read_whole_on_any_terminal(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    runs = [result(name, augment, seed, 30.0 + seed) for name in TEN for augment in (False, True) for seed in (0, 1)]
    print_report(build_report(in_folders(*runs), "last"))
    drawn = [line for line in capsys.readouterr().out.splitlines() if line[:1] in "┏┃┡│└"]
    text = "\n".join(drawn)
    assert all(name in text for name in (*TEN, "plain", "+ augmentation", "difference", "30.5 ± 0.7"))
    assert "…" not in text
    assert max(len(line) for line in drawn) <= width


def test_two_folders_of_photos_have_titles_of_their_own() -> None:
    runs = [
        result("erm", False, 0, 30.0, data="image_folder", data_folder=name, test_id=name)
        for name in ("birds", "mushrooms")
    ]
    titles = [table.title for table in build_report(in_folders(*runs), "last").tables]
    assert [title.partition(",")[0] for title in titles] == ["image_folder birds", "image_folder mushrooms"]


def test_a_single_run_has_no_error_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    monkeypatch.setattr(Axes, "errorbar", lambda self, at, *_, **__: drawn.append(len(at)))
    plot(build_report(in_folders(*RUNS[:2], result("uda", False, 0, 20.0)), "last"), tmp_path / "table.png")
    assert drawn == [1]  # ERM's two runs; UDA's one and the mean have none
