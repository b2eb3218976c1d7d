"""Networks of a diffusers pipeline: made from their settings, compared with the heads of their files, filled."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from generators.weights import check_fit, read_shapes, read_weights

Renaming = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]  # tensors under a file's names -> under the network's
_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
_OLD_NAME = re.compile(rf"((?:^|\.)attentions\.\d+\.)({'|'.join(_OLD_ATTENTION)})\.")


def settings_of(config: Mapping[str, Any], part: Path, *kinds: Any) -> dict[str, Any]:
    """The settings in a part's `config.json`, as diffusers' class takes them.

    Raises:
        ValueError: the file is of none of these classes.
    """
    names = [kind.__name__ for kind in kinds]
    if config.get("_class_name") not in names:
        raise ValueError(
            f"{part / 'config.json'}: _class_name {config.get('_class_name')}, this reads {' or '.join(names)}"
        )
    return {key: value for key, value in config.items() if not key.startswith("_")}


def build_network(kind: Any, settings: Mapping[str, Any], part: Path) -> Any:
    """A network of diffusers'; its weights are random, or none on the meta device.

    Raises:
        ValueError: a setting that diffusers does not know, or settings that make no network.
    """
    try:
        return kind(**settings)
    except (TypeError, ValueError, LookupError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{part / 'config.json'} makes no {kind.__name__}: {reason}") from error


def check_weights(part: Path, network: nn.Module, files: tuple[Path, ...], renamed: Renaming) -> None:
    """Compares names and shapes of all tensors with what stands in the heads of the files.

    Raises:
        ValueError: some are missing, unknown or of another shape, or a file is damaged.
    """
    found: dict[str, Tensor] = {}
    for file in files:
        found |= read_shapes(file)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    check_fit(renamed(found), shapes, f"{part} does not fit its config.json")


def fill_network(network: nn.Module, files: tuple[Path, ...], renamed: Renaming) -> None:
    """Gives a network, made on the meta device, exactly its tensors, in float32 on the CPU."""
    weights: dict[str, Tensor] = {}
    for file in files:
        weights |= read_weights(file)
    # copies, in memory of their own: within a file tensors lie at any place, and where they lie moves the last digits
    copies = {name: tensor.to(torch.float32, copy=True).contiguous() for name, tensor in renamed(weights).items()}
    network.load_state_dict(copies, strict=True, assign=True)


def attention_renamed(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under today's names: the attention blocks' were others when the first pipelines were published."""
    return {
        _OLD_NAME.sub(lambda found: f"{found[1]}{_OLD_ATTENTION[found[2]]}.", name): tensor
        for name, tensor in theirs.items()
    }
