"""Which activation CLIP weights were trained with: tensors of QuickGELU and GELU have the same names and shapes."""

from __future__ import annotations

from pathlib import Path

from generators.files import read_json

CLIP_CONFIG = "open_clip_config.json"  # lies beside the weights where open_clip published or saved them


def check_activation(path: Path, name: str, is_quick: bool) -> None:
    """Compares a file of weights with the config beside it, where there is one.

    Args:
        name: open_clip's, of the model that they are loaded into.
        is_quick: whether that model computes with QuickGELU.

    Raises:
        ValueError: the weights were trained with the other activation, or the config is damaged.
    """
    beside = path.parent / CLIP_CONFIG
    if not beside.is_file():
        return
    model = read_json(beside, "copy it again, or remove it").get("model_cfg")
    if not isinstance(model, dict):
        raise ValueError(f"{beside} has no model_cfg: copy it again, or remove it")
    theirs = bool(model.get("quick_gelu", False))
    if theirs != is_quick:
        kinds = {True: "QuickGELU", False: "GELU"}
        raise ValueError(
            f"generator.clip_checkpoint={path} is of a CLIP with {kinds[theirs]} ({beside.name}: quick_gelu), and "
            f"{name} computes with {kinds[is_quick]}: give weights of {name}, or mend the file if it is wrong"
        )
