"""The runs of a grid, and what it would do of each: known before any of them, without torch and hydra's launchers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from benchmarks.first_look import runs_at_first_look
from benchmarks.method_files import facts_in_file
from benchmarks.plan import Plan, plan_run, plan_text
from benchmarks.settings import BenchmarkSettings
from ssl_aug.endings import MEMORY_OF_TRAINING, ending
from ssl_aug.words import refuse_unreadable

SettingsFrom = Callable[[list[str], bool], BenchmarkSettings]  # words, whether methods are read from their files alone


def refuse_resume(words: list[str]) -> None:
    """Raises ValueError where a grid is asked to go on with one run."""
    if any(word.startswith("resume=") for word in words):
        raise ValueError("resume= goes on with one run: leave out --multirun")


def combinations_of(words: list[str]) -> list[list[str]]:
    """Every combination of the words' comma lists.

    Raises:
        ValueError: a word that hydra cannot read.
    """
    for word in words:
        refuse_unreadable(word)
    return [list(one) for one in BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(words), None)[0]]


def foretell_grid(words: list[str], settings_from: SettingsFrom) -> None:
    """Prints what a grid would do of each combination of the words' comma lists; one's failure stops no other.

    Args:
        words: settled as those of a grid, without hydra's own.

    Raises:
        ValueError: a word that no run would accept, before any run is told of; or, at the end, runs that would fail.
    """
    refuse_resume(words)
    combinations = combinations_of(words)
    wanted = [settings_from(combination, True) for combination in combinations]
    failures = []
    for combination, settings in zip(combinations, wanted, strict=True):
        try:
            plan = plan_run(settings, facts_in_file(settings.method["name"]))
            print(plan_text(plan, _earlier(plan, combination, settings_from)))
        except (ValueError, OSError) as error:
            failures.append(ending(error, MEMORY_OF_TRAINING)[1])
            print(f"error: {failures[-1]}", file=sys.stderr, flush=True)
    if failures:
        raise ValueError(f"{len(failures)} of {len(combinations)} runs failed, the first with: {failures[0]}")


def _earlier(plan: Plan, combination: list[str], settings_from: SettingsFrom) -> str | None:
    """What would be done with the folder of this very run; only where one looks alike are all settings compared."""
    if not any(runs_at_first_look(plan.settings.runs, plan.result)):
        return None
    from benchmarks.run_folder import earlier_run

    settings = replace(plan.settings, method=settings_from(combination, False).method)
    earlier = earlier_run(settings, plan.result)
    return None if earlier is None else earlier.told
