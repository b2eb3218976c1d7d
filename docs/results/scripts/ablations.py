"""One thing at a time is changed of the default drawings, or of how they are mixed in, on ERM and FixMatch.

python docs/results/scripts/ablations.py OUT SPLITS [GROUPS]     # SPLITS as 2,3,4; GROUPS as mixing,guidance; all
python docs/results/scripts/ablations.py OUT SPLITS PLOT.png     # the tables, and a plot with a panel for each

Each split is another labeled set, drawn for and trained on once (seed 0). What is there already is not made again, so
that it can be stopped, gone on with, and shared between processes by splits or groups.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from matplotlib.figure import Figure
from omegaconf import OmegaConf

from benchmarks.interface import read_runs
from ssl_aug.results.result import RunResult

SHARED = ("precision=bf16", "train.channels_last=false", "train.steps=200", "train.eval_every=200", "seed=0")
# as validation images chose on split 0 (searched_grid.py): of the plain runs, of those with drawings
METHODS = {
    "erm": (("train.learning_rate=0.0003",), ("train.learning_rate=0.0003",)),
    "fixmatch": (("train.learning_rate=0.0003", "method.threshold=0.95"), ("train.learning_rate=0.001",)),
}
OF_DRAWINGS = {  # group -> what is drawn -> how
    "guidance": {"1": ["guidance=1"], "4": ["guidance=4"]},
    "condition": {
        "the labeled image, mask rate 0": ["condition=image", "mask_rate=0"],
        "the labeled image, mask rate 0.5": ["condition=image", "mask_rate=0.5"],
        "the paper's: mask rate 0.5, guidance 1": ["condition=image", "mask_rate=0.5", "guidance=1"],
        "borrowed, means of the labeled images": ["class_means=labeled"],
    },
    "tuned on": {"the labeled images, whose means it takes too": ["tune.images=labeled"]},
    "approach": {
        "all": ["tune.approach=all"],
        "small adapters": ["tune.approach=anl_lora"],
        "scratch": ["tune.approach=scratch"],
        "not tuned": ["tune.steps=0"],
    },
    "sampler steps": {"5": ["steps=5"], "10": ["steps=10"]},
}
OF_MIXING = {
    "images per sample": {"1": ["per_sample=1"], "3": ["per_sample=3"]},
    "mixing": {
        "share 0.3 of a batch": ["mix.synthetic_share=0.3"],
        "share 0.5": ["mix.synthetic_share=0.5"],
        "share 0.7": ["mix.synthetic_share=0.7"],
        "weighted by class_score": ["mix.weight_by=class_score"],
        "the better half by class_score": ["mix.keep_share=0.5"],
    },
}
MORE = 30  # images per sample
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


def run(module: str, words: Iterable[str]) -> None:
    subprocess.run([sys.executable, "-m", module, *words], check=True, stdout=subprocess.DEVNULL)


def folder_of(out: Path, split: str, group: str, name: str) -> Path:
    """Of a set; the name is short and without blanks."""
    brief = "".join(letter if letter.isalnum() or letter == "." else "-" for letter in f"{group}-{name}")
    return out / "sets" / f"split{split}-{brief}"


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
    if not values:
        return "-"
    text = f"{statistics.fmean(values.values()):.1f}"
    if len(values) > 1:
        text += f" ± {statistics.stdev(values.values()):.1f}"
    apart = [accuracy - default[split] for split, accuracy in values.items() if split in default]
    if values == default or not apart:
        return text
    spread = f" ± {statistics.stdev(apart):.1f}" if len(apart) > 1 else ""
    return f"{text} [{statistics.fmean(apart):+.1f}{spread}]"


def tell(out: Path, splits: str, picture: Path) -> None:
    """Prints the tables and draws the plot."""
    found = read(out, set(map(int, splits.split(","))))
    groups = {group: rows_of(group, found) for group in DEFAULT}
    groups = {group: rows for group, rows in groups.items() if len(rows) > 2}
    figure = Figure(figsize=(9, 0.9 + 0.33 * sum(len(rows) + 2 for rows in groups.values())))
    heights = [len(rows) + 1 for rows in groups.values()]
    panels = figure.subplots(len(groups), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
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
                if not values:
                    continue
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
        f"test accuracy on toycars, %: mean and deviation of splits {splits}, a seed each", fontsize=8
    )
    figure.tight_layout()
    figure.savefig(picture, dpi=110)


def make(out: Path, splits: list[str], asked: list[str]) -> None:
    """Draws and trains what is missing of some groups."""

    def draw(split: str, group: str, name: str, words: Iterable[str], per_sample: int = 10) -> Path:
        folder = folder_of(out, split, group, name)
        own = ["precision=bf16", f"data.split_seed={split}", "--out", str(folder), *words]
        run("ssl_aug.generate", ["--per-sample", str(per_sample), *own])
        return folder

    def train(split: str, words: Iterable[str], augmented: bool = True) -> None:
        for method, searched in METHODS.items():
            own = [f"method={method}", f"data.split_seed={split}", f"runs={out / 'runs'}", *searched[augmented]]
            run("benchmarks.run", ["--multirun", *SHARED, *own, *words])

    for split in splits:
        default = draw(split, "default", "", [])
        train(split, [], augmented=False)
        with_default = ["augment=true", f"synthetic.root={default}"]
        train(split, with_default)
        for group in asked:
            for words in OF_MIXING.get(group, {}).values():
                train(split, [*with_default, *words])
            for name, words in OF_DRAWINGS.get(group, {}).items():
                train(split, ["augment=true", f"synthetic.root={draw(split, group, name, words)}"])
        if "thirty" in asked:
            more = folder_of(out, split, "thirty", "")
            if not more.exists():
                shutil.copytree(default, more)  # the first ten of each image are the same
            train(
                split, ["augment=true", f"synthetic.root={draw(split, 'thirty', '', [], MORE)}", f"per_sample={MORE}"]
            )


def main() -> None:
    """Does the one or the other."""
    out, splits, *more = sys.argv[1:]
    if more and more[0].endswith(".png"):
        tell(Path(out), splits, Path(more[0]))
    else:
        make(Path(out), splits.split(","), more[0].split(",") if more else [*OF_MIXING, *OF_DRAWINGS, "thirty"])


if __name__ == "__main__":
    main()
