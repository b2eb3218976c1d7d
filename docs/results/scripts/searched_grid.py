"""Every method with and without drawings on toycars, each row with the learning rate and threshold that its validation
images chose, by the same search.

python -m ssl_aug.generate --per-sample 10 --out SET precision=bf16
python docs/results/scripts/searched_grid.py SET OUT [methods, joined by commas] [number of seeds]
python -m benchmarks.table --runs OUT/runs

The search trains on seed 0 and reads 16 images of each class that nothing trains on; the runs of the table have no such
images. Test images decide nothing. What is there already is not trained again, so that it can be shared between
processes by methods and gone on with.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.interface import read_runs
from ssl_aug.results.result import RunResult

PAPERS = ("erm", "pseudo_label", "uda", "fixmatch", "self_tuning", "flexmatch")
METHODS = (*PAPERS, "debiasmatch", "dst", "softmatch", "freematch")
RATES = (0.001, 0.0003, 0.003)
OTHER_THRESHOLD = 0.95  # beside the default of 0.7; tried at the best learning rate
WITH_THRESHOLD = ("fixmatch", "flexmatch", "pseudo_label", "uda", "debiasmatch")
SHARED = ("precision=bf16", "train.channels_last=false", "train.steps=200", "train.eval_every=200")
SEARCHED = ("train.learning_rate", "method.threshold")


def train(method: str, row: tuple[str, ...], runs: Path, words: Iterable[str]) -> None:
    """One grid, where it is not done."""
    command = [sys.executable, "-m", "benchmarks.run", "--multirun", f"method={method}", f"runs={runs}"]
    subprocess.run([*command, *SHARED, *row, *words], check=True, stdout=subprocess.DEVNULL)


def best(method: str, augment: bool, runs: Path) -> RunResult:
    """The run of a search with the highest accuracy on validation images."""
    found = [
        run for run in read_runs(runs).values() if (run.method, run.augment, run.is_done) == (method, augment, True)
    ]
    return max(found, key=lambda run: run.validation_accuracy_last or 0.0)


def words_of(run: RunResult) -> list[str]:
    """What was searched, as it is typed."""
    return [f"{name}={run.settings[name]}" for name in SEARCHED if name in run.settings]


def main() -> None:
    """Searches, then trains the table's runs; prints what was chosen."""
    drawn, out = Path(sys.argv[1]), Path(sys.argv[2])
    methods = sys.argv[3].split(",") if len(sys.argv) > 3 else METHODS
    seeds = ",".join(map(str, range(int(sys.argv[4]) if len(sys.argv) > 4 else 5)))
    for method in methods:
        for row in (("augment=false",), ("augment=true", f"synthetic.root={drawn}")):
            augment, validated = len(row) == 2, "data.validation_per_class=16"
            train(method, row, out / "search", [validated, f"train.learning_rate={','.join(map(str, RATES))}"])
            if method in WITH_THRESHOLD:
                rate = best(method, augment, out / "search").settings["train.learning_rate"]
                words = [validated, f"train.learning_rate={rate}", f"method.threshold={OTHER_THRESHOLD}"]
                train(method, row, out / "search", words)
            chosen = best(method, augment, out / "search")
            print(method, *row[:1], *words_of(chosen), f"{chosen.validation_accuracy_last:.1f} %", flush=True)
            train(method, row, out / "runs", [*words_of(chosen), f"seed={seeds}"])


if __name__ == "__main__":
    main()
