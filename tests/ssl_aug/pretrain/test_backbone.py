"""Pretraining of the backbone: it can be stopped and gone on with, and what it writes is what it trained."""

from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from generators import hashes
from ssl_aug import files, runtime
from ssl_aug.pretrain.backbone import load_backbone, normalized, random_views
from ssl_aug.pretrain.backbone_training import IGNORED, BackboneSettings, labels_of, pretrain_backbone
from ssl_aug.world.scene import VIEWS
from ssl_aug.world.source_bank import SourceBank, draw_bank

TINY = BackboneSettings(
    timm_args={"channels": [8, 8, 8, 8], "stem_type": "deep", "stem_width": 4},
    steps=4, batch_size=8, checkpoint_steps=2,
)  # fmt: skip
PLACE = runtime.Placement(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> SourceBank:
    return draw_bank(tmp_path_factory.mktemp("bank"), 40)


def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path: Path, bank: SourceBank) -> None:
    def stop(step: int, steps: int, losses: dict[str, float]) -> None:
        if step == 2:
            raise KeyboardInterrupt

    pretrain_backbone(TINY, bank, tmp_path / "whole", PLACE, count().__next__)
    with pytest.raises(KeyboardInterrupt):
        pretrain_backbone(TINY, bank, tmp_path / "stopped", PLACE, count().__next__, stop)
    pretrain_backbone(TINY, bank, tmp_path / "stopped", PLACE, count().__next__)
    whole, stopped = (load_file(tmp_path / name / "backbone.safetensors") for name in ("whole", "stopped"))
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)
    assert {path.name for path in (tmp_path / "stopped").iterdir()} == {"backbone.json", "backbone.safetensors"}


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path, bank: SourceBank) -> None:
    def stop(step: int, steps: int, losses: dict[str, float]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain_backbone(TINY, bank, tmp_path, PLACE, count().__next__, stop)
    with pytest.raises(ValueError, match="other settings"):
        pretrain_backbone(replace(TINY, seed=1), bank, tmp_path, PLACE, count().__next__)


def test_what_is_written_loads_and_its_hash_is_written_beside(tmp_path: Path, bank: SourceBank) -> None:
    facts = pretrain_backbone(TINY, bank, tmp_path, PLACE, count().__next__)
    network = load_backbone(tmp_path).eval()
    assert network(torch.zeros(2, 3, 64, 64)).shape == (2, facts["num_features"])
    assert facts["sha256"] == hashes.file_hash(tmp_path / "backbone.safetensors")
    assert {"kind", "paint", "time", "model"} <= set(facts["held_out_accuracy"]) <= set(TINY.tasks)
    written = files.read_json(tmp_path / "backbone.json")
    assert (written["sha256"], written["losses"]) == (facts["sha256"], facts["losses"])


def test_weights_of_another_network_are_named(tmp_path: Path, bank: SourceBank) -> None:
    facts = pretrain_backbone(TINY, bank, tmp_path, PLACE, count().__next__)
    wider = {**facts["arguments"], "channels": [16, 8, 8, 8]}
    files.write_json(tmp_path / "backbone.json", {**facts, "arguments": wider})
    with pytest.raises(ValueError, match=r"backbone\.safetensors does not fit backbone\.json: .* of another shape"):
        load_backbone(tmp_path)
    weights = load_file(tmp_path / "backbone.safetensors")
    save_file({name: tensor for name, tensor in weights.items() if name != "layer1.0.conv1.weight"},
              tmp_path / "backbone.safetensors")  # fmt: skip
    files.write_json(tmp_path / "backbone.json", facts)
    with pytest.raises(ValueError, match=r"1 missing \(layer1\.0\.conv1\.weight\)"):
        load_backbone(tmp_path)


def test_labels_of_hidden_parts_are_ignored(bank: SourceBank) -> None:
    labels = labels_of(bank.rows)
    for number, row in enumerate(bank.rows):
        shows_front = row["model"] is not None and row["view"].startswith("front")
        assert (labels["lamp"][number] != IGNORED) == shows_front
        if shows_front or row["model"] is not None:
            assert VIEWS[labels["view"][number]] == row["view"]


def test_a_view_without_crop_is_the_picture_or_its_mirror_image(bank: SourceBank) -> None:
    pixels = normalized(torch.from_numpy(np.array(bank.images[:16])))
    views, flipped = random_views(pixels, 1.0, torch.Generator().manual_seed(0))
    assert 0 < flipped.sum() < 16
    middle = np.s_[:, :, 24:40, 24:40]
    expected = torch.where(flipped[:, None, None, None], pixels.flip(3), pixels)
    other = torch.where(flipped[:, None, None, None], pixels, pixels.flip(3))
    assert (views - expected)[middle].abs().mean() < (views - other)[middle].abs().mean()


def test_unknown_tasks_and_empty_runs_are_refused() -> None:
    with pytest.raises(ValueError, match="smell"):
        BackboneSettings(tasks=("kind", "smell"))
    with pytest.raises(ValueError, match="at least 1"):
        BackboneSettings(steps=0)
    with pytest.raises(ValueError, match="crop"):
        BackboneSettings(crop=0.0)
