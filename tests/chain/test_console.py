"""`ssl-aug COMMAND` is the module that it stands for."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import ssl_aug
from ssl_aug import generate
from ssl_aug.console import COMMANDS, dispatch
from tests.conftest import contents

ROOT = Path(__file__).resolve().parents[2]


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """The console script as pip would write it; it prints at last what slow modules it loaded."""
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(sorted({'torch', 'hydra', 'sklearn'} & sys.modules.keys())))\n"
        "from ssl_aug.console import main\n"
        "main()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=folder, env=environment
    )


def test_the_script_is_declared() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"ssl-aug": "ssl_aug.console:main"}


def test_every_command_is_a_module_that_can_be_run() -> None:
    for module, _ in COMMANDS.values():
        assert importlib.util.find_spec(module) is not None


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_lists_the_commands(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    dispatch(words)
    said = capsys.readouterr().out
    assert all(f"  {name:<12}{what}" in said for name, (_, what) in COMMANDS.items())


def test_help_and_the_commands_own_help_load_nothing_slow(tmp_path: Path) -> None:
    for words in (["--help"], ["generate", "--help"], ["table", "--help"]):
        done = run(words, tmp_path)
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "[]"), done.stderr
    assert "--format" in done.stdout


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    dispatch(["--version"])
    assert capsys.readouterr().out == f"ssl-aug {ssl_aug.__version__}\n"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("genrate", "genrate: there is no such command, did you mean generate?"),
        ("import_set", "import_set: there is no such command, did you mean import-set?"),
        ("per_sample=2", "per_sample=2: there is no such command, choose one of generate, tune"),
    ],
)
def test_an_unknown_command_is_one_line_and_exit_code_2(word: str, said: str, tmp_path: Path) -> None:
    done = run([word], tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and said in done.stderr


def test_a_command_is_given_the_words_behind_it(tmp_path: Path) -> None:
    done = run(["tune", "tune.stesp=3"], tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "tune.stesp: there is no such setting, did you mean tune.steps?" in done.stderr


def test_the_command_draws_what_the_module_draws_whatever_the_seed_of_hashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--per-sample", "1", "experiment=smoke", "device=cpu", "precision=fp32"]
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    drawn = run(["generate", *words], tmp_path)
    assert drawn.returncode == 0 and "40 images in outputs/synthetic/digits-4-split0-noise" in drawn.stdout
    (folder,) = (tmp_path / "outputs/synthetic").iterdir()
    generate.main([*words, "--out", str(tmp_path / "here")])
    assert contents(folder) == contents(tmp_path / "here")
