"""What drawings bring on each labeled set, and how that goes with the accuracy without them.

python docs/results/scripts/gain_by_set.py docs/results/runs/splits
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from benchmarks.interface import read_runs

METHODS = {"erm": "ERM", "fixmatch": "FixMatch"}


def main() -> None:
    """Prints a column for each labeled set, and a line of the gains for each method."""
    accuracies: dict[tuple[str, bool], dict[int, float]] = {}  # method, with drawings -> split -> accuracy in %
    for run in read_runs(Path(sys.argv[1])).values():
        if run.is_done and run.accuracy_last is not None and run.split_seed is not None:
            accuracies.setdefault((run.method, run.augment), {})[run.split_seed] = run.accuracy_last
    splits = sorted(accuracies["erm", False])
    print(f"| split | {' | '.join(map(str, splits))} |\n|---|{'---:|' * len(splits)}")
    lines = []
    for method, name in METHODS.items():
        plain, drawn = ([accuracies[method, augmented][split] for split in splits] for augmented in (False, True))
        gains = [after - before for before, after in zip(plain, drawn, strict=True)]
        for row, values in ((name, plain), (f"{name}, + augmentation", drawn)):
            print(f"| {row} | {' | '.join(f'{value:.1f}' for value in values)} |")
        lines.append(
            f"- {name}: from {min(gains):+.1f} to {max(gains):+.1f} points; correlation with the accuracy without "
            f"drawings {statistics.correlation(plain, gains):.2f}"
        )
    print("\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
