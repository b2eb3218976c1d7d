"""Weights from files: tensors alone, no code in them runs, and a module takes exactly its own."""

from __future__ import annotations

import argparse
import copy
import os
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from generators import ldm, model_folder
from generators.weights import check_fit, fill, load_weights, read_shapes, read_weights


class Payload:
    def __reduce__(self) -> tuple:
        return os.system, ('echo run > "$SSL_AUG_TEST_MARK"',)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_pickle_is_refused_and_nothing_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    monkeypatch.setenv("SSL_AUG_TEST_MARK", str(tmp_path / "ran"))
    path = tmp_path / "model.ckpt"
    torch.save(
        {"state_dict": {"a": torch.ones(1)}, "callbacks": Payload()}, path, _use_new_zipfile_serialization=zipped
    )
    with pytest.raises(ValueError, match="nothing"):
        read_weights(path)
    path.write_bytes(pickle.dumps(Payload()))
    with pytest.raises(ValueError, match="nothing"):
        read_weights(path)
    assert not (tmp_path / "ran").exists()


def test_an_old_lightning_file_is_read_with_stand_ins_for_its_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("pytorch_lightning.callbacks.model_checkpoint")
    callback = type("ModelCheckpoint", (), {"__module__": module.__name__})
    module.ModelCheckpoint = callback  # type: ignore[attr-defined]
    for name in ("pytorch_lightning", "pytorch_lightning.callbacks", module.__name__):
        monkeypatch.setitem(sys.modules, name, module)
    path = tmp_path / "old.ckpt"
    weights = {"a.weight": torch.arange(3.0)}
    torch.save({"state_dict": weights, "callbacks": {callback: {"best": np.float64(0.5)}}, "epoch": 3}, path)
    for name in ("pytorch_lightning", "pytorch_lightning.callbacks", module.__name__):
        monkeypatch.delitem(sys.modules, name)
    assert torch.equal(read_weights(path)["a.weight"], weights["a.weight"])


def test_files_that_hold_no_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_weights(tmp_path / "none.ckpt")
    (tmp_path / "text.ckpt").write_text("hello")
    with pytest.raises(ValueError, match="cannot be read"):
        read_weights(tmp_path / "text.ckpt")
    torch.save([1, 2], tmp_path / "list.ckpt")
    with pytest.raises(ValueError, match="no state dict"):
        read_weights(tmp_path / "list.ckpt")
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    with pytest.raises(ValueError, match="damaged"):
        read_weights(tmp_path / "torn.safetensors")


@pytest.mark.parametrize("name", ["state_dict", "model_state_dict", "model", "net"])
def test_settings_of_a_trainer_beside_its_weights_are_passed_over(name: str, tmp_path: Path) -> None:
    settings = argparse.Namespace(lr=0.1, out=Path("runs"), inner=argparse.Namespace(steps=3))
    torch.save({name: {"weight": torch.ones(2)}, "args": settings, "epoch": 3}, tmp_path / "run.pt")
    assert torch.equal(read_weights(tmp_path / "run.pt")["weight"], torch.ones(2))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("<!DOCTYPE html>\n<html lang=en>", "is a web page, not the weights"),
        ("\n<html><head><title>Sign in", "is a web page, not the weights"),
        ('{"error":"Access to model x/y is restricted"}', "is an error message of the server"),
        ("<?xml version='1.0'?><Error><Code>NoSuchKey", "is an error message of the server"),
    ],
)
def test_what_a_server_sends_in_place_of_weights_is_named(content: str, said: str, tmp_path: Path) -> None:
    for name in ("a.safetensors", "a.ckpt"):
        (tmp_path / name).write_text(content)
        with pytest.raises(ValueError, match=said):
            read_weights(tmp_path / name)


def test_gits_stand_in_for_a_large_file_is_named(tmp_path: Path) -> None:
    for name, read in (("a.safetensors", read_weights), ("a.safetensors", read_shapes), ("a.bin", read_weights)):
        (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 3438167536\n")
        with pytest.raises(ValueError, match=rf"{name} is a Git LFS pointer, not the weights: run git lfs pull"):
            read(tmp_path / name)


def test_shapes_are_read_from_the_head_of_a_file_that_is_all_there(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"weight": torch.ones(2, 3), "scale": torch.ones(())}, path)
    shapes = read_shapes(path)
    assert {name: tuple(tensor.shape) for name, tensor in shapes.items()} == {"weight": (2, 3), "scale": ()}
    assert all(tensor.is_meta for tensor in shapes.values())
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"a\.safetensors is damaged or not all there"):
        read_shapes(path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_shapes(tmp_path / "none.safetensors")


def test_a_program_in_torchs_own_format_is_refused(tmp_path: Path) -> None:
    torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "program.pt")
    with pytest.raises(ValueError, match=r"program\.pt cannot be read as a file of weights"):
        read_weights(tmp_path / "program.pt")


def test_all_that_does_not_fit_is_named_at_once() -> None:
    weights = {"a": torch.ones(2), "b": torch.ones(3), "extra": torch.ones(1)}
    with pytest.raises(ValueError) as error:
        check_fit(weights, {"a": (2,), "b": (2, 3), "c": (1,)}, "model.ckpt is of another model")
    assert str(error.value) == (
        "model.ckpt is of another model: 1 missing (c); 1 unknown (extra); 1 of another shape (b [3] for [2, 3])"
    )
    check_fit(weights, {"a": (2,), "b": (3,), "extra": (1,)}, "")


def test_a_module_keeps_its_own_precision_and_all_its_weights_where_one_does_not_fit() -> None:
    module = nn.Linear(2, 2)
    before = copy.deepcopy(module.state_dict())
    with pytest.raises(ValueError, match=r"no: 1 missing \(bias\)"):
        fill(module, {"weight": torch.full((2, 2), 7.0)}, "no")
    assert torch.equal(module.weight, before["weight"])
    fill(module, {"weight": torch.full((2, 2), 7.0).half(), "bias": torch.ones(2).half()}, "no")
    assert module.weight.dtype == torch.float32
    assert module.weight.unique().item() == 7


def test_a_null_token_of_another_width_is_refused(tiny_model: ldm.LatentDiffusion, tmp_path: Path) -> None:
    model_folder.save(tiny_model, tmp_path)
    for width in (1, 8):  # one value would be spread over all of them without a word
        save_file({"null_token": torch.ones(1, width)}, tmp_path / "null_token.safetensors")
        with pytest.raises(ValueError, match=rf"null_token \[1, {width}\] for \[1, 16\]"):
            model_folder.load(tmp_path)
    (tmp_path / "null_token.safetensors").write_bytes(b"torn")
    with pytest.raises(ValueError, match=r"null_token\.safetensors is damaged"):
        model_folder.load(tmp_path)


def test_weights_of_a_file_fill_a_module(tmp_path: Path) -> None:
    source, module = nn.Linear(2, 2), nn.Linear(2, 2)
    save_file(source.state_dict(), tmp_path / "linear.safetensors")
    load_weights(module, tmp_path / "linear.safetensors")
    assert torch.equal(module.weight, source.weight)
    with pytest.raises(ValueError, match=r"linear\.safetensors does not fit the model: .* of another shape"):
        load_weights(nn.Linear(3, 2), tmp_path / "linear.safetensors")
