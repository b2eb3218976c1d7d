"""What the table of speeds says of times that are known, and of the product itself, loosely."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from ssl_aug import speed
from ssl_aug.runtime import placement
from ssl_aug.speeds import drawing, machine, making, networks, paper, parts, tuning
from ssl_aug.speeds.machine import matmul_peak, operations_of
from ssl_aug.speeds.parts import Part, difference_of, measure
from ssl_aug.speeds.settings import SpeedSettings
from ssl_aug.tuning.memory import TuningMemory
from tests.conftest import TINY_CLIP

PLACES = {"fp32": placement("cpu", "fp32"), "bf16": placement("cpu", "bf16")}


def nothing() -> None:
    """There is no device to wait for."""


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A UNet of two levels, so that a call takes milliseconds."""
    unet = {
        **networks.MEDIUM,
        "block_out_channels": (16, 32),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "layers_per_block": 1,
        "cross_attention_dim": 16,
        "norm_num_groups": 8,
        "sample_size": 8,
    }
    size = networks.Size(unet, 8, 2.0, 2, 2)
    for module in (drawing, paper):
        monkeypatch.setattr(module, "size_of", lambda _: size)
    monkeypatch.setattr(networks, "TINY_CLIP", TINY_CLIP)
    monkeypatch.setattr(machine, "SIDE", 64)
    for module in (tuning, paper):
        monkeypatch.setattr(module, "whole", lambda _: networks.latents_alone(size))


class Clock:
    """It moves by what the calls take, and by nothing else."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


def test_ratios_are_of_ways_that_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, order = Clock(), list[str]()
    took = {"plain": iter([9.0, 6.0, 8.0]), "ours": iter([9.0, 2.0, 4.0])}  # the first is not counted

    def call(name: str) -> torch.Tensor:
        order.append(name)
        clock.now += next(took[name])
        return torch.tensor([1.0, 1.0 if name == "plain" else 1.1])

    monkeypatch.setattr(parts, "time", clock)
    part = Part("a part", "one", partial(call, "plain"), {"fp32": (partial(call, "ours"), "fp32")}, operations=12.0)
    (row,) = measure(part, 2, {"fp32": 8.0}, nothing)
    assert order == ["plain", "ours", "plain", "ours", "ours", "plain"]
    assert (row.plain_seconds, row.our_seconds) == (7.0, 3.0)
    assert (row.ratio, row.least, row.greatest) == (2.5, 2.0, 3.0)
    assert row.difference == pytest.approx(0.1 / 2**0.5)
    assert row.share_of_peak == 12.0 / 3.0 / 8.0


def test_nothing_to_compare_has_no_difference() -> None:
    assert difference_of(None, torch.ones(1)) is None


def test_operations_are_those_of_a_product() -> None:
    one, other = torch.ones(3, 4), torch.ones(4, 5)
    assert operations_of(lambda: one @ other) == 2 * 3 * 4 * 5


def test_our_drawing_is_the_plain_one_and_not_slower(tiny: None) -> None:
    part = drawing.drawing_part("embedded", PLACES, batch=2, with_compiled=False)
    rows = measure(part, 5, {"fp32": 1e9, "bf16": 1e9}, nothing)
    assert [row.way for row in rows] == ["fp32", "bf16"]
    assert rows[0].difference is not None and rows[0].difference < 1e-5
    assert rows[1].difference is not None and rows[1].difference < 5e-2
    assert rows[0].greatest > 0.5  # loosely: networks as small as this pay for their calls alone


def test_our_tuning_is_not_slower_with_its_encoders(tiny: None) -> None:
    for part in tuning.tuning_parts("embedded", {"fp32": PLACES["fp32"]}, on_gpu=False):
        (row,) = measure(part, 3, {"fp32": 1e9}, nothing)
        assert row.greatest > 0.5 and row.share_of_peak is not None


def test_all_of_it_is_printed_and_kept(
    tiny: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "entry_points", lambda **_: ())  # of other packages
    monkeypatch.setattr(making, "memory_of_tuning", lambda: {"tuning": TuningMemory(1, 2, 3, 4, 5)})
    out = tmp_path / "speed.json"
    making.measure_speed(SpeedSettings(jobs="drawing", rounds=1, profile=True, precision="fp32", out=str(out)))
    kept = json.loads(out.read_text(encoding="utf-8"))
    assert {row["way"] for row in kept["rows"]} == {"fp32", "bf16"} and kept["machine"]["versions"]["torch"]
    stages = {stage["name"]: stage["count"] for stage in kept["paper"]}
    assert stages["tuning"] == 4000 and stages["decoding"] == 7840
    assert stages["drawing, ddim in 200 steps"] == 200 * 7840 and stages["encoding"] == 2 * 8144
    assert kept["memory"]["tuning"]["total"] == 11
    said = capsys.readouterr().out
    assert "together" in said and "convolution" in said and "GFLOP/s" in said


def test_what_was_measured_before_a_stop_is_kept(tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(making, "time_of", stopped)
    with pytest.raises(KeyboardInterrupt):
        making.measure_speed(
            SpeedSettings(jobs="drawing", rounds=1, precision="fp32", out=str(tmp_path / "speed.json"))
        )
    assert len(json.loads((tmp_path / "speed.json").read_text(encoding="utf-8"))["rows"]) == 2


def test_data_and_folders_are_looked_at_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    with pytest.raises(ValueError, match="has no effect on toycars"):
        speed.main(["data.root=missing", "precision=fp32"])
    with pytest.raises(OSError, match="file"):
        speed.main(["jobs=drawing", "precision=fp32", "--out", str(tmp_path / "file/speed.json")])
    assert capsys.readouterr().out == ""


def test_a_file_that_is_there_is_left(tmp_path: Path) -> None:
    out = tmp_path / "speed.json"
    out.write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError, match="choose another file with --out"):
        making.measure_speed(SpeedSettings(out=str(out)))
    assert out.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["networks=huge"], "networks=huge: choose of embedded, medium, full, joined by +"),
        (["jobs=drawing+sleeping"], "jobs=drawing"),
        (["networks=embedded+embedded"], "networks=embedded"),
        (["rounds=0"], "rounds=0"),
        (["batch_sizes=8"], "batch_sizes=8: give a list in brackets, as in "),
        (["batch_sizes=[a]"], "a whole number in each place"),
        (["profile=maybe"], "profile=maybe: give true or false"),
        (["--round", "3"], "--round: there is no such flag"),
    ],
)
def test_words_that_name_nothing_are_refused(words: list[str], line: str) -> None:
    with pytest.raises(ValueError, match=line.replace("+", r"\+")):
        speed.main(words)


def test_a_matrix_product_has_a_rate(tiny: None) -> None:
    assert matmul_peak(PLACES["fp32"], torch.float32, nothing, times=1) > 1e6
    assert replace(SpeedSettings(), jobs="tuning").job_names == ("tuning",)
