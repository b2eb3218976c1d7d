"""Our drawings equal those of diffusers' own pipelines, and our encoders transformers', on random weights."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.neighbors

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "docs" / "results" / "scripts" / "pipeline_parity.py"


def test_every_line_of_the_parity_table_keeps_its_bound() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, str(SCRIPT)], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-500:]
    differences = [float(cell) for cell in re.findall(r"\| (\d\.\d+e[-+]\d+) \|", run.stdout)]
    assert len(differences) >= 19
    assert max(differences) <= 1e-5
