"""The tables of `ablations.py` as Markdown, and a plot with a panel for each of them.

python docs/results/scripts/ablations_told.py OUT SPLITS PLOT.png
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from ablations import METHODS, MORE, OF_DRAWINGS, OF_MIXING, folder_of
from matplotlib.figure import Figure
from omegaconf import OmegaConf

from benchmarks.interface import read_runs
from ssl_aug.results.result import RunResult

DEFAULT = {  # the name of the default's row in each group
    "images per sample": "10 (the default)",
    "mixing": "all alike (the default)",
    "guidance": "2 (the default)",
    "condition": "borrowed, means of all near images (the default)",
    "tuned on": "all training images (the default)",
    "approach": "anl (the default)",
    "sampler steps": "20 (the default)",
}
MIXES = {"share 0.3": 0, "share 0.5": 1, "share 0.7": 2, "by class_score": 3, "best 0.5": 4}  # places in OF_MIXING
PLAIN, THIRTY = "no drawings", str(MORE)
Accuracies = dict[tuple[str, str], dict[str, dict[int, float]]]  # (group, row) -> method -> split -> accuracy in %


def place_of(folder: Path, run: RunResult, out: Path) -> tuple[str, str]:
    """The group and row of a run; a row of every group has no group."""
    if not run.augment:
        return "", PLAIN
    root = Path(OmegaConf.load(folder / "config.yaml").synthetic.root).name
    split = str(run.split_seed)
    for group, drawn in OF_DRAWINGS.items():
        for name in drawn:
            if root == folder_of(out, split, group, name).name:
                return group, name
    if root == folder_of(out, split, "thirty", "").name:
        return "images per sample", THIRTY
    if run.mix:
        return "mixing", list(OF_MIXING["mixing"])[MIXES[run.mix]]
    per_sample = str(run.num_synthetic // (run.num_labeled or 1))
    return ("images per sample", per_sample) if per_sample in OF_MIXING["images per sample"] else ("", "default")


def read(out: Path, splits: set[int]) -> Accuracies:
    """The accuracies of all runs on these splits that are done."""
    found: Accuracies = {}
    for folder, run in read_runs(out / "runs").items():
        if run.is_done and run.accuracy_last is not None and run.split_seed in splits:
            by_method = found.setdefault(place_of(folder, run, out), {})
            by_method.setdefault(run.method, {})[run.split_seed] = run.accuracy_last
    return found


def rows_of(group: str, found: Accuracies) -> dict[str, dict[str, dict[int, float]]]:
    """A group's rows by name: what is drawn least first."""
    plain, default = {PLAIN: found["", PLAIN]}, {DEFAULT[group]: found["", "default"]}
    own = {name: rows for (of_group, name), rows in found.items() if of_group == group}
    order = [*OF_MIXING.get(group, {}), *OF_DRAWINGS.get(group, {})]
    ordered = {name: own[name] for name in order if name in own}
    if group == "images per sample":
        return {**plain, **ordered, **default, **({THIRTY: own[THIRTY]} if THIRTY in own else {})}
    return {**plain, **default, **ordered}


def cell(values: dict[int, float], default: dict[int, float]) -> str:
    """Mean and deviation over splits, and in brackets those of the differences from the default on the same splits."""
    text = f"{statistics.fmean(values.values()):.1f}"
    if len(values) > 1:
        text += f" ± {statistics.stdev(values.values()):.1f}"
    apart = [accuracy - default[split] for split, accuracy in values.items() if split in default]
    if values == default or not apart:
        return text
    spread = f" ± {statistics.stdev(apart):.1f}" if len(apart) > 1 else ""
    return f"{text} [{statistics.fmean(apart):+.1f}{spread}]"


def main() -> None:
    """Prints the tables and draws the plot."""
    out, splits, picture = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    found = read(out, set(map(int, splits.split(","))))
    groups = {group: rows_of(group, found) for group in DEFAULT}
    groups = {group: rows for group, rows in groups.items() if len(rows) > 2}
    figure = Figure(figsize=(9, 0.9 + 0.33 * sum(len(rows) + 2 for rows in groups.values())))
    panels = figure.subplots(len(groups), 1, sharex=True, height_ratios=[len(rows) + 1 for rows in groups.values()])
    for axes, (group, rows) in zip(panels, groups.items(), strict=True):
        print(f"\n| {group} | {' | '.join(METHODS)} | n |\n|---|{'---:|' * (len(METHODS) + 1)}")
        names = list(rows)
        for name, of_methods in rows.items():
            ns = sorted({len(of_methods.get(method, {})) for method in METHODS})
            cells = [cell(of_methods.get(method, {}), found["", "default"][method]) for method in METHODS]
            print(f"| {name} | {' | '.join(cells)} | {'/'.join(map(str, ns))} |")
        for number, method in enumerate(METHODS):
            for place, of_methods in enumerate(rows.values()):
                values = list(of_methods.get(method, {}).values())
                height = place + 0.2 * (number - 0.5)
                axes.plot(values, [height] * len(values), ".", color=f"C{number}", alpha=0.35, markersize=4)
                spread = statistics.stdev(values) if len(values) > 1 else 0.0
                label = method if place == 0 else None
                axes.errorbar(
                    statistics.fmean(values), height, xerr=spread, fmt="o", color=f"C{number}", capsize=2, label=label
                )
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_title(group, fontsize=9, loc="left")
        axes.grid(axis="x", alpha=0.3)
    panels[0].legend(fontsize=8, loc="lower left")
    panels[-1].set_xlabel(
        f"test accuracy on toycars, % (mean and deviation of labeled sets {sorted(splits)})", fontsize=8
    )
    figure.tight_layout()
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    main()
