"""What several kinds of generators go through alike: stopped and gone on with, and refused in one line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ssl_aug import generate, tune
from ssl_aug.runtime import command
from ssl_aug.synthetic import SyntheticSet
from ssl_aug.tuning import loop
from tests.conftest import contents, stop_after, stop_drawing_after


def assert_stopped_work_goes_on_to_the_same_bytes(words: list[str], folder: Path, num_images: int, step: int) -> None:
    """A set drawn at once, beside one whose tuning was stopped in that step and whose drawing after a chunk."""
    generate.main([*words, "--out", "plain"])
    assert len(SyntheticSet.open(folder / "plain")) == num_images
    torch.manual_seed(123)  # nothing depends on what was drawn before
    words = [*words, "tune.root=stopped_tuning"]
    with stop_after(step, loop):
        tune.main(words)
    with stop_drawing_after(1):
        generate.main([*words, "--out", "stopped"])
    generate.main([*words, "--out", "stopped"])
    assert contents(folder / "stopped") == contents(folder / "plain")


def refused(
    main: Callable[[list[str]], None],
    words: list[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> str:
    """The line of a command that ends with exit code 2 and leaves the folder as it was."""
    before = contents(folder)
    capsys.readouterr()  # of what ran before
    monkeypatch.setattr("sys.argv", ["command", *words])
    with pytest.raises(SystemExit) as caught:
        command(main)
    *others, line = [line for line in capsys.readouterr().err.splitlines() if line.strip() and "%|" not in line]
    assert line.startswith("error: ")
    assert all(re.match(r"warning: |\w+: \d+ classes, ", other) for other in others), others
    assert caught.value.code == 2
    assert contents(folder) == before, set(contents(folder)) ^ set(before)
    return line
