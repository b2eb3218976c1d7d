"""What the pages on accuracies say is what the kept runs' results give."""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

import pytest

from benchmarks import table
from benchmarks.interface import read_runs
from tests.repository.test_documents import OWN_MACHINE, RESULTS, ROOT, module_of

RUNS = RESULTS / "runs"
TABLES = {  # page -> folders of kept runs whose tables it shows or quotes
    "docs/results/accuracy.md": ("ten_methods", "splits", "published_rate", "varied"),
    "docs/results/ablations.md": ("ablations",),
    "docs/results/photos.md": ("photos", "photos_rate", "photos_beside"),
    "docs/results/digits.md": ("digits",),
    "docs/results/masks_and_conditions.md": ("varied", "beside", "ten_methods", "ablations"),
    "docs/results/README.md": ("ten_methods", "splits", "beside", "clip", "digits", "photos_beside"),
    "README.md": ("ten_methods", "splits", "clip"),
}
FIGURE = re.compile(r"[+-]?\d+\.\d ± \d+\.\d")  # an accuracy or a difference with its deviation


def figures(text: str) -> set[str]:
    return set(FIGURE.findall(text))


def test_all_are_done_and_name_no_path_of_the_machine() -> None:
    for folder, run in read_runs(RUNS).items():
        assert run.is_done, folder
        assert not OWN_MACHINE.findall((folder / "result.json").read_text()), folder


def print_ablations(plot: Path) -> None:
    module_of(RESULTS / "scripts" / "ablations.py").tell(RUNS / "ablations", "2,3,4", plot)


@pytest.mark.parametrize("page", TABLES)
def test_every_figure_of_a_page_is_in_the_tables_of_its_runs(
    page: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for runs in TABLES[page]:
        if runs == "ablations":
            print_ablations(tmp_path / "plot.png")
        else:
            table.main(["--runs", str(RUNS / runs), "--format", "markdown"])
    said = figures((ROOT / page).read_text())
    assert said and said <= figures(capsys.readouterr().out)


def test_tables_of_accuracies_stand_as_they_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    page = (RESULTS / "accuracy.md").read_text().splitlines()
    for runs in ("ten_methods", "splits", "published_rate", "demo", "main_job"):
        table.main(["--runs", str(RUNS / runs), "--format", "markdown"])
    printed = capsys.readouterr().out.splitlines()
    assert printed and not set(printed) - set(page)


def test_the_table_beside_drawings_is_its_scripts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [str(RUNS / name) for name in ("ten_methods", "beside", "clip")]
    monkeypatch.setattr(sys, "argv", ["beside_drawings.py", *folders])
    module_of(RESULTS / "scripts" / "beside_drawings.py").main()
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) > 15 and printed in (RESULTS / "beside_drawings.md").read_text()


def test_the_ablations_are_their_scripts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_ablations(tmp_path / "plot.png")
    tables = [part.strip() for part in capsys.readouterr().out.split("\n\n")]
    page = (RESULTS / "ablations.md").read_text()
    assert len(tables) == 7 and all(part in page for part in tables)


def test_the_gains_by_labeled_set_are_their_scripts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gain_by_set.py", str(RUNS / "splits")])
    module_of(RESULTS / "scripts" / "gain_by_set.py").main()
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) > 8 and printed in (RESULTS / "accuracy.md").read_text()
    least, most = re.findall(r"[+-]\d+\.\d", printed.splitlines()[-2])[:2]  # of ERM
    assert f"between {least} and {most} points" in (ROOT / "README.md").read_text()


def test_the_readme_names_what_its_commands_ended_with(capsys: pytest.CaptureFixture[str]) -> None:
    readme = " ".join((ROOT / "README.md").read_text().split())

    def accuracies(runs: str, method: str) -> list[str]:
        done = sorted(read_runs(RUNS / runs).values(), key=lambda run: run.augment)
        return [f"{run.accuracy_last:.1f}" for run in done if run.method == method]

    plain, drawn = accuracies("demo", "erm")
    assert f"ERM at {plain} % without and {drawn} % with synthetic images" in readme
    plain, drawn = accuracies("demo", "fixmatch")
    assert f"FixMatch at {plain} and {drawn} %" in readme
    table.main(["--runs", str(RUNS / "main_job"), "--format", "markdown"])
    told = re.findall(r"images \| (\d+\.\d) % (\[[\d., ]+\])", readme)
    printed = capsys.readouterr().out
    assert len(told) == 2 and all(f"| {share} {interval} |" in printed for share, interval in told)


def test_the_class_shares_of_drawings_are_those_of_the_evaluations_kept() -> None:
    page = (RESULTS / "generator.md").read_text()
    told = set(re.findall(r"\| (\d+\.\d \[\d+\.\d, \d+\.\d\])", page))
    kept = set()
    for file in (RUNS / "generator").glob("*.csv"):
        for row in csv.DictReader(file.read_text().splitlines()):
            if not row.get("class_share"):  # drawn from a text
                continue
            share, low, high = (100 * float(row[f"class_share{end}"]) for end in ("", "_low", "_high"))
            kept.add(f"{share:.1f} [{low:.1f}, {high:.1f}]")
    assert len(told) > 8 and told <= kept
