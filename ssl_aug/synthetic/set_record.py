"""generator.json, a set's record, with its fields of the kinds that readers rely on."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

from ssl_aug.files import read_json
from ssl_aug.settings import Settings

NAME = "generator.json"
PLACES = "places"  # where data and weights lay, which decides nothing and may change
WAY_OUT = "restore the file from a copy, or draw the set again into another folder (generate: --out)"
# beside the settings; generator.checkpoint: owner/name@commit of weights of the hub
OWN = {
    "labeled_set_id": (str,), "imported": (bool,), "num_images": (int,), "class_names": (list,), PLACES: (dict,),
    "generator.checkpoint": (str,),
}  # fmt: skip


def record_of(folder: Path) -> dict[str, Any]:
    """A set's record.

    Raises:
        ValueError: no JSON, or a field that is missing or of another kind; the field is named.
    """
    path = folder / NAME
    record = read_json(path)
    if "labeled_set_id" not in record:
        raise ValueError(f"{path} has no labeled_set_id: {WAY_OUT}")
    _require_kinds(path, record, {**_kinds(Settings), **OWN}, "")
    if not all(isinstance(name, str) for name in record.get("class_names", ())):
        raise ValueError(f"{path}: class_names holds something else than names: {WAY_OUT}")
    if not all(isinstance(place, str) for place in record.get(PLACES, {}).values()):
        raise ValueError(f"{path}: {PLACES} holds something else than paths: {WAY_OUT}")
    return record


def _require_kinds(path: Path, content: dict[str, Any], kinds: dict[str, Any], prefix: str) -> None:
    for name, value in content.items():
        if name not in kinds:  # of another version, or a fact that nobody reads
            continue
        kind = kinds[name]
        if isinstance(kind, dict):
            if not isinstance(value, dict):
                raise ValueError(f"{path}: {prefix}{name} is {_short(value)}, no group of settings: {WAY_OUT}")
            _require_kinds(path, value, kind, f"{prefix}{name}.")
        elif type(value) not in kind and not (float in kind and type(value) is int):
            wanted = " or ".join("null" if one is NoneType else one.__name__ for one in kind)
            raise ValueError(f"{path}: {prefix}{name} is {_short(value)}, no {wanted}: {WAY_OUT}")


@cache
def _kinds(schema: type) -> dict[str, Any]:
    """Each setting's types; of settings within settings a dictionary."""
    hints = get_type_hints(schema)
    return {each.name: _kinds_of(hints[each.name]) for each in fields(schema)}


def _kinds_of(hint: Any) -> Any:
    return _kinds(hint) if isinstance(hint, type) and is_dataclass(hint) else get_args(hint) or (hint,)


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
