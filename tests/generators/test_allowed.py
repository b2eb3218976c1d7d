"""What a setting takes is said in its type, and one check refuses all else in one line."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pytest

from generators.allowed import AnyWhole, AtLeast1, OneOf, PathText, Range, check, user_path


@dataclass(frozen=True)
class Inner:
    weight: Annotated[float, Range(0, above=True, why="or for none leave it out")] = 1.0


@dataclass(frozen=True)
class Of:
    steps: AtLeast1 = 3
    seed: AnyWhole = 0
    rate: Annotated[float, Range(0, 1, below=True, low_means="no mask")] | None = None
    free: float = 0.0
    flip: bool = True
    text: str = "a"
    way: Annotated[str, OneOf(("up", "down"))] = "up"
    sizes: list[Annotated[int, Range(8, unit="pixels")]] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    place: PathText | None = None
    inner: Inner = field(default_factory=Inner)

    def __post_init__(self) -> None:
        check(self, "of.")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("steps", 0, "of.steps=0: give 1 or more"),
        ("steps", 1.5, "of.steps=1.5: give a whole number"),
        ("steps", True, "of.steps=true: give a whole number"),
        ("steps", None, "of.steps=null: give a whole number"),
        ("steps", 2**63, "of.steps=9223372036854775808: give 9223372036854775807 or less"),
        ("rate", math.nan, "of.rate=nan: give a finite number, 0 (no mask) to below 1, or null"),
        ("rate", 1, "of.rate=1: give 0 (no mask) to below 1, or null"),
        ("rate", "0.5", "of.rate=0.5: give a number, or null"),
        ("free", math.inf, "of.free=inf: give a finite number"),
        ("free", 10**400, "give a finite number"),
        ("free", -1e31, "of.free=-1e+31: give a number within 1e+30"),
        ("flip", 1, "of.flip=1: give true or false"),
        ("text", 3, "of.text=3: give a text"),
        ("way", "left", "of.way=left: choose one of up, down"),
        ("way", "", "of.way='': choose one of up, down"),
        ("sizes", [8, 7], "of.sizes=[8, 7]: give 8 pixels or more"),
        ("sizes", 8, "of.sizes=8: give a list"),
        ("extra", {"a": [{"b": math.nan}]}, "give finite numbers"),
        ("place", " ", "of.place=' ': name a file or folder"),
        ("inner", 3, "of.inner=3: give Inner"),
    ],
)
def test_what_is_not_taken_is_named_with_what_is(name: str, value: Any, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        Of(**{name: value})
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_taken_stays_as_it_is() -> None:
    given = Of(steps=2**62, seed=-(10**23), rate=0, free=-1e30, sizes=[8], extra={"a": "nan"}, place="./owner/name")
    assert (given.steps, given.seed, given.rate, given.place) == (2**62, -(10**23), 0, "./owner/name")


def test_a_long_value_is_not_written_out() -> None:
    with pytest.raises(ValueError) as caught:
        Of(way="x" * 10_000)
    assert len(str(caught.value)) < 200


def test_paths_know_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert Of(place="~/photos").place == "/home/me/photos"
    assert user_path("~/photos") == Path("/home/me/photos")
    with pytest.raises(ValueError, match="~nobody-of-this-name is no home folder here, write the path in full"):
        Of(place="~nobody-of-this-name/photos")
