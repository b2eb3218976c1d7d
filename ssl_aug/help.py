"""`--help` from the settings' own source: names, defaults and comments, without importing what they configure."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from ssl_aug.command_line import compose, config_folder
from ssl_aug.settings import Settings

SETTINGS = Path(__file__).parent / "settings.py"
DATA_SETTINGS = Path(__file__).parent / "data" / "settings.py"
TUNE_SETTINGS = Path(__file__).parent / "tuning" / "settings.py"
GENERATOR_SETTINGS = Path(__file__).resolve().parents[1] / "generators" / "settings.py"

Field = tuple[str, str, str]  # name, default, comment


def fields_of(source: Path, class_name: str) -> list[Field]:
    """The plain fields of a dataclass in a source file, in order; nested settings are left out."""
    text = source.read_text(encoding="utf-8")
    lines = text.splitlines()
    found = []
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            for item in node.body:
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and item.value is not None:
                    default = _default(item.value)
                    if default is not None:
                        found.append((item.target.id, _yaml_like(default), _comment(lines, item.lineno - 1)))
    return found


def _default(value: ast.expr) -> str | None:
    """The source of a field's default; None for nested settings."""
    if not (isinstance(value, ast.Call) and ast.unparse(value.func) == "field"):
        return ast.unparse(value)
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in value.keywords}
    if "default" in given:
        return given["default"]
    factory = given["default_factory"]
    return "{}" if factory == "dict" else factory.removeprefix("lambda: ") if factory.startswith("lambda") else None


def _comment(lines: list[str], number: int) -> str:
    """What is said of a field behind it, or else in the comment above it."""
    behind = lines[number].partition("  # ")[2]
    above: list[str] = []
    while not behind and lines[number - 1].lstrip().startswith("# "):
        number -= 1
        above.insert(0, lines[number].lstrip().removeprefix("# "))
    return behind or " ".join(above)


def rows(
    prefix: str, fields: list[Field], skip: tuple[str, ...] = (), held: Mapping[str, str] | None = None
) -> list[str]:
    """One help line for each field, its name as it is written on the command line.

    Args:
        held: values that hold in place of the defaults, by that name.
    """
    values = held or {}
    named = [(f"{prefix}{name}", default, text) for name, default, text in fields if name not in skip]
    return [f"  {f'{name}={values.get(name, default)}':<36} {text}" for name, default, text in named]


def held_by(*settings: Any) -> dict[str, str]:
    """What settings hold, as it is written on the command line, by dotted names; later ones win."""
    found: dict[str, str] = {}
    left = [("", one) for one in settings]
    while left:
        prefix, node = left.pop(0)
        values = {each.name: getattr(node, each.name) for each in fields(node)} if is_dataclass(node) else node
        for name, value in values.items():
            if is_dataclass(value) or isinstance(value, dict):
                left.append((f"{prefix}{name}.", value))
            else:
                found[f"{prefix}{name}"] = _yaml_like(str(value))
    return found


def without_help(words: Sequence[str]) -> list[str]:
    """The words that are no call for help."""
    return [word for word in words if word not in ("--help", "-h")]


def options_of(group: str) -> list[str]:
    """What may be written after `group=`."""
    return sorted(path.stem for path in (config_folder() / group).glob("*.yaml"))


def generation_rows(held: Mapping[str, str] | None = None) -> list[str]:
    """Every setting that decides a synthetic set; `held` as in `rows`."""
    return [
        *rows("", [field for field in fields_of(SETTINGS, "Settings") if field[0] != "dry_run"], held=held),
        *rows("", fields_of(GENERATOR_SETTINGS, "SolverSettings"), held=held),
        *rows("data.", fields_of(DATA_SETTINGS, "DataSettings"), skip=("name",), held=held),
        *rows("generator.", fields_of(GENERATOR_SETTINGS, "GeneratorSettings"), skip=("name",), held=held),
        *rows("tune.", fields_of(TUNE_SETTINGS, "TuneSettings"), held=held),
        *rows("synthetic.", fields_of(SETTINGS, "SyntheticSettings"), held=held),
    ]


def generation_help(usage: str, config_name: str = "generate", overrides: Sequence[str] = ()) -> str:
    """The help page of the commands that share generation's settings.

    Args:
        overrides: other words beside --help; with some, the values are those that hold with them.
    """
    held = None
    meaning = "as in the paper (embedded: dpmpp in 20 steps, borrowed, guidance=2)"
    if overrides:
        settings = compose(config_name, overrides, Settings)
        held, meaning = held_by(settings, settings.sampling()), f"as they hold with {' '.join(overrides)}"
    groups = [f"  {group}={'|'.join(options_of(group))}" for group in ("data", "generator", "experiment")]
    return "\n".join(
        [
            usage.strip(),
            "",
            "Groups:",
            *groups,
            "",
            f"Settings, written name=value, {meaning}; --help beside other words shows what holds with them:",
            *generation_rows(held),
        ]
    )


def _yaml_like(default: str) -> str:
    words = {
        "None": "null",
        "True": "true",
        "False": "false",
        "MISSING": "erm",
    }
    return words.get(default, default.strip("'"))
