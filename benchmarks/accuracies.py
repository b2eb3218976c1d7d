"""Accuracies of finished runs: which are repetitions of one experiment, their means, differences and paired tests."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssl_aug.runtime import read_json

METRICS = {
    "last": "accuracy_last",
    "best_on_test": "accuracy_best_on_test",
    "best_on_validation": "accuracy_at_best_validation",
    "mean_class": "mean_class_accuracy",
    "ema_last": "ema_accuracy_last",
    "ema_best_on_test": "ema_accuracy_best_on_test",
}
TITLES = {
    "last": "test accuracy (%) after the last step",
    "best_on_test": "test accuracy (%), best evaluation on the test set",
    "best_on_validation": "test accuracy (%) at the best evaluation on validation images",
    "mean_class": "mean of the classes' test accuracies (%) after the last step",
    "ema_last": "test accuracy (%) of averaged weights after the last step",
    "ema_best_on_test": "test accuracy (%) of averaged weights, best evaluation on the test set",
}
# A table holds runs that agree in these; `test_id` and `model_id` tell data and weights of one name apart.
GROUP = ("data", "labels_per_class", "model", "protocol", "test_id", "model_id")
NEEDED = (
    *GROUP[:4],
    "accuracy_last",
    "status",
    "method",
    "augment",
    "seed",
    "steps",
    "num_synthetic",
    "labeled_set_id",
)
PLAIN, AUGMENTED, DIFFERENCE = "plain", "+ augmentation", "difference"
# Columns come in the order of the paper's table, then the others by name.
ORDER = ("erm", "pseudo_label", "uda", "fixmatch", "self_tuning", "flexmatch")
EMBEDDED_WORLDS = ("toycars", "digits")


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


@dataclass(frozen=True)
class Table:
    """One experiment: rows by name, in each row a cell or a number per column; None where there is no run."""

    title: str
    columns: tuple[str, ...]
    rows: dict[str, tuple[Cell | float | None, ...]]


@dataclass(frozen=True)
class Report:
    """All tables, and a line for everything that is not in them."""

    tables: tuple[Table, ...]
    notes: tuple[str, ...]


def read_runs(folder: Path) -> list[dict[str, Any]]:
    """Every `result.json` beneath `folder`, oldest first, with its run's folder under `folder`.

    Raises:
        ValueError: there is none, or one is not readable.
    """
    paths = sorted(folder.glob("**/result.json"), key=lambda path: (path.stat().st_mtime, str(path)))
    if not paths:
        raise ValueError(
            f"--runs {folder}: no result.json beneath it; train with python -m benchmarks.run runs={folder}"
        )
    runs = [read_json(path) | {"folder": str(path.parent)} for path in paths]
    for run, path in zip(runs, paths, strict=True):
        lacking = [name for name in NEEDED if name not in run]
        if lacking:
            raise ValueError(f"{path} lacks {', '.join(lacking)}: it is not a result of python -m benchmarks.run")
    return runs


def build_report(runs: Sequence[dict[str, Any]], metric: str) -> Report:
    """Tables of the runs that are done; `runs` are oldest first, the newest of equal ones counts."""
    notes: list[str] = []
    done: dict[tuple[Any, ...], dict[str, Any]] = {}
    for run in runs:
        if run["status"] != "done":
            notes.append(f"not counted: {run['folder']} ({run['method']}, seed {run['seed']}): {run['status']}")
        elif run.get(METRICS[metric]) is None:
            setting = "data.validation_per_class" if metric == "best_on_validation" else "train.ema_decay"
            notes.append(f"not counted: {run['folder']} has no {METRICS[metric]} ({setting} is 0)")
        else:
            same = (run["method"], run["augment"], run.get("mix", ""), run["seed"], run["labeled_set_id"])
            key = (*_group(run), *same, str(sorted(run.get("settings", {}).items())))
            if key in done:
                notes.append(f"not counted: {done[key]['folder']}, the newer {run['folder']} is the same experiment")
            done[key] = run
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for run in done.values():
        groups.setdefault(_group(run), []).append(run)
    tables = tuple(_table(group, metric, notes) for _, group in sorted(groups.items(), key=lambda item: str(item[0])))
    return Report(tables, tuple(notes))


def _group(run: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(run.get(name) for name in GROUP)


def _table(runs: Sequence[dict[str, Any]], metric: str, notes: list[str]) -> Table:
    methods = sorted({run["method"] for run in runs}, key=lambda name: (*(name != known for known in ORDER), name))
    variants = {id(run): _variant(run, runs) for run in runs}
    rows: dict[str, tuple[Cell | float | None, ...]] = {}

    def of(method: str, name: tuple[bool, str, str]) -> list[dict[str, Any]]:
        found = [run for run in runs if run["method"] == method]
        return [run for run in found if (run["augment"], run.get("mix", ""), variants[id(run)]) == name]

    def cells(name: tuple[bool, str, str]) -> dict[str, Cell | None]:
        values = {method: tuple(run[METRICS[metric]] for run in of(method, name)) for method in methods}
        return {method: Cell(accuracies) if accuracies else None for method, accuracies in values.items()}

    names = sorted({(run["augment"], run.get("mix", ""), variants[id(run)]) for run in runs})
    _note_unequal(runs, methods, notes)
    for name in names:
        augment, mix, variant = name
        found, suffix = cells(name), "".join(f", {word}" for word in (mix, variant) if word)
        rows[(AUGMENTED if augment else PLAIN) + suffix] = (*found.values(), _mean(found))
        if not augment:
            continue
        differences: dict[str, float] = {}
        for method, cell in found.items():
            plain = _plain_of(of(method, name), runs)
            if cell and plain:
                differences[method] = cell.mean - statistics.fmean(run[METRICS[metric]] for run in plain)
                notes.append(_paired(method, plain, of(method, name), metric, AUGMENTED + suffix))
        if differences:
            overall = statistics.fmean(differences.values()) if len(differences) == len(methods) else None
            rows[DIFFERENCE + suffix] = (*(differences.get(method) for method in methods), overall)
    rows = {name: cells for name, cells in rows.items() if any(cell is not None for cell in cells)}
    return Table(_title(runs, metric), (*methods, "mean"), rows)


def _variant(run: dict[str, Any], runs: Sequence[dict[str, Any]]) -> str:
    """`set.mask_rate=0.3`: the settings in which a run differs from others of its method; "" where there are none."""
    alike = [other for other in runs if (other["method"], other["augment"]) == (run["method"], run["augment"])]
    own = run.get("settings", {})
    varying = [name for name in own if any(other.get("settings", {}).get(name) != own[name] for other in alike)]
    hashes = [name for name in varying if name.endswith("_id")]
    named = [name for name in varying if name not in hashes] or hashes  # an id says little where a setting differs too
    return ", ".join(f"{name}={own[name]}" for name in sorted(named))


def _plain_of(augmented: Sequence[dict[str, Any]], runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The plain runs that differ from augmented ones in nothing but the synthetic images."""
    if not augmented:
        return []
    wanted = augmented[0].get("settings", {})
    plain = [run for run in runs if run["method"] == augmented[0]["method"] and not run["augment"]]
    return [run for run in plain if all(wanted.get(name) == value for name, value in run.get("settings", {}).items())]


