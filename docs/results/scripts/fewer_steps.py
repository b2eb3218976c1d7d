"""Steps of the sampler against the drawings' distance and class share: DDIM's 200 beside fewer, on toycars.

python docs/results/scripts/fewer_steps.py outputs/fewer_steps [seeds]

Each set is drawn from the same tuned weights with the same requests; only sampler and steps differ. Sets and figures
that are there already are taken as they are. Prints mean and standard error over seeds.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev

WAYS = (("ddim", 200), ("ddim", 50), ("ddim", 20), ("dpmpp", 25), ("dpmpp", 20), ("dpmpp", 12), ("dpmpp", 8))
SHARED = ("--per-sample", "3", "precision=bf16")  # 288 drawings: more than the features' 256 dimensions


def figures_of(folder: Path, sampler: str, steps: int, seed: int) -> dict[str, str]:
    """The row of one set, measured where it is not yet."""
    if not (folder / "evaluation.csv").is_file():
        words = [
            *SHARED,
            f"sampler={sampler}",
            f"steps={steps}",
            f"seed={seed}",
            f"synthetic.root={folder}-set",
            f"out={folder}",
        ]
        subprocess.run([sys.executable, "-m", "ssl_aug.evaluate", *words], check=True, stdout=subprocess.DEVNULL)
    with (folder / "evaluation.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return next(row for row in rows if "real" not in row["set"])


def with_error(values: list[float], digits: int) -> str:
    """Mean and standard error."""
    error = stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return f"{mean(values):.{digits}f} +- {error:.{digits}f}"


def main() -> None:
    """Prints the table row by row."""
    root, num_seeds = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3
    print("| sampler | steps | FD(backbone) | class % |\n|---|---|---|---|", flush=True)
    for sampler, steps in WAYS:
        found = [figures_of(root / f"{sampler}-{steps}-{seed}", sampler, steps, seed) for seed in range(num_seeds)]
        distances, shares = ([float(row[name]) for row in found] for name in ("frechet_distance", "class_share"))
        percent = [100 * share for share in shares]
        print(f"| {sampler} | {steps} | {with_error(distances, 1)} | {with_error(percent, 1)} |", flush=True)


if __name__ == "__main__":
    main()
