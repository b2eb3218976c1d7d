"""What we write and read again: finite, and any damage is seen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from generators.kept_weights import read_own, read_state, write_state, write_weights
from generators.weights import read_weights

WEIGHTS = {
    "b.weight": torch.arange(6.0).reshape(2, 3).T,  # not contiguous
    "a.bias": torch.ones((), dtype=torch.bfloat16),
    "none": torch.ones(0),
    "count": torch.tensor([3]),
}


def flipped(path: Path, place: int) -> None:
    """Another bit in one byte, counted from the end."""
    content = bytearray(path.read_bytes())
    content[-1 - place] ^= 4
    path.write_bytes(content)


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    write_weights(WEIGHTS, path, "lower", {"step": 3, "scale": 0.1})
    weights, facts = read_own(path, "")
    assert facts["step"] == 3 and facts["scale"] == 0.1
    for found in (weights, read_weights(path)):
        assert found.keys() == WEIGHTS.keys()
        for name, tensor in WEIGHTS.items():
            assert torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype
    before = path.read_bytes()
    write_weights(dict(reversed(WEIGHTS.items())), path, "lower", {"step": 3, "scale": 0.1})
    assert path.read_bytes() == before and path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("place", [0, 7, 30, 41])
def test_a_bit_that_was_flipped_is_seen(place: int, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    write_weights(WEIGHTS, path, "lower")
    flipped(path, place)
    with pytest.raises(ValueError, match=r"weights\.safetensors is damaged.*: begin again"):
        read_own(path, "begin again")
    with pytest.raises(ValueError, match="is damaged"):
        read_weights(path)


def test_every_bit_of_a_state_counts(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    state = {"settings": {"steps": 3}, "tensors": [torch.arange(50.0)], "losses": torch.ones(3)}
    write_state(state, path)
    whole, found = path.read_bytes(), read_state(path, "")
    assert found["settings"] == state["settings"] and torch.equal(found["tensors"][0], torch.arange(50.0))
    start = whole.index(torch.arange(50.0).numpy().tobytes())
    for place in (start, start + 77, start + 199):
        path.write_bytes(whole)
        flipped(path, len(whole) - 1 - place)
        with pytest.raises(ValueError, match=r"checkpoint\.pt is damaged: remove it"):
            read_state(path, "remove it")
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"checkpoint\.pt is damaged: remove it"):
            read_state(path, "remove it")


@pytest.mark.parametrize("spoiled", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_not_saved(spoiled: float, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    with pytest.raises(
        ValueError, match=re.escape("the weights are not saved, b.weight is not finite (nan or inf): lower it")
    ):
        write_weights({**WEIGHTS, "b.weight": torch.tensor([1.0, spoiled])}, path, "lower it")
    assert not path.exists()


def test_files_of_others_are_not_ours(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"weight": torch.ones(2)}, tmp_path / "other.safetensors", {"format": "pt"})
    assert torch.equal(read_weights(tmp_path / "other.safetensors")["weight"], torch.ones(2))
    with pytest.raises(ValueError, match=r"other\.safetensors is damaged or of another program: begin again"):
        read_own(tmp_path / "other.safetensors", "begin again")
