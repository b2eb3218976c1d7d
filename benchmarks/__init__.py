"""Classifiers and semi-supervised methods trained on labeled sets, plain and augmented.

import benchmarks

run = benchmarks.train("fixmatch", data)  # of ssl_aug.load, perhaps .with_synthetic(...)
print(run.result.accuracy_last, benchmarks.as_text(benchmarks.read_table()))

Every name is imported when it is asked for, so that `import benchmarks` is instant. docs/api.md describes them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import ssl_aug  # noqa: F401  (first: an interrupted command ends in one line from there on)

if TYPE_CHECKING:
    from benchmarks.interface import Run, default_settings, read_table, train
    from benchmarks.settings import BenchmarkSettings, MixSettings, ModelSettings, TrainSettings, ViewSettings
    from benchmarks.table_text import as_text
    from ssl_aug.results.accuracies import Report
    from ssl_aug.results.result import RunResult

__all__ = [
    "BenchmarkSettings",
    "MixSettings",
    "ModelSettings",
    "Report",
    "Run",
    "RunResult",
    "TrainSettings",
    "ViewSettings",
    "as_text",
    "default_settings",
    "read_table",
    "train",
]

_MODULES = {  # where each name is from
    "ssl_aug.results.accuracies": ("Report",),
    "benchmarks.interface": ("Run", "default_settings", "read_table", "train"),
    "ssl_aug.results.result": ("RunResult",),
    "benchmarks.settings": ("BenchmarkSettings", "MixSettings", "ModelSettings", "TrainSettings", "ViewSettings"),
    "benchmarks.table_text": ("as_text",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'benchmarks' has no attribute {name!r}: it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
