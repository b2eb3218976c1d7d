"""Semi-supervised methods, one file each. A new one is a file and a line here (docs/add_a_method.md)."""

from __future__ import annotations

from typing import Any

from benchmarks.methods.base import Method
from benchmarks.methods.erm import ERM, ERMSettings
from benchmarks.methods.fixmatch import FixMatch, FixMatchSettings

# name -> the method and its settings; configs/method/<name>.yaml holds what the benchmark sets otherwise
METHODS: dict[str, tuple[type[Method], type]] = {
    "erm": (ERM, ERMSettings),
    "fixmatch": (FixMatch, FixMatchSettings),
}


def method_name(settings: Any) -> str:
    """The name under which these settings' method is registered."""
    return next(name for name, (_, schema) in METHODS.items() if type(settings) is schema)


def build_method(settings: Any) -> Method:
    """The method whose settings these are."""
    method, _ = METHODS[method_name(settings)]
    return method(settings)
