"""The table of docs/results/beside_drawings.md, from the results of its runs.

python docs/results/scripts/beside_drawings.py RUNS [RUNS ...]

A row's differences are from the runs of the same seeds on the labeled images alone, at the settings that were searched
for these; in parentheses those that may be chance, as in benchmarks.table.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.interface import read_runs
from ssl_aug.results.result import RunResult
from ssl_aug.results.significance import compared

SEEDS = (0, 1, 2)
METHODS = {"erm": "ERM", "fixmatch": "FixMatch"}
CLIP_ALONE = {
    "clip_means": "CLIP alone: nearest class mean of the four labeled images (`method=clip_means`)",
    "clip_probe": "CLIP alone: linear classifier on its features (`method=clip_probe`, 600 steps)",
}
RATE = "train.learning_rate"
# what is changed: the value that a run on the labeled images alone has
CHANGED: dict[str, Any] = {
    RATE: 0.0003,
    "method.strong_weight": 0.1,
    "method.mixup_alpha": 0.0,
    "method.cutmix_alpha": 0.0,
    "set.made_by": None,
    "set.condition": None,
    "set.class_means": None,
    "set.mask_rate": None,
}
PLAIN = "plain: the 96 labeled images"
BORROWED = {"set.condition": "borrowed", "set.mask_rate": 0.0}
ROWS: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "the same at the settings of the rows with further images": {RATE: 0.001},
    "**and 960 drawings, the default** (`condition=borrowed`, guidance 2)": {**BORROWED, "set.class_means": "train"},
    "... with class means of the labeled images alone": {**BORROWED, "set.class_means": "labeled"},
    "and each labeled image ten times more": {"set.made_by": "copies"},
    "RandAugment's views at full weight (`method.strong_weight=1`; plain: 0.1)": {"method.strong_weight": 1.0},
    "MixUp, alpha 0.2": {"method.mixup_alpha": 0.2},
    "CutMix, alpha 1": {"method.cutmix_alpha": 1.0},
    **{
        f"and 960 drawings of the labeled image itself, guidance 1, mask rate {rate:g}": {
            "set.condition": "image",
            "set.mask_rate": rate,
        }
        for rate in (0.0, 0.3, 0.5, 0.7, 0.9)
    },
    "placebo: drawings of random conditions": {"set.made_by": "noise_conditions"},
    "placebo: the default drawings, each under another class": {"set.made_by": "wrong_classes"},
    "**and 960 real images, labeled by CLIP** (the 40 nearest to each class's mean)": {"set.made_by": "clip_labeled"},
}
Accuracies = dict[tuple[int, str], float]  # by seed and labeled set, in %


def changes_of(run: RunResult) -> dict[str, Any]:
    """What is not as in a run on the labeled images alone; a learning rate that goes with further images is none."""
    changes = {name: run.settings[name] for name, plain in CHANGED.items() if run.settings.get(name, plain) != plain}
    return {name: value for name, value in changes.items() if name != RATE or not run.augment}


def read(folders: Iterable[Path]) -> dict[str, dict[str, Accuracies]]:
    """Row -> method -> accuracies."""
    found: dict[str, dict[str, Accuracies]] = {}
    for folder in folders:
        for run in read_runs(folder).values():
            if not run.is_done or run.accuracy_last is None or run.labeled_set_id is None or run.seed not in SEEDS:
                continue
            changes = changes_of(run)
            rows = [row for row, own in ROWS.items() if own == changes]
            row = CLIP_ALONE.get(run.method) or (rows[0] if rows and run.method in METHODS else None)
            if row is not None:
                found.setdefault(row, {}).setdefault(run.method, {})[run.seed, run.labeled_set_id] = run.accuracy_last
    return found


def cell(values: Accuracies) -> str:
    if not values:
        return ""
    return f"{statistics.fmean(values.values()):.1f} ± {statistics.stdev(values.values()):.1f}"


def difference(values: Accuracies, plain: Accuracies) -> str:
    """Mean, deviation and p of the differences of the same seeds."""
    if not values or not plain or values == plain:
        return ""
    comparison = compared("", plain, values, None)
    told = comparison.line.removeprefix(" against plain ").replace(f" over {len(SEEDS)} seeds, paired t-test", ",")
    return told if comparison.is_carried else f"({told})"


def main() -> None:
    """Prints the table."""
    found = read(map(Path, sys.argv[1:]))
    print(f"| {len(SEEDS)} seeds | ERM | against plain | FixMatch | against plain |\n|---|---:|---:|---:|---:|")
    for row in ROWS:
        if row in found:
            own = [found[row].get(method, {}) for method in METHODS]
            plain = [found.get(PLAIN, {}).get(method, {}) for method in METHODS]
            cells = [text for pair in zip(own, plain, strict=True) for text in (cell(pair[0]), difference(*pair))]
            print(f"| {row} | {' | '.join(cells)} |")
    for method, row in CLIP_ALONE.items():
        if row in found:
            print(f"| {row} | {cell(found[row][method])} | | | |")


if __name__ == "__main__":
    main()
