"""The accuracies of classifiers that were trained with a set, and without it on the same labeled images."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ssl_aug.made_by import read_command
from ssl_aug.reporting.charts import BarPlot, bar_plot
from ssl_aug.reporting.subject import Subject
from ssl_aug.results.accuracies import Table, build_report, read_runs
from ssl_aug.results.cells import lines_of
from ssl_aug.results.result import RESULT, RunResult
from ssl_aug.synthetic import SyntheticSet, best_of_each_class

METRIC = "last"
BEST = re.compile(r"\bbest ([\d.]+)")  # of mix.keep_share, in a result's mix


@dataclass(frozen=True)
class AccuracyTable:
    """A table in words, and its plot."""

    table: Table
    lines: tuple[tuple[str, ...], ...]  # each row's label and cells
    plot: BarPlot


@dataclass(frozen=True)
class Accuracies:
    """What the runs of a set came to; no tables where there are none."""

    folder: Path
    tables: tuple[AccuracyTable, ...]
    notes: tuple[str, ...]
    commands: tuple[str, ...]  # that made the runs


def read_accuracies(folder: Path, subject: Subject, is_asked: bool) -> Accuracies:
    """The runs beneath a folder that are the set's own, as `benchmarks.table` takes them together.

    Args:
        is_asked: whether the folder was named, so that it has to hold runs.

    Raises:
        ValueError: it was and holds none, or a result is damaged.
    """
    if not is_asked and next(folder.glob(f"**/{RESULT}"), None) is None:
        return Accuracies(folder, (), (), ())
    runs = read_runs(folder)
    own = {path: run for path, run in runs.items() if is_of(run, subject)}
    left = len(runs) - len(own)
    others = f"{left} of {len(runs)} runs are not shown: they had other labeled or other synthetic images."
    report = build_report(own, METRIC)
    tables = tuple(
        AccuracyTable(table, tuple(tuple(line) for line in lines_of(table)), bar_plot(table)) for table in report.tables
    )
    commands = dict.fromkeys(command for path in own if (command := read_command(path)) is not None)
    return Accuracies(folder, tables, (*report.notes, *([others] if left else [])), tuple(commands))


def is_of(run: RunResult, subject: Subject) -> bool:
    """Whether a run was trained with this set, or on the same labeled images without any."""
    if run.labeled_set_id != subject.record["labeled_set_id"]:
        return False
    return not run.augment or any(run.synthetic_set_id == _id_of(each, run) for each in (subject.kept, subject.drawn))


def _id_of(synthetic: SyntheticSet, run: RunResult) -> str:
    """What a run calls this set, of which it took so many images of each labeled one, or the best ones."""
    per_sample, best = run.settings.get("per_sample"), BEST.search(run.mix)
    taken = synthetic if per_sample is None else synthetic.first(per_sample)
    return best_of_each_class(taken, float(best[1])).id if best else taken.id
