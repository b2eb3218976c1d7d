"""One thing at a time is changed of the default drawings, or of how they are mixed in, on ERM and FixMatch.

python docs/results/scripts/ablations.py OUT SPLITS [GROUPS]      # SPLITS as 2,3,4; GROUPS as mixing,guidance; all
python docs/results/scripts/ablations_told.py OUT FOLDER          # the tables, and a plot of each group into FOLDER

Each split is another labeled set, drawn for and trained on once (seed 0). What is there already is not made again, so
that it can be stopped, gone on with, and shared between processes by splits or groups.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

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
    "tuned on": {"the labeled images": ["tune.images=labeled", "class_means=train"]},
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


def run(module: str, words: Iterable[str]) -> None:
    subprocess.run([sys.executable, "-m", module, *words], check=True, stdout=subprocess.DEVNULL)


def folder_of(out: Path, split: str, group: str, name: str) -> Path:
    """Of a set; the name is short and without blanks."""
    brief = "".join(letter if letter.isalnum() or letter == "." else "-" for letter in f"{group}-{name}")
    return out / "sets" / f"split{split}-{brief}"


def main() -> None:
    """Draws and trains what is missing."""
    out, splits = Path(sys.argv[1]), sys.argv[2].split(",")
    asked = sys.argv[3].split(",") if len(sys.argv) > 3 else [*OF_MIXING, *OF_DRAWINGS, "thirty"]

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


if __name__ == "__main__":
    main()
