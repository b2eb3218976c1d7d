"""Precision and memory order are what is faster, a run goes on as it was begun, older runs stay what they are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from benchmarks import trainer
from benchmarks.description import comparable_settings
from benchmarks.layout import layout_for
from benchmarks.run import main, settings_from
from benchmarks.settings import BenchmarkSettings, TrainSettings
from benchmarks.single_run import run
from ssl_aug import runtime
from ssl_aug.files import read_json
from tests.benchmarks.conftest import assert_same_weights, trained
from tests.conftest import IN_BOTH_PRECISIONS, stop_after

PLAIN = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 8, 1, groups=2))
DEPTHWISE = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, groups=4))


@pytest.mark.parametrize(
    ("network", "has_units", "precision", "expected"),
    [
        (PLAIN, True, "auto", (torch.bfloat16, True)),
        (PLAIN, False, "auto", (torch.float32, False)),
        (PLAIN, False, "bf16", (torch.bfloat16, True)),
        (PLAIN, True, "fp32", (torch.float32, False)),
        (DEPTHWISE, True, "auto", (torch.float32, True)),
        (DEPTHWISE, False, "auto", (torch.float32, True)),
        (DEPTHWISE, True, "bf16", (torch.bfloat16, True)),
    ],
)
def test_what_is_left_open_is_what_the_table_says_is_faster(
    network: nn.Module,
    has_units: bool,
    precision: str,
    expected: tuple[torch.dtype, bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runtime, "has_bfloat16_units", lambda device: has_units)
    settings = BenchmarkSettings(device="cpu", precision=precision)
    found = layout_for(network, settings)
    assert (found.place.dtype, found.channels_last) == expected
    for asked in (True, False):
        found = layout_for(network, replace(settings, train=TrainSettings(channels_last=asked)))
        assert (found.place.dtype, found.channels_last) == (expected[0], asked)


@IN_BOTH_PRECISIONS
def test_the_result_says_what_was_chosen(words: list[str], precision: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = read_json(trained([*words, "train.steps=1"]) / "result.json")
    expected = {"fp32": ("float32", False), "bf16": ("bfloat16", True)}[precision]
    assert (result["precision"], result["channels_last"]) == expected
    assert ("in bfloat16, channels last\n" in capsys.readouterr().out) == (precision == "bf16")


def make_older(folder: Path) -> None:
    """A run's folder as versions wrote it that knew no choice of the memory order: false, unless it was asked for."""
    config = OmegaConf.load(folder / "config.yaml")
    config.train.channels_last = False
    OmegaConf.save(config, folder / "config.yaml")
    result = read_json(folder / "result.json")
    del result["channels_last"]
    (folder / "result.json").write_text(json.dumps(result))


@pytest.mark.parametrize("precision", ["bf16"])
@pytest.mark.parametrize("by_name", [True, False])
def test_an_older_run_that_was_stopped_is_found_and_goes_on_as_it_was_begun(words: list[str], by_name: bool) -> None:
    whole = trained([*words, "train.channels_last=false"])
    here = [*words, f"runs={whole.parent.parent / 'others'}"]
    with stop_after(3, trainer):
        trained([*here, "train.channels_last=false"])
    (folder,) = (whole.parent.parent / "others").glob("*-erm")
    make_older(folder)
    assert (trained([f"resume={folder}"]) if by_name else run(settings_from(here), anew=False)) == folder
    assert read_json(folder / "result.json")["channels_last"] is False
    assert_same_weights(whole, folder)


def test_a_run_that_goes_on_keeps_the_precision_that_auto_meant(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*words, "precision=auto"]
    monkeypatch.setattr(runtime, "has_bfloat16_units", lambda device: True)
    with stop_after(3, trainer):
        trained(words)
    folder = max(Path(settings_from(words).runs).iterdir())
    monkeypatch.setattr(runtime, "has_bfloat16_units", lambda device: False)
    result = read_json(trained([f"resume={folder}"]) / "result.json")
    assert (result["precision"], result["channels_last"], result["status"]) == ("bfloat16", True, "done")


def test_a_finished_older_run_is_the_run_that_a_grid_asks_for(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = trained([*words, "train.steps=1"])
    make_older(folder)
    main([*words, "train.steps=1", "seed=0", "--multirun", "--dry-run"])
    assert f"{folder}: this run is done already" in capsys.readouterr().out


def test_rows_of_a_table_do_not_split_because_the_choice_is_new(words: list[str]) -> None:
    settings = settings_from(words)
    now = comparable_settings(settings, "erm", None)
    assert now["train.channels_last"] is False  # as results have it since ever
    asked = replace(settings, train=replace(settings.train, channels_last=True))
    assert comparable_settings(asked, "erm", None) == now | {"train.channels_last": True}
