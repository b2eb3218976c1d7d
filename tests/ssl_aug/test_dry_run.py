"""A dry run that measures nothing comes at once: without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import write_image_folder

# each command in turn, until one of them loads torch
COMMANDS = """
import importlib, json, sys
for module, *words in json.loads(sys.argv[1]):
    importlib.import_module(module).main(words)
    assert "torch" not in sys.modules, [module, *words]
"""
DATA = ["data=image_folder", "data.root=photos", "data.labels_per_class=2"]
MADE = ["drawn", "--out", "set", "--made-by", "hand"]


def test_what_measures_nothing_loads_no_torch(tmp_path: Path) -> None:
    write_image_folder(tmp_path / "photos")
    write_image_folder(tmp_path / "other")
    (tmp_path / "other" / "train").rename(tmp_path / "drawn")
    dry = [
        ["ssl_aug.import_set", *MADE, *DATA],
        ["ssl_aug.tune", *DATA, "generator=embedded"],
        ["benchmarks.run", *DATA, "model=embedded"],
        ["benchmarks.run", "--multirun", *DATA, "model=embedded", "method=erm,fixmatch", "seed=0,1"],
        ["ssl_aug.export.__main__", *DATA, "--to", "folder", "--out", "export", "--real-only"],
    ]
    of_a_set = [
        ["ssl_aug.evaluate", "synthetic.root=set", "features=backbone"],
        ["benchmarks.run", *DATA, "model=embedded", "augment=true", "synthetic.root=set"],
        ["ssl_aug.export.__main__", "--to", "numpy", "--out", "export", "synthetic.root=set"],
    ]
    commands = [
        *([*words, "--dry-run"] for words in dry),
        ["ssl_aug.import_set", *MADE, *DATA],
        *([*words, "--dry-run"] for words in of_a_set),
    ]
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, json.dumps(commands)], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for said in ("would tune on 15 images", "name: fixmatch", "would measure 15 images in set"):
        assert said in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drawn", "other", "photos", "set"]
