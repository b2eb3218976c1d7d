"""Whatever is said of any setting, it is taken or refused in one line that names it; nothing else happens."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, cast

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from benchmarks.methods import METHODS
from benchmarks.run import settings_from
from benchmarks.settings import BenchmarkSettings
from generators.allowed import Place, Words, allowed, leaves
from generators.settings import SamplingSettings
from ssl_aug.command_line import compose
from ssl_aug.evaluation.settings import EvaluateSettings
from ssl_aug.export.settings import ExportSettings
from ssl_aug.importing.settings import ImportSettings
from ssl_aug.pretrain.settings import PretrainSettings
from ssl_aug.settings import Settings
from ssl_aug.words import settled, texts_of

COMMANDS: dict[str, tuple[type, list[str]]] = {  # configuration -> its schema, and words without which there is none
    "generate": (Settings, []),
    "tune": (Settings, []),
    "evaluate": (EvaluateSettings, []),
    "export": (ExportSettings, ["to=lists", "out=new"]),
    "import_set": (ImportSettings, ["folder=made", "out=new", "made_by=me"]),
    "pretrain": (PretrainSettings, []),
    "benchmark": (BenchmarkSettings, ["model=resnet50"]),
}
NEEDED = {ExportSettings: {"to": "lists", "out": "new"}, ImportSettings: {"folder": "a", "out": "b", "made_by": "c"}}
EDGES = [
    *(math.nan, math.inf, -math.inf, -1, 0, 1, -1.0, 0.0, 1.0, 0.5, 1e-320, 1e300, 10**23, 2**63, -(2**63), 10**400),
    *("", " ", "\n", "\0", "é\u202e🚗", "x" * 5000, "null", "~", "~nobody/x", "${seed}", "a,b", "{x}", "'", "nan"),
    *(True, False, None, [], [math.nan], [1, 2, 3], ["a"], {}, {"a": math.inf}, (1,), b"x", object(), int, 1j),
]  # fmt: skip


def schemas() -> Iterator[type]:
    """Every dataclass of settings."""
    left: list[Any] = [schema for schema, _ in COMMANDS.values()]
    left += [SamplingSettings, *(schema for _, schema in METHODS.values())]
    seen: set[type] = set()
    while left:
        schema = left.pop()
        if schema not in seen:
            seen.add(schema)
            yield schema
            left += [field.kind for field in allowed(schema).values() if is_dataclass(field.kind)]


FIELDS = [(schema, field.name) for schema in schemas() for field in fields(cast(Any, schema))]


def assert_line_names(name: str, line: str) -> None:
    assert name in line or f"--{name.replace('_', '-')}" in line, line
    assert "\n" not in line and len(line) < 600


def assert_taken_or_named(schema: type, name: str, value: Any) -> None:
    try:
        given = schema(**{**NEEDED.get(schema, {}), name: value})
    except ValueError as error:
        assert_line_names(name, str(error))
    else:
        taken = getattr(given, name)
        assert not isinstance(taken, float) or math.isfinite(taken)


@pytest.mark.parametrize(("schema", "name"), FIELDS, ids=[f"{schema.__name__}.{name}" for schema, name in FIELDS])
def test_every_edge_of_every_field(schema: type, name: str) -> None:
    for value in EDGES:
        assert_taken_or_named(schema, name, value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from(FIELDS), VALUES)
@settings(max_examples=2000, deadline=None, derandomize=True, database=None)
def test_any_value_of_any_field(field: tuple[type, str], value: Any) -> None:
    assert_taken_or_named(*field, value)


# ---------------------------------------------------------------------------------------------------------------------
# as words


SAID = [str(value) for value in EDGES if isinstance(value, int | float | str)]
SAID += ["[", "a(b", "a=b", "1e3", "true", "1,2", "[1,2]", "{a: nan}", "+", "~x", "$", "${x}", "${oc.env:NO}", "\\"]
SHARED = {name for name, _ in leaves(Settings)}
LEAVES: list[tuple[str, list[str], str]] = [
    (config, [], name)
    for config, (schema, _) in COMMANDS.items()
    for name, _ in leaves(schema)
    if config == "generate" or name not in SHARED
]
LEAVES += [
    ("benchmark", [f"method={method}"], f"method.{field.name}")
    for method, (_, schema) in METHODS.items()
    for field in fields(cast(Any, schema))
]


def assert_word_is_taken_or_named(config: str, words: list[str], name: str, value: str) -> None:
    schema, needed = COMMANDS[config]
    try:
        said = [*needed, *words, f"{name}={value}"]
        taken = settings_from(said) if config == "benchmark" else compose(config, said, schema)
    except (ValueError, FileNotFoundError) as error:
        assert_line_names(name.rpartition(".")[2], str(error))
    else:
        assert type(taken) is schema


@given(st.sampled_from(LEAVES), st.sampled_from(SAID))
@settings(max_examples=40, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
def test_any_word_of_any_command(leaf: tuple[str, list[str], str], value: str) -> None:
    assert_word_is_taken_or_named(*leaf, value)


# ---------------------------------------------------------------------------------------------------------------------
# paths and texts, found in the schemas: a new one is tested without a word here


TEXTS = [(config, name) for config, words, name in LEAVES if name in texts_of(COMMANDS[config][0])]


def text_of(config: str, name: str, value: str) -> str:
    schema, needed = COMMANDS[config]
    said = [word for word in needed if not word.startswith(f"{name}=")] + [f"{name}={value}"]
    taken: Any = compose(config, said, schema)
    for part in name.split("."):
        taken = getattr(taken, part)
    return str(taken)


def test_the_paths_and_texts_are_found() -> None:
    found = {name for _, name in TEXTS}
    assert {"data.root", "tune.root", "model.checkpoint", "runs", "resume", "work", "folder", "prompt"} <= found
    unmarked = [
        name
        for schema in schemas()
        for name, field in allowed(schema).items()
        if field.kind is str and name in ("root", "out", "checkpoint", "folder", "work", "runs", "start_from", "prompt")
        if not isinstance(field.rule, Place | Words)
    ]
    assert not unmarked, "give these PathText or FreeText, or hydra reads what is written after the ="


@pytest.mark.parametrize(("config", "name"), TEXTS)
def test_a_path_is_taken_as_it_is_written(config: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    is_class_prompt = name == "class_prompt"
    if is_class_prompt or name == "resume":  # these want more than any text; `words.settled` is the same for them
        schema = COMMANDS[config][0]
        assert settled([f"{name}=/x/a(b=1e3"], schema) == [f"{name}='/x/a(b=1e3'"]
        return
    for value in ("/x/year=2019", "1e3", "a(b, c"):
        assert text_of(config, name, value) == value
    is_place = isinstance(dict(leaves(COMMANDS[config][0]))[name].rule, Place)
    assert text_of(config, name, "~/photos") == ("/home/me/photos" if is_place else "~/photos")
