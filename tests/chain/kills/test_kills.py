"""No kill loses or spoils work: a command that was killed, given again, leaves the bytes of an undisturbed run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from generators import compvis
from tests.chain.kills.commands import COMMANDS, small_compvis, write_checkpoint
from tests.chain.kills.harness import (
    Server,
    Tally,
    Trial,
    interrupted_again_and_again,
    killed_again_and_again,
    killed_at_each_kind,
    served,
)
from tests.conftest import TINY_CLIP, write_image_folder
from tests.generators.test_compvis import random_checkpoint

SOME, MANY = 1, 21  # kills of a command
OFTEN = ("tune", "generate", "run", "export")  # killed in every run of the tests, the others in the slow one
PATIENCE = 5.0  # seconds from a signal to the end
EACH = pytest.mark.parametrize("name", COMMANDS)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served() as server:
        yield server


@pytest.fixture(scope="module")
def inputs(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that the commands read."""
    folder = tmp_path_factory.mktemp("inputs")
    write_image_folder(folder / "photos")
    shutil.copytree(folder / "photos" / "train", folder / "made")
    shutil.copytree(tiny_checkpoint, folder / "model")
    with pytest.MonkeyPatch.context() as patch:
        for part in ("UNET", "AUTOENCODER", "clip_config"):
            patch.setattr(compvis, part, getattr(compvis, part))
        small_compvis()
        tensors = {**random_checkpoint(), compvis.CLASS_EMBEDDING: torch.zeros(1001, TINY_CLIP["embed_dim"])}
        write_checkpoint(folder / "model.ckpt", tensors)
    return folder


@pytest.fixture
def trial(name: str, inputs: Path, server: Server, tmp_path: Path) -> Trial:
    """The command, run once undisturbed."""
    return Trial(COMMANDS[name], inputs, tmp_path, server)


def told(name: str, tally: Tally) -> None:
    print(
        f"\n{name}: {tally.kills} kills, {tally.resumes} resumes, {tally.compared_bytes} bytes compared, "
        f"longest end {tally.longest:.2f} s; {tally.at}"
    )


@pytest.mark.parametrize("name", OFTEN)
def test_a_killed_command_leaves_what_an_undisturbed_one_does(name: str, trial: Trial) -> None:
    tally = killed_again_and_again(trial, SOME, seed=len(name))
    told(name, tally)
    assert trial.made() == trial.expected


@pytest.mark.slow
@pytest.mark.timeout(1800)
@EACH
def test_kills_at_fault_points_and_at_random_times_lose_nothing(name: str, trial: Trial) -> None:
    tally = killed_again_and_again(trial, MANY, seed=1)
    told(name, tally)
    assert trial.made() == trial.expected


@pytest.mark.slow
@pytest.mark.timeout(1800)
@EACH
def test_a_kill_at_the_last_point_of_each_kind_loses_nothing(name: str, trial: Trial) -> None:
    tally = killed_at_each_kind(trial)
    told(name, tally)
    assert trial.made() == trial.expected


@pytest.mark.slow
@pytest.mark.timeout(1800)
@EACH
def test_signals_at_random_times_end_in_one_line_and_lose_nothing(name: str, trial: Trial) -> None:
    tally = interrupted_again_and_again(trial, MANY, seed=2)
    told(name, tally)
    assert trial.made() == trial.expected and tally.longest < PATIENCE
