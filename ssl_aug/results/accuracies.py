"""Accuracies of finished runs: which are repetitions of one run, their means, differences and paired tests."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ssl_aug.data.settings import labels_told
from ssl_aug.results.alike import differing, only_plain_of, plain_of, varying_settings
from ssl_aug.results.metrics import METRICS, ON_VALIDATION, TITLES
from ssl_aug.results.result import RESULT, RunResult
from ssl_aug.results.significance import compared

IN_PARENTHESES = (
    "in parentheses: differences that may be chance (p of 0.05 or more; with fewer than 3 seeds or 100 images, 0 in "
    "the interval over images)"
)
# Columns come in the order of the paper's table, then the others by name.
ORDER = ("erm", "pseudo_label", "uda", "fixmatch", "self_tuning", "flexmatch")
# What a title calls the images that come with the package; others by their dataset and folder.
WORLDS = {"toycars": "embedded world toycars", "digits": "handwritten digits"}


@dataclass(frozen=True)
class Cell:
    """Accuracies of one method over seeds, in percent."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def std(self) -> float | None:
        """Sample standard deviation; one value has none."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


class Kind(StrEnum):
    """What a row holds; the text is how its label begins."""

    PLAIN = "plain"
    AUGMENTED = "+ augmentation"
    DIFFERENCE = "difference"  # of the augmented row above it and the plain row with the same settings


@dataclass(frozen=True)
class Row:
    """A cell or a number per column; None where there is no run."""

    kind: Kind
    label: str
    cells: tuple[Cell | float | None, ...]
    unsure: frozenset[int] = frozenset()  # columns of differences that may be chance


@dataclass(frozen=True)
class Table:
    """Accuracies on the same data with the same model: a column per method, and their mean."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    num_images: int | None = None  # images that every accuracy is a share of; None where results do not say


@dataclass(frozen=True)
class Report:
    """All tables, and a line for everything that is not in them."""

    tables: tuple[Table, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, order=True)
class Setup:
    """What the runs of one row share, beside their table's data and model."""

    augment: bool
    mix: str
    differing: str  # `set.mask_rate=0.3`: settings in which other runs of the method differ; "" where none do

    def label(self, kind: Kind) -> str:
        """The row's label."""
        return kind + "".join(f", {words}" for words in (self.mix, self.differing) if words)


def read_runs(folder: Path) -> dict[Path, RunResult]:
    """The result of every run beneath `folder`, by the run's folder, oldest first.

    Raises:
        ValueError: there is none, or one is not readable.
    """
    paths = sorted(folder.glob(f"**/{RESULT}"), key=lambda path: (path.stat().st_mtime, str(path)))
    if not paths:
        raise ValueError(f"--runs {folder}: no {RESULT} beneath it; train with python -m benchmarks.run runs={folder}")
    return {path.parent: RunResult.read(path) for path in paths}


def build_report(runs: Mapping[Path, RunResult], metric: str) -> Report:
    """Tables of the runs that are done; `runs` are oldest first, the newest of equal ones counts."""
    notes: list[str] = []
    groups: dict[tuple[Any, ...], list[RunResult]] = {}
    for run in _counted(runs, metric, notes):
        groups.setdefault(_group(run), []).append(run)
    tables = tuple(_table(group, metric, notes) for _, group in sorted(groups.items(), key=lambda item: str(item[0])))
    if any(row.unsure for table in tables for row in table.rows):
        notes.append(IN_PARENTHESES)
    return Report(tables, tuple(notes))


def _counted(runs: Mapping[Path, RunResult], metric: str, notes: list[str]) -> list[RunResult]:
    """The runs that have the accuracy, of equal ones the newest; a note on each of the others."""
    newest: dict[tuple[Any, ...], Path] = {}
    for folder, run in runs.items():
        if not run.is_done:
            notes.append(f"not counted: {folder} ({run.method}, seed {run.seed}): {run.status}")
        elif _accuracy(run, metric) is None:
            setting = "data.validation_per_class" if metric in ON_VALIDATION else "train.ema_decay"
            notes.append(f"not counted: {folder} has no {METRICS[metric]} ({setting} is 0)")
        else:
            own = (run.method, run.augment, run.mix, run.seed, run.labeled_set_id, str(sorted(run.settings.items())))
            key = (*_group(run), *own)
            if key in newest:
                notes.append(f"not counted: {newest[key]}, the newer {folder} is the same experiment")
            newest[key] = folder
    return [runs[folder] for folder in newest.values()]


def _accuracy(run: RunResult, metric: str) -> Any:
    """In percent; None where the run has none of this metric."""
    return getattr(run, METRICS[metric])


def _images(run: RunResult, metric: str) -> tuple[int | None, str]:
    """Number of those which the accuracy is a share of, None where the result does not say, and their kind."""
    return (run.num_validation, "validation") if metric == "validation" else (run.num_test, "test")


def _group(run: RunResult) -> tuple[Any, ...]:
    """What the runs of a table agree in; `test_id` and `model_id` tell data and weights of one name apart."""
    return (run.data, run.labels_per_class, run.model, run.protocol, run.test_id, run.model_id)


