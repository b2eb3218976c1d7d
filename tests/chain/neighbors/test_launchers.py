"""A grid of trainings through hydra's launchers for several processes: each run is done once, also when asked again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ssl_aug.files import read_json
from tests.conftest import write_image_folder

pytestmark = pytest.mark.neighbors

ROOT = Path(__file__).resolve().parents[3]
GRID = [
    "data=image_folder", "data.root=photos", "data.labels_per_class=2", "method=erm", "seed=0,1", "model=tiny",
    "train.steps=2", "train.batch_size=4", "train.num_workers=1", "device=cpu", "precision=fp32", "runs=runs",
]  # fmt: skip


@pytest.mark.parametrize(
    "launcher",
    [
        ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5"],
        ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
    ],
    ids=["submitit", "joblib"],
)
def test_each_run_of_a_grid_is_done_once(launcher: list[str], tmp_path: Path) -> None:
    write_image_folder(tmp_path / "photos")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.run", "--multirun", *GRID, *launcher]
    weights = []
    for _ in range(2):
        ended = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert ended.returncode == 0, ended.stderr
        results = [read_json(path) for path in sorted((tmp_path / "runs").glob("*/result.json"))]
        assert sorted((result["seed"], result["status"]) for result in results) == [(0, "done"), (1, "done")]
        weights.append([path.read_bytes() for path in sorted((tmp_path / "runs").glob("*/last.safetensors"))])
    assert weights[0] == weights[1]
