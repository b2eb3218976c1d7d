"""The classifier's layers, and that wrong weights are refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from benchmarks import model as model_module
from benchmarks.model import Inputs, build_bottleneck, build_classifier, load_weights, normalized
from benchmarks.settings import ModelSettings
from ssl_aug.pretrain import record

TINY = "test_resnet"


@pytest.fixture
def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    return dict(timm.create_model(TINY, num_classes=7).state_dict())


def test_the_bottleneck_starts_as_the_benchmarks() -> None:
    torch.manual_seed(0)
    linear, norm, _, dropout = build_bottleneck(300, 400, 0.5)
    assert linear.weight.std().item() == pytest.approx(0.005, rel=0.02) and abs(linear.weight.mean().item()) < 1e-4
    assert (linear.bias == 0.1).all() and norm.num_features == 400 and dropout.p == 0.5


def test_logits_features_and_inputs() -> None:
    settings = ModelSettings(name=TINY, bottleneck_width=16, image_size=32, mean=[0.1, 0.2, 0.3])
    classifier, inputs = build_classifier(settings, 7)
    classifier.eval()
    images = torch.rand(2, 3, 32, 32)
    assert classifier(images).shape == (2, 7) and classifier.features(images).shape == (2, 16)
    assert inputs == Inputs(32, (0.1, 0.2, 0.3), tuple(timm.create_model(TINY).pretrained_cfg["std"]))


def test_logits_are_float32_whatever_the_layers_compute_in() -> None:
    classifier, _ = build_classifier(ModelSettings(name=TINY, bottleneck_width=16, image_size=32), 7)
    with torch.autocast("cpu", torch.bfloat16):
        logits = classifier(torch.rand(2, 3, 32, 32))
    assert logits.dtype == torch.float32
    assert not torch.equal(logits, logits.bfloat16().float())  # not merely widened after the head has rounded


def test_normalized_is_zero_at_the_mean_and_one_a_deviation_above() -> None:
    images = torch.tensor([51, 102, 204], dtype=torch.uint8).view(1, 3, 1, 1)
    values = normalized(images, Inputs(1, (0.2, 0.2, 0.4), (0.5, 0.2, 0.2))).flatten()
    torch.testing.assert_close(values, torch.tensor([0.0, 1.0, 2.0]))


@pytest.mark.parametrize("file", ["w.safetensors", "w.pth"])
def test_weights_come_from_a_file_and_its_old_classifier_is_left_out(
    tmp_path: Path, weights: dict[str, torch.Tensor], file: str
) -> None:
    if file.endswith("safetensors"):
        save_file(weights, tmp_path / file)
    else:
        torch.save({"state_dict": weights}, tmp_path / file)
    settings = ModelSettings(name=TINY, checkpoint=str(tmp_path / file), bottleneck_width=16, image_size=32)
    classifier, _ = build_classifier(settings, 3)
    for name, value in classifier.backbone.state_dict().items():
        assert torch.equal(value, weights[name]), name


@pytest.mark.parametrize("prefix", ["module.", "model.", "module.backbone.", "_orig_mod.module."])
def test_what_trainers_put_in_front_of_names_is_left_out_and_said(
    tmp_path: Path, weights: dict[str, torch.Tensor], prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wrapped = {prefix + name: tensor for name, tensor in weights.items()}
    torch.save({"state_dict": {**wrapped, "criterion.weight": torch.ones(1)}}, tmp_path / "last.ckpt")
    backbone = timm.create_model(TINY, num_classes=0)
    load_weights(backbone, tmp_path / "last.ckpt")
    assert all(torch.equal(tensor, weights[name]) for name, tensor in backbone.state_dict().items())
    assert f"names are read without their {prefix}, and 1 others were left out" in capsys.readouterr().err
    torch.save({"ours." + name: tensor for name, tensor in weights.items()}, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match="does not fit"):
        load_weights(backbone, tmp_path / "last.ckpt")


def test_old_files_without_batch_counters_fit(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    old = {name: value for name, value in weights.items() if not name.endswith("num_batches_tracked")}
    assert len(old) < len(weights)
    save_file(old, tmp_path / "old.safetensors")
    backbone = timm.create_model(TINY, num_classes=0)
    load_weights(backbone, tmp_path / "old.safetensors")
    assert torch.equal(backbone.state_dict()["conv1.0.weight"], weights["conv1.0.weight"])


def test_wrong_weights_list_what_does_not_fit(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    del weights["conv1.0.weight"]
    weights["bn1.weight"] = torch.ones(3)
    weights["extra.weight"] = torch.ones(1)
    save_file(weights, tmp_path / "wrong.safetensors")
    with pytest.raises(ValueError) as caught:
        load_weights(timm.create_model(TINY, num_classes=0), tmp_path / "wrong.safetensors")
    assert "missing: conv1.0.weight; unexpected: extra.weight; of another shape: bn1.weight" in str(caught.value)


@pytest.mark.parametrize("file", ["w.safetensors", "w.pth"])
def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_bytes(b"something else altogether")
    said = r"model.checkpoint=.*(w.safetensors is damaged|w.pth cannot be read as a file of weights)"
    with pytest.raises(ValueError, match=said):
        load_weights(timm.create_model(TINY, num_classes=0), tmp_path / file)
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        load_weights(timm.create_model(TINY, num_classes=0), tmp_path / f"none{file}")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (ModelSettings(name="resnet_fifty"), "timm has no such model; close: "),
        (ModelSettings(name=TINY, arguments={"colour": 3}), "timm refuses it"),
    ],
)
def test_an_unknown_model_or_argument_is_named(settings: ModelSettings, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_classifier(settings, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"checkpoint": "x.safetensors"},
        {"pretrained": True},
        {"arguments": {"a": 1}},
        {"bottleneck_width": 0},
        {"dropout": 1.0},
        {"image_size": 4},
        {"mean": [1.0, 2.0, 0.0]},
        {"std": [0.0, 0.1, 0.1]},
    ],
)
def test_settings_without_effect_or_sense_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=f"model.{next(iter(wrong))}"):
        ModelSettings(**wrong)


def test_pretrained_weights_that_are_not_here_say_what_to_download(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(name: str, num_classes: int, pretrained: bool = False) -> None:
        raise OSError("no route to the hub")

    monkeypatch.setattr(model_module.timm, "create_model", no_network)
    settings = ModelSettings(name="resnet50.tv_in1k", pretrained=True)
    with pytest.raises(ValueError, match=r"download https://\S+resnet50\S+ and give model.checkpoint=FILE"):
        build_classifier(settings, 3)


def test_embedded_weights_are_those_their_card_describes(
    tmp_path: Path, weights: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_module, "EMBEDDED", tmp_path)
    settings = ModelSettings(bottleneck_width=16)
    with pytest.raises(FileNotFoundError, match=r"ssl_aug\.pretrain"):
        build_classifier(settings, 3)
    save_file(weights, tmp_path / "backbone.safetensors")
    card = {"name": TINY, "arguments": {}, "mean": [0.5] * 3, "std": [0.2] * 3, "image_size": 48}
    (tmp_path / "backbone.json").write_text(json.dumps(card))
    record.note(tmp_path, "backbone", {})
    classifier, inputs = build_classifier(settings, 3)
    assert torch.equal(classifier.backbone.state_dict()["conv1.0.weight"], weights["conv1.0.weight"])
    assert inputs == Inputs(48, (0.5,) * 3, (0.2,) * 3)
    (tmp_path / "backbone.json").write_text(json.dumps(card | {"image_size": 64}))
    with pytest.raises(ValueError, match=r"backbone\.json is not the file that pretraining\.json describes"):
        build_classifier(settings, 3)
