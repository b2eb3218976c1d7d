"""What a method's file says, read without running it: `--help` and a dry run need no torch."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import yaml

from benchmarks.method_facts import MethodFacts
from ssl_aug.help import Field, fields_of, options_of

FOLDER = Path(__file__).resolve().parent / "methods"


def method_names() -> list[str]:
    """Those of this package."""
    return options_of("method")


def settings_fields(name: str) -> list[Field]:
    """The settings of a method: name, its paper's default, comment."""
    return fields_of(_file(name), next(each for each in _classes(name) if each.endswith("Settings")))


def paper_values(name: str) -> dict[str, Any]:
    """The defaults of a method's settings."""
    return {field: yaml.safe_load(default) for field, default, _ in settings_fields(name)}


def facts_in_file(name: str) -> MethodFacts:
    """As `benchmarks.methods.facts_of`, of a method of this package."""
    said = {field: default for each in _classes(name) for field, default, _ in fields_of(_file(name), each)}
    return MethodFacts(name, said.get("uses_unlabeled", "true") == "true", said.get("on_frozen_clip") == "true")


def _file(name: str) -> Path:
    return FOLDER / f"{name}.py"


def _classes(name: str) -> list[str]:
    return [node.name for node in ast.parse(_file(name).read_text("utf-8")).body if isinstance(node, ast.ClassDef)]
