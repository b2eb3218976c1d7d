"""A dry run that measures nothing comes at once: without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import write_image_folder

# each command in turn, until one of them loads torch
COMMANDS = """
import importlib, sys
for module, *words in {0!r}:
    importlib.import_module(module).main([*words, "--dry-run"])
    assert "torch" not in sys.modules, [module, *words]
"""


def test_what_measures_nothing_loads_no_torch(tmp_path: Path) -> None:
    write_image_folder(tmp_path / "photos")
    data = ["data=image_folder", "data.root=photos", "data.labels_per_class=2"]
    commands = [["ssl_aug.tune", *data, "generator=embedded"]]
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS.format(commands)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "would tune on" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
