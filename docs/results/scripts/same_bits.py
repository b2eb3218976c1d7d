"""Whether a change of the code moved a number: the same small work before and after it, compared bit for bit.

In a checkout of each version, from its top folder:

python docs/results/scripts/same_bits.py make /elsewhere/before    # tunes, draws and trains, in float32; two minutes
python docs/results/scripts/same_bits.py compare /elsewhere/before /elsewhere/after
"""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

METHODS = (
    *("erm", "pseudo_label", "uda", "fixmatch", "self_tuning", "flexmatch"),
    *("debiasmatch", "dst", "softmatch", "freematch"),
)
WITH_THRESHOLD = ("pseudo_label", "uda", "fixmatch", "flexmatch", "debiasmatch", "dst")
TUNINGS = {
    "anl": [],
    "all": ["tune.approach=all"],
    "unconditional": ["tune.approach=anl_unconditional"],
    "scratch": ["tune.approach=scratch"],
    "averaged": ["tune.ema_decay=0.9", "tune.condition_dropout=0.3", "tune.accumulation=2"],
}
SETS = {
    "image": ["condition=image"],
    "borrowed": ["condition=borrowed"],
    "ddim": ["sampler=ddim", "steps=5", "condition=image", "mask_rate=0.3"],
    "prompt": ["prompt=car"],
    "strength": ["strength=0.5"],
    "unconditional": ["tune.approach=anl_unconditional"],
}


def make(folder: Path) -> None:
    """Five tunings, seven sets of a tiny model with random weights, one of the embedded model, twenty trainings."""
    sys.path.insert(0, str(Path.cwd()))  # the tests build the tiny model
    from benchmarks.run import main as train
    from generators import model_folder
    from ssl_aug.generate import main as generate
    from ssl_aug.tune import main as tune
    from tests.conftest import build_tiny_model, write_image_folder

    torch.set_num_threads(1)
    folder.mkdir(parents=True)
    os.environ["SSL_AUG_CACHE"] = str(folder / "cache")
    os.chdir(folder)
    model_folder.save(build_tiny_model(), Path("model"))
    write_image_folder(Path("photos"))
    exact = ["device=cpu", "precision=fp32"]
    tiny = [
        *exact, "data=image_folder", "data.root=photos", "data.labels_per_class=3", "generator=ldm",
        "generator.checkpoint=model", "tune.steps=12", "tune.batch_size=4", "tune.base_learning_rate=1e-3", "steps=4",
        "sampler=dpmpp", "batch_size=4",
    ]  # fmt: skip
    for name, words in TUNINGS.items():
        tune([*tiny, f"tune.root=adapters/{name}", *words])
    for name, words in SETS.items():
        root = f"tune.root=adapters/{'unconditional' if name == 'unconditional' else 'anl'}"
        generate([*tiny, root, "--per-sample", "2", "--out", f"sets/{name}", *words])
    few = ["data.subset=25", "data.labels_per_class=2", "tune.steps=2", "tune.batch_size=4", "steps=3"]
    generate([*exact, *few, "tune.root=adapters/embedded", "--per-sample", "1", "--out", "sets/embedded"])
    generate([*exact, "experiment=smoke", "--out", "sets/smoke"])
    for method in METHODS:
        threshold = ["method.threshold=0.3"] if method in WITH_THRESHOLD else []
        for protocol in ("benchmark", "paper"):
            train([
                *exact, *threshold, "experiment=smoke", f"method={method}", f"protocol={protocol}", "train.steps=12",
                "augment=true", "synthetic.root=sets/smoke", f"runs=runs/{protocol}_{method}",
            ])  # fmt: skip


def content(path: Path) -> Any:
    """What must be the same in a file, None where nothing need be: not how long something took."""
    if path.suffix == ".safetensors":
        return {name: tensor.numpy().tobytes() for name, tensor in load_file(path).items()}
    if path.name == "log.csv":
        with path.open() as file:
            return [{**row, "seconds": ""} for row in csv.DictReader(file)]
    if path.suffix == ".json":
        found = json.loads(path.read_text())
        return {**found, "seconds": ""} if isinstance(found, dict) else found
    return path.read_bytes() if path.suffix in (".png", ".csv", ".md") else None


def compare(before: Path, after: Path) -> bool:
    """Prints which files differ; says whether none does."""

    def files(folder: Path) -> set[Path]:
        found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        return {path for path in found if path.parts[0] != "cache" and "tfevents" not in path.name}

    same = files(before) & files(after)
    different = sorted(path for path in same if content(before / path) != content(after / path))
    for word, paths in (("differs", different), ("only in one", sorted(files(before) ^ files(after)))):
        for path in paths:
            print(f"{word}: {path}")
    print(f"{len(same)} files compared, {len(different)} differ")
    return not different and files(before) == files(after)


def main() -> None:
    """`make FOLDER`, or `compare BEFORE AFTER`, which ends in exit code 1 where something differs."""
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]))
    elif not compare(Path(sys.argv[2]), Path(sys.argv[3])):
        sys.exit(1)


if __name__ == "__main__":
    main()
