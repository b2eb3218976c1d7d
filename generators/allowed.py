"""What a setting takes: said in its type, and checked in one place. No torch here, so that `--help` is instant.

    steps: AtLeast1 = 200
    mask_rate: Annotated[float, Range(0, 1, below=True, low_means="no mask")] | None = None

`check`, called from `__post_init__`, reads these types. Numbers are finite, whatever else is said of them.
"""

from __future__ import annotations

import math
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Union, cast, get_args, get_origin, get_type_hints

LARGEST = 2**63 - 1  # of a whole number, where nothing lower is said: what torch counts with
LARGEST_FLOAT = 1e30  # either way: products of settings must stay what float32 holds
SHOWN = 80  # characters of a value in a message
KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", dict: "names with values"}


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, in words as well."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False  # `low` itself is not taken
    below: bool = False  # `high` itself is not taken
    low_means: str = ""  # what `low` does, such as "off"
    unit: str = ""  # behind a lone lower end, such as "pixels"
    why: str = ""  # behind all that: a reason, or the way out

    def takes(self, value: float) -> bool:
        """Whether a number lies in the range."""
        is_above = value > self.low if self.above else value >= self.low
        return is_above and (value < self.high if self.below else value <= self.high)

    def __str__(self) -> str:
        low, high = (
            str(int(end)) if math.isfinite(end) and end == int(end) else str(end) for end in (self.low, self.high)
        )
        means = f" ({self.low_means})" if self.low_means else ""
        start = f"above {low}" if self.above else f"{low}{means}"
        if math.isinf(self.high):
            unit = f" {self.unit}" if self.unit else ""
            words = "" if math.isinf(self.low) else start + unit if self.above else f"{start}{unit} or more"
        else:
            words = f"{start} to {'below ' if self.below else ''}{high}"
        return words + (f", {self.why}" if self.why and words else self.why)


@dataclass(frozen=True)
class OneOf:
    """Texts that are names of something."""

    choices: tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """A text that is a file or a folder (or may be): `~` is the home folder, and empty is a slip."""


@dataclass(frozen=True)
class Words:
    """A text in a person's words; like a place it is taken from a command line as it is written."""


AtLeast1 = Annotated[int, Range(1)]
AtLeast0 = Annotated[int, Range(0)]
Above0 = Annotated[float, Range(0, above=True)]  # learning rates and the like
NotNegative = Annotated[float, Range(0)]
Fraction = Annotated[float, Range(0, 1)]
Below1 = Annotated[float, Range(0, 1, below=True)]  # decays and the like
ImageSize = Annotated[int, Range(8, unit="pixels")]
Share = Annotated[float, Range(0, 1, above=True)]  # of something that is not left out whole
AnyWhole = Annotated[int, Range()]  # a seed: of any size, it is hashed
PathText = Annotated[str, Place()]
FreeText = Annotated[str, Words()]


@dataclass(frozen=True)
class Allowed:
    """A field's type, taken apart."""

    kind: Any  # bool, int, float, str, dict, a dataclass of settings, or Any
    rule: Range | OneOf | Place | Words | None
    may_be_null: bool
    is_list: bool


@cache
def allowed(schema: type) -> Mapping[str, Allowed]:
    """What each field of a dataclass takes."""
    hints = get_type_hints(schema, include_extras=True)
    return {field.name: _taken_apart(hints[field.name]) for field in fields(schema)}


def _taken_apart(hint: Any) -> Allowed:
    if get_origin(hint) in (Union, types.UnionType):
        (inner,) = (each for each in get_args(hint) if each is not type(None))
        one = _taken_apart(inner)
        return Allowed(one.kind, one.rule, True, one.is_list)
    if get_origin(hint) is list:
        one = _taken_apart(get_args(hint)[0])
        return Allowed(one.kind, one.rule, False, True)
    if get_origin(hint) is Annotated:
        kind, rule, *_ = get_args(hint)
        return Allowed(kind, rule, False, False)
    return Allowed(get_origin(hint) or hint, None, hint is Any, False)


