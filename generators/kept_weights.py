"""Weights and states that we write and read again: finite numbers, with a checksum by which damage is seen."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from generators.files import part_beside, removed_at_last

# What torch's reader of weights raises on a file that holds something else: it takes the bytes as they come.
OF_DAMAGED_FILES = (RuntimeError, EOFError, LookupError, ValueError, AttributeError, TypeError)
WRITTEN = "weights.safetensors"  # until it is in its place
OWN = "ssl_aug"  # the one entry beside our tensors: several would stand in an order that changes


def refuse_non_finite(weights: Mapping[str, Tensor], what: str, way_out: str) -> None:
    """What is asked before weights are written: a file of nan or inf would be taken for finished work.

    Args:
        what: which weights, in words.
        way_out: what a person can do.

    Raises:
        ValueError: a weight that is nan or inf, in one line.
    """
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{what} are not saved, {name} is not finite (nan or inf): {way_out}")


def write_weights(
    weights: Mapping[str, Tensor],
    path: Path,
    way_out: str,
    facts: Mapping[str, Any] | None = None,
    what: str = "the weights",
) -> None:
    """A .safetensors file with a checksum of its tensors, and with facts beside them where there are any.

    Raises:
        ValueError: as `refuse_non_finite`; nothing is written then.
        OSError: the disk is full, or cannot be written to.
    """
    refuse_non_finite(weights, what, way_out)
    # contiguous copies on the CPU: the format stores neither strides nor tensors that share memory
    kept = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}
    own = json.dumps({"sha256": _digest(kept), **(facts or {})})
    room = part_beside(path)  # the library writes beside the file under a name of its own, which nobody would sweep
    try:
        with removed_at_last(room):
            room.mkdir()
            save_file(kept, room / WRITTEN, {OWN: own})
            (room / WRITTEN).replace(path)
    except SafetensorError as error:
        code = re.search(r"os error (\d+)", str(error))
        if code is None:
            raise
        raise OSError(int(code[1]), os.strerror(int(code[1])), str(path)) from error
    path.chmod(0o644)  # the library lets only the owner read


def read_own(path: Path, way_out: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a file that `write_weights` wrote, and the facts beside them.

    Raises:
        ValueError: a damaged file, or one of somebody else.
    """
    try:
        weights, facts = dict(load_file(path)), _own_facts(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}): {way_out}") from error
    if facts is None:
        raise ValueError(f"{path} is damaged or of another program: {way_out}")
    check_digest(path, weights, way_out)
    return weights, {name: value for name, value in facts.items() if name != "sha256"}


def write_state(content: Mapping[str, Any], path: Path) -> None:
    """Plain data and tensors as a file of PyTorch's.

    Raises:
        OSError: the disk is full, or cannot be written to.
    """
    with path.open("wb") as file:
        try:
            torch.save(dict(content), file)
        except RuntimeError as error:  # of torch's own writer, around what the disk said
            if isinstance(error.__context__, OSError):
                error.__context__.filename = str(path)
                raise error.__context__ from None
            raise


def read_state(path: Path, way_out: str) -> dict[str, Any]:
    """What `write_state` wrote, on the CPU.

    Raises:
        ValueError: a damaged file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # which torch does not look at
        if damaged is not None:
            raise ValueError(f"{damaged} has another checksum")
        content: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu", mmap=True)
    except (pickle.UnpicklingError, zipfile.BadZipFile, *OF_DAMAGED_FILES) as error:
        raise ValueError(f"{path} is damaged: {way_out}") from error
    return content


def _digest(weights: Mapping[str, Tensor]) -> str:
    """sha256 of names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _own_facts(path: Path) -> dict[str, Any] | None:
    """What `write_weights` put beside the tensors; None in a file of somebody else."""
    with safe_open(path, "pt") as file:
        own = (file.metadata() or {}).get(OWN)
    try:
        facts = json.loads(own or "null")
    except json.JSONDecodeError:
        return {"sha256": "damaged"}
    return facts if isinstance(facts, dict) else None


def check_digest(path: Path, weights: Mapping[str, Tensor], way_out: str) -> None:
    """Raises ValueError where a file of ours holds other tensors than were written; others' files have no checksum."""
    facts = _own_facts(path)
    if facts is not None and facts.get("sha256") != _digest(weights):
        raise ValueError(f"{path} is damaged (its tensors have another checksum): {way_out}")