def _note_unequal(runs: Sequence[dict[str, Any]], methods: Sequence[str], notes: list[str]) -> None:
    """Of runs whose results do not hold their settings, what can still be told: steps and numbers of images."""
    unknown = [run for run in runs if not run.get("settings")]
    for method in methods:
        for name, unit in (("steps", "steps"), ("num_synthetic", "synthetic images")):
            found = sorted({r[name] for r in unknown if r["method"] == method and (name == "steps" or r["augment"])})
            if len(found) > 1:
                notes.append(f"{method}: runs with {', '.join(map(str, found))} {unit} are taken together")


def _paired(
    method: str, plain: Sequence[dict[str, Any]], augmented: Sequence[dict[str, Any]], metric: str, name: str
) -> str:
    """A line on the difference over the pairs of seed and split that both have, with a paired t-test (two-sided)."""
    before, after = (
        {(run["seed"], run["labeled_set_id"]): run[METRICS[metric]] for run in runs} for runs in (plain, augmented)
    )
    pairs = sorted(before.keys() & after.keys())
    if before.keys() != after.keys():
        seeds = [sorted(seed for seed, _ in found) for found in (before, after)]
        if seeds[0] == seeds[1]:
            return f"{method}: plain and {name} are of other splits, no test"
        return f"{method}: plain has seeds {seeds[0]}, {name} {seeds[1]}"
    if len(pairs) < 2:
        return f"{method}: {name} against plain: one seed, no test"
    from scipy.stats import ttest_rel

    differences = [after[pair] - before[pair] for pair in pairs]
    spread = statistics.stdev(differences)
    unit = "seeds" if len({split for _, split in pairs}) == 1 else "seeds and splits"
    head = (
        f"{method}: {name} against plain {statistics.fmean(differences):+.1f} ± {spread:.1f} over {len(pairs)} {unit}"
    )
    if spread == 0:
        return f"{head}, the same in each: no test"
    p_value = ttest_rel([after[pair] for pair in pairs], [before[pair] for pair in pairs]).pvalue
    return f"{head}, paired t-test p = {p_value:.2g}"


def _mean(cells: dict[str, Cell | None]) -> float | None:
    """Mean over methods of their means; none while a method is missing: it would be one over other methods."""
    present = [cell.mean for cell in cells.values() if cell]
    return statistics.fmean(present) if len(present) == len(cells) else None


def _title(runs: Sequence[dict[str, Any]], metric: str) -> str:
    first = runs[0]
    world = f"embedded world {first['data']}" if first["data"] in EMBEDDED_WORLDS else first["data"]
    steps = ", ".join(
        f"{method} {'/'.join(str(s) for s in sorted({r['steps'] for r in runs if r['method'] == method}))}"
        for method in sorted({run["method"] for run in runs})
    )
    seeds = sorted({run["seed"] for run in runs})
    per_cell = Counter((run["method"], run["augment"], run.get("mix", ""), _variant(run, runs)) for run in runs)
    return (
        f"{world}, {first['labels_per_class']} labels per class, {first['model']}, protocol {first['protocol']}: "
        f"{TITLES[metric]}; steps: {steps}; "
        f"n = {max(per_cell.values())} (seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))})"
    )
