"""The stages of the pretraining: what they leave, and that none is done twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from generators import model_folder
from generators.hashes import file_hash
from ssl_aug.files import read_json
from ssl_aug.pretrain import record, settings, stages
from ssl_aug.pretrain.settings import STAGES, PretrainSettings


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Settings of a pretraining of seconds."""
    for module in (settings, stages):
        monkeypatch.setattr(module, "HELD_OUT", 16)
    return {
        "out": str(tmp_path / "out"), "work": str(tmp_path / "work"), "num_images": 40, "processes": 1,
        **{f"{part}_steps": 1 for part in STAGES},
        **{f"{part}_batch_size": 2 for part in ("autoencoder", "clip", "unet")},
        "device": "cpu", "precision": "fp32",
    }  # fmt: skip


def test_all_stages_leave_a_model_and_what_was_done(
    small: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stages.pretrain(PretrainSettings(**small))
    out = tmp_path / "out"
    model = model_folder.load(out)
    assert model.latent_shape == (4, 16, 16)
    written = read_json(out / record.NAME)
    assert tuple(written) == STAGES
    for stage in ("backbone", "clip", "unet"):
        assert written[stage]["sha256"] == file_hash(out / f"{stage}.safetensors")
    assert written["decoder"]["sha256"] == file_hash(out / "autoencoder.safetensors")
    assert "sha256" not in written["autoencoder"]  # its file holds the later decoder
    before = {path: path.read_bytes() for path in out.iterdir()}
    capsys.readouterr()
    stages.pretrain(PretrainSettings(**small))
    assert capsys.readouterr().out.splitlines() == [f"{stage}: already in {out}" for stage in STAGES]
    assert {path: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.parametrize(
    ("asked", "said"),
    [("unet", "the unet needs the autoencoder first"), ("decoder", "the decoder is trained after the unet")],
)
def test_a_stage_without_those_before_it_is_refused(small: dict[str, Any], asked: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        stages.pretrain(PretrainSettings(**{**small, "stages": asked}))


def test_every_stage_can_be_run() -> None:
    assert tuple(stages.RUNNERS) == STAGES