def leaves(schema: type, prefix: str = "") -> Iterator[tuple[str, Allowed]]:
    """The settings of a schema and of those in it, by their names on the command line."""
    for name, field in allowed(schema).items():
        if is_dataclass(field.kind):
            yield from leaves(cast(type, field.kind), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def check(settings: Any, prefix: str = "") -> None:
    """Checks every field of a dataclass of settings against its type, and settles its paths.

    Args:
        prefix: what stands before a field's name on the command line, such as "tune.".

    Raises:
        ValueError: a value of another kind, that is not finite, or out of its range, in one line that names the
            setting, the value and what is allowed.
    """
    for name, field in allowed(type(settings)).items():  # type: ignore[arg-type]  # mypy: no type hashes
        value = getattr(settings, name)
        if value is None and field.may_be_null:
            continue
        if isinstance(field.rule, Place) and isinstance(value, Path):
            value = str(value)
        told = f"{prefix}{name}={shown(value)}"
        if field.is_list:
            if not isinstance(value, list | tuple):
                raise ValueError(f"{told}: give a list in brackets{_or_null(field)}")
            for each in value:
                _check_one(each, field, told)
        else:
            _check_one(value, field, told)
            if isinstance(field.rule, Place):
                object.__setattr__(settings, name, _settled_path(value, told))


def _check_one(value: Any, field: Allowed, told: str) -> None:
    kind, rule = field.kind, field.rule
    if kind is dict or kind is Any:
        if kind is dict and not isinstance(value, dict):
            raise ValueError(f"{told}: give {KINDS[dict]}")
        if not all(math.isfinite(each) for each in _floats_in(value)):
            raise ValueError(f"{told}: give finite numbers")
    elif is_dataclass(kind):
        if not isinstance(value, cast(type, kind)):
            raise ValueError(f"{told}: give {cast(type, kind).__name__}")
    elif kind in KINDS and not _is_of_kind(value, kind):
        raise ValueError(f"{told}: give {KINDS[kind]}{_or_null(field)}")
    elif isinstance(rule, OneOf):
        if value not in rule.choices:
            raise ValueError(f"{told}: choose one of {', '.join(rule.choices)}{_or_null(field)}")
    elif kind in (int, float):
        _check_number(value, kind, rule if isinstance(rule, Range) else None, told, _or_null(field))


def _check_number(value: float, kind: type, rule: Range | None, told: str, or_null: str) -> None:
    words = "" if rule is None else str(rule)
    if kind is float and not _is_finite(value):
        raise ValueError(f"{told}: give a finite number{', ' if words else ''}{words}{or_null}")
    if kind is float and abs(value) > LARGEST_FLOAT:
        raise ValueError(f"{told}: give a number within {LARGEST_FLOAT:g}{or_null}")
    if rule is not None and not rule.takes(value):
        raise ValueError(f"{told}: give {words}{or_null}")
    if kind is int and rule != Range() and value > LARGEST:
        raise ValueError(f"{told}: give {LARGEST} or less{or_null}")


def _is_of_kind(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        return False


def _floats_in(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _floats_in(each)


def _or_null(field: Allowed) -> str:
    return ", or null" if field.may_be_null else ""


def _settled_path(text: str, told: str) -> str:
    if not text.strip() or "\0" in text:
        raise ValueError(f"{told}: name a file or folder, or leave it out")
    return str(user_path(text)) if text.startswith("~") else text  # else as it is: it may be a name on the hub


def user_path(text: str) -> Path:
    """A path as a person writes it: `~` and `~name` are home folders.

    Raises:
        ValueError: there is no such home folder.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        home = text.partition("/")[0]
        raise ValueError(
            f"{text}: {home} is no home folder here, write the path in full (./{home} for its name)"
        ) from error


def shown(value: Any) -> str:
    """A value as the command line writes it, in one line and not too long."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    try:
        text = str(value)
    except ValueError:  # a whole number with more digits than Python writes out
        return "a number of thousands of digits"
    if not text.strip() or text != text.strip() or not text.isprintable():
        text = repr(text)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
