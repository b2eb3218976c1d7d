"""JSON files of ours, read with their fields of the kinds that readers rely on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from ssl_aug.files import read_json

Kinds = Mapping[str, Any]  # name of a field -> the types that it may have, or the kinds of the fields in it
SHOWN = 60  # characters of a value in a message


def read_record(path: Path, kinds: Kinds, way_out: str, required: Collection[str] = ()) -> dict[str, Any]:
    """A JSON object; fields that are not among the kinds are nobody's and pass.

    Args:
        kinds: those of `kinds_of`, or written out.
        way_out: what a person can do where the file is damaged.
        required: fields that have to be there.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no JSON object, or a field that is missing or of another kind; the field is named.
    """
    content = read_json(path, way_out)
    lacking = [name for name in required if name not in content]
    if lacking:
        raise ValueError(f"{path} lacks {', '.join(lacking)}: {way_out}")
    _require_kinds(path, content, kinds, way_out, "")
    return content


def kinds_of(schema: type) -> Kinds:
    """Each field's types in a dataclass; of a dataclass in it its own kinds."""
    return _kinds_of_fields(cast(Any, schema))


@cache
def _kinds_of_fields(schema: Any) -> Kinds:
    hints = get_type_hints(schema)
    return {each.name: _kinds_of(hints[each.name]) for each in fields(schema)}


def _kinds_of(hint: Any) -> Any:
    if get_origin(hint) in (Union, UnionType):
        return tuple(kind for each in get_args(hint) for kind in _kinds_of(each))
    kind = get_origin(hint) or hint
    return _kinds_of_fields(cast(Any, kind)) if is_dataclass(kind) else (list if kind is tuple else kind,)


def _require_kinds(path: Path, content: dict[str, Any], kinds: Kinds, way_out: str, prefix: str) -> None:
    for name, value in content.items():
        if name not in kinds or kinds[name] == (Any,):  # of another version, or a fact that nobody reads
            continue
        kind = kinds[name]
        if isinstance(kind, Mapping):
            if not isinstance(value, dict):
                raise ValueError(f"{path}: {prefix}{name} is {_short(value)}, no group of settings: {way_out}")
            _require_kinds(path, value, kind, way_out, f"{prefix}{name}.")
        elif type(value) not in kind and not (float in kind and type(value) is int):
            wanted = " or ".join("null" if one is NoneType else one.__name__ for one in kind)
            raise ValueError(f"{path}: {prefix}{name} is {_short(value)}, no {wanted}: {way_out}")


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
