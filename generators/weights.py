"""Weights from files: tensors and nothing else, no code in them is run, and a module takes all of them or none."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from generators.files import check_head, check_present
from generators.kept_weights import OF_DAMAGED_FILES, check_digest

# Where settings and callbacks come from that trainers save beside their weights.
_OF_TRAINERS = ("argparse.Namespace", "pytorch_lightning.", "lightning.", "omegaconf.", "pathlib.", "__main__.")


_OF_STATE = ("state_dict", "model_state_dict", "model", "net")  # what they call the weights themselves


class _StandIn:
    """An object that was made of anything and holds nothing."""

    def __init__(self, *parts: object):
        pass


# ---------------------------------------------------------------------------------------------------------------------
# reading


def read_weights(path: Path, way_out: str = "restore it") -> dict[str, Tensor]:
    """Names and tensors of a .safetensors file or one of PyTorch's.

    Files of trainers name classes of their settings and callbacks: these become empty stand-ins. No other foreign name
    is let in, so nothing in the file can run.

    Args:
        way_out: what a person can do where a .safetensors file is damaged.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another kind of file, a damaged one, or one that asks for code.
    """
    check_present(path)
    if path.suffix == ".safetensors":
        try:
            weights = dict(load_file(path))
        except SafetensorError as error:
            raise ValueError(f"{path} is damaged ({error}): {way_out}") from error
        check_digest(path, weights, way_out)
        return weights
    content = _read_torch(path)
    state = content
    if isinstance(content, dict):
        state = next((content[name] for name in _OF_STATE if isinstance(content.get(name), dict)), content)
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise ValueError(f"{path} holds no state dict of tensors: give a file that does")
    return state


def read_shapes(path: Path) -> dict[str, Tensor]:
    """Names and shapes of a .safetensors file, as tensors without content: reads no more than the file's head.

    Raises:
        FileNotFoundError, ValueError: as `generators.files.check_head`.
    """
    check_head(path)
    with safe_open(path, "pt") as file:
        shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def read_one_of(path: Path, names: Sequence[str]) -> Tensor | None:
    """The first of these tensors that a .safetensors file holds, without reading the others.

    Raises:
        FileNotFoundError, ValueError: as `read_shapes`.
    """
    held = read_shapes(path)
    with safe_open(path, "pt") as file:
        return next((file.get_tensor(name) for name in names if name in held), None)


def _read_torch(path: Path) -> Any:
    allowed = _allowed_names(path)
    try:
        with torch.serialization.safe_globals(allowed), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about the pickle's version: what matters is raised
            return _load_tensors(path)
    except (pickle.UnpicklingError, *OF_DAMAGED_FILES) as error:
        reason = " ".join(str(error).split())[:160]
        raise ValueError(f"{path} cannot be read as a file of weights ({reason}); nothing in it was run") from error


def _load_tensors(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError:  # files of before PyTorch 1.6 cannot be mapped
        return torch.load(path, map_location="cpu", weights_only=True)


def _allowed_names(path: Path) -> list[Any]:
    """What the file may name beside tensors.

    Raises:
        ValueError: it names something else.
    """
    try:
        foreign = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except (pickle.UnpicklingError, *OF_DAMAGED_FILES):
        foreign = []  # not a zip file: an old one, or no checkpoint at all; the reader says which
    of_trainers = {name for name in foreign if name.startswith(_OF_TRAINERS)}
    of_numpy = _numpy_names()
    refused = sorted(set(foreign) - of_trainers - of_numpy.keys())
    if refused:
        raise ValueError(
            f"{path} asks for code ({', '.join(refused[:3])}), which a file of weights has no need of: nothing was "
            "run; take the file from its publisher, or one in the safetensors format"
        )
    stand_ins = {name: type(name.rpartition(".")[2], (_StandIn,), {}) for name in of_trainers}
    return [(kind, name) for name, kind in {**stand_ins, **of_numpy}.items()]


def _numpy_names() -> dict[str, Any]:
    """What numbers of NumPy are unpickled with, by the names of its versions 1 and 2."""
    scalar = np._core.multiarray.scalar  # type: ignore[attr-defined]
    names = {f"numpy.{core}.multiarray.scalar": scalar for core in ("core", "_core")}
    kinds = {f"numpy.dtypes.{type(np.dtype(kind)).__name__}": type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8")}
    return {**names, "numpy.dtype": np.dtype, **kinds}


# ---------------------------------------------------------------------------------------------------------------------
# filling a module


def check_fit(weights: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], complaint: str) -> None:
    """Compares weights with the shapes that are expected.

    Raises:
        ValueError: `complaint`, and how many tensors are missing, unknown or of another shape; the first are named.
    """
    missing = [name for name in shapes if name not in weights]
    unknown = [name for name in weights if name not in shapes]
    misshaped = [
        f"{name} {list(weights[name].shape)} for {list(shape)}"
        for name, shape in shapes.items()
        if name in weights and tuple(weights[name].shape) != shape
    ]
    if missing or unknown or misshaped:
        found = (("missing", missing), ("unknown", unknown), ("of another shape", misshaped))
        listed = "; ".join(f"{len(names)} {what} ({', '.join(names[:3])})" for what, names in found if names)
        raise ValueError(f"{complaint}: {listed}")


def fill(module: nn.Module, weights: Mapping[str, Tensor], complaint: str) -> None:
    """Gives a module exactly its tensors, in its own precision.

    Raises:
        ValueError: as `check_fit`.
    """
    wanted = module.state_dict()
    check_fit(weights, {name: tuple(tensor.shape) for name, tensor in wanted.items()}, complaint)
    module.load_state_dict({name: tensor.to(wanted[name].dtype) for name, tensor in weights.items()})


def load_weights(module: nn.Module, path: Path) -> None:
    """Gives a module exactly its tensors from a file.

    Raises:
        ValueError: a damaged file, or a tensor is missing, unknown or of another shape; the first ones are named.
    """
    fill(module, read_weights(path), f"{path} does not fit the model")
