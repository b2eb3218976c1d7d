"""The same commands give the same bytes, wherever and however often they are run."""

from __future__ import annotations

import json
import os
import shlex
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from benchmarks.run import main as benchmark
from ssl_aug import generate, tune
from ssl_aug.files import read_json
from ssl_aug.made_by import COMMAND
from tests.conftest import contents, write_image_folder

DATA = ["data=image_folder", "data.root=photos", "data.labels_per_class=2", "device=cpu", "precision=fp32"]


def made_in(folder: Path, tiny_checkpoint: Path, num_workers: int) -> tuple[dict[str, Any], ...]:
    """As `kept_here`, after tuning, drawing and training there."""
    write_image_folder(folder / "photos")
    os.chdir(folder)
    generate.main([
        *DATA, "generator=ldm", f"generator.checkpoint={tiny_checkpoint}", "tune.steps=2", "tune.batch_size=4",
        "steps=2", "sampler=dpmpp", "per_sample=2", "synthetic.root=set",
    ])  # fmt: skip
    benchmark([
        *DATA, "synthetic.root=set", "method=fixmatch", "augment=true", "model=tiny", "train.steps=2",
        "train.batch_size=4", "train.unlabeled_batch_size=4", f"train.num_workers={num_workers}",
    ])  # fmt: skip
    return kept_here()


def kept_here() -> tuple[dict[str, Any], ...]:
    """The set, and the result and the weights of the training with it.

    But for what tells of the machine: seconds, and where data and weights lay.
    """
    (run,) = Path("outputs/runs").iterdir()
    result = read_json(run / "result.json")
    assert result.pop("seconds") > 0
    drawn, record = contents(Path("set")), read_json(Path("set") / "generator.json")
    assert set(record.pop("places")) == {"data.root", "generator.checkpoint"}  # where later commands find them
    drawn["generator.json"] = json.dumps(record).encode()
    return (
        drawn,
        result,
        {name: tensor.numpy().tobytes() for name, tensor in load_file(run / "last.safetensors").items()},
    )


def test_folder_cache_home_time_zone_rights_and_workers_decide_nothing(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = made_in(tmp_path / "here", tiny_checkpoint, num_workers=0)
    for name, value in {
        "SSL_AUG_CACHE": str(tmp_path / "another cache"), "HOME": str(tmp_path / "home"), "TZ": "Pacific/Kiritimati",
        "LANG": "tr_TR.UTF-8", "LC_ALL": "C",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    time.tzset()
    rights = os.umask(0o077)
    try:
        again = made_in(tmp_path / "there" / "and deeper", tiny_checkpoint, num_workers=1)
    finally:
        os.umask(rights)
        monkeypatch.undo()
        time.tzset()
    assert again[0] == first[0]
    assert again[1:] == first[1:]


def test_the_commands_in_the_folders_make_them_again(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = made_in(tmp_path / "here", tiny_checkpoint, num_workers=0)
    folders = (Path("set"), *Path("outputs/adapters").iterdir(), *Path("outputs/runs").iterdir())
    drawing, tuning, training = (shlex.split((folder / COMMAND).read_text())[2:] for folder in folders)
    assert (drawing[0], tuning[0], training[0]) == ("ssl_aug.generate", "ssl_aug.tune", "benchmarks.run")
    adapter = contents(folders[1])
    write_image_folder(tmp_path / "there" / "photos")
    monkeypatch.chdir(tmp_path / "there")
    tune.main(tuning[1:])
    assert contents(folders[1]).keys() == adapter.keys()
    generate.main([*drawing[1:], "--out", "set"])
    benchmark(training[1:])
    again = kept_here()
    assert again[0] == first[0]
    assert again[1:] == first[1:]