def _table(runs: Sequence[RunResult], metric: str, notes: list[str]) -> Table:
    methods = sorted({run.method for run in runs}, key=lambda name: (*(name != known for known in ORDER), name))
    alike: dict[tuple[str, bool], list[RunResult]] = {}
    for run in runs:
        alike.setdefault((run.method, run.augment), []).append(run)
    varying = {own: varying_settings(found) for own, found in alike.items()}
    by_setup: dict[Setup, dict[str, list[RunResult]]] = {}
    for run in runs:
        setup = Setup(run.augment, run.mix, differing(run, varying[run.method, run.augment]))
        by_setup.setdefault(setup, {method: [] for method in methods})[run.method].append(run)
    _note_unequal(runs, methods, notes)
    rows: list[Row] = []
    for setup in sorted(by_setup):
        found = by_setup[setup]
        kind = Kind.AUGMENTED if setup.augment else Kind.PLAIN
        cells = [Cell(tuple(_accuracy(run, metric) for run in own)) if own else None for own in found.values()]
        mean = _mean([cell.mean if cell else None for cell in cells])
        rows.append(Row(kind, setup.label(kind), (*cells, mean)))
        if setup.augment:
            plain = {method: plain_of(own, alike.get((method, False), [])) for method, own in found.items()}
            for method, own in found.items():
                if not plain[method]:
                    plain[method], told = only_plain_of(own, alike.get((method, False), []))
                    notes += [f"{method}: {told}"] if told else []
            rows += _difference(setup, plain, found, metric, notes)
    num_runs = max(len(own) for found in by_setup.values() for own in found.values())
    return Table(_title(runs, metric, num_runs), (*methods, "mean"), tuple(rows), _images(runs[0], metric)[0])


def _difference(
    setup: Setup,
    plain: Mapping[str, Sequence[RunResult]],
    augmented: Mapping[str, Sequence[RunResult]],
    metric: str,
    notes: list[str],
) -> list[Row]:
    """The row of differences of means, with a note on each; no row where no method has both kinds of runs.

    Args:
        plain: runs by method.
        augmented: runs of the same methods, with this setup.
    """
    differences: list[float | None] = []
    unsure = set()
    for column, (method, after) in enumerate(augmented.items()):
        before = plain[method]
        if not (before and after):
            differences.append(None)
            continue
        means = [statistics.fmean(_accuracy(run, metric) for run in own) for own in (before, after)]
        differences.append(means[1] - means[0])
        by_pair = [{(run.seed, run.labeled_set_id): _accuracy(run, metric) for run in own} for own in (before, after)]
        found = compared(setup.label(Kind.AUGMENTED), by_pair[0], by_pair[1], *_images(after[0], metric))
        notes.append(f"{method}: {found.line}")
        if not found.is_carried:
            unsure.add(column)
    if all(difference is None for difference in differences):
        return []
    if len(unsure) == len(differences):  # then their mean is no surer
        unsure.add(len(differences))
    return [Row(Kind.DIFFERENCE, setup.label(Kind.DIFFERENCE), (*differences, _mean(differences)), frozenset(unsure))]


def _mean(values: Sequence[float | None]) -> float | None:
    """Mean over methods; none while a method is missing: it would be one over other methods."""
    present = [value for value in values if value is not None]
    return statistics.fmean(present) if len(present) == len(values) else None


def _note_unequal(runs: Sequence[RunResult], methods: Sequence[str], notes: list[str]) -> None:
    """Of runs whose results do not hold their settings, what can still be told: steps and numbers of images."""
    for method in methods:
        unknown = [run for run in runs if run.method == method and not run.settings]
        steps = {run.steps for run in unknown}
        synthetic = {run.num_synthetic for run in unknown if run.augment}
        for found, unit in ((steps, "steps"), (synthetic, "synthetic images")):
            if len(found) > 1:
                notes.append(f"{method}: runs with {', '.join(map(str, sorted(found)))} {unit} are taken together")


def _title(runs: Sequence[RunResult], metric: str, num_runs: int) -> str:
    first = runs[0]
    folders = sorted({run.data_folder for run in runs if run.data_folder})
    world = WORLDS.get(first.data, " ".join([first.data, *folders]))
    steps = ", ".join(
        f"{method} {'/'.join(str(steps) for steps in sorted({run.steps for run in runs if run.method == method}))}"
        for method in sorted({run.method for run in runs})
    )
    splits = {run.split_seed for run in runs if run.split_seed is not None}
    of_splits = f"; {_numbered('split', splits)}" if splits - {0} else ""
    count, kind = _images(first, metric)
    images = "" if count is None else f", of {count} {kind} images"
    return (
        f"{world}, {labels_told(first.labels_per_class)}, {first.model}, protocol {first.protocol}: "
        f"{TITLES[metric]}{images}; steps: {steps}; "
        f"n = {num_runs} ({_numbered('seed', {run.seed for run in runs})}{of_splits})"
    )


def _numbered(word: str, numbers: Collection[int]) -> str:
    return f"{word}{'s' if len(numbers) > 1 else ''} {', '.join(map(str, sorted(numbers)))}"
