"""Which run folders may be of the run that is asked for, at a first look. No torch here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ssl_aug.results.result import RESULT, RunResult


def runs_at_first_look(runs: str, planned: RunResult) -> Iterator[tuple[Path, RunResult]]:
    """Folders of runs of the same method, seed, steps, images and weights; what is no run's is passed over."""
    for path in Path(runs).glob(f"*/{RESULT}"):
        try:
            result = RunResult.read(path)
        except (ValueError, OSError):  # no result, or of another version
            continue
        if _at_first_look(result) == _at_first_look(planned):
            yield path.parent, result


def _at_first_look(result: RunResult) -> tuple[Any, ...]:
    """What tells most other runs from this one without reading their settings, which takes time."""
    return result.method, result.seed, result.augment, result.steps, result.identity
