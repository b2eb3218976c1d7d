"""In which settings the runs of one method differ, and which plain runs belong to which augmented ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ssl_aug.results.result import RunResult

MAKERS = {"set.generator.name", "set.made_by"}  # of a drawn set, of an imported one


def varying_settings(runs: Sequence[RunResult]) -> set[str]:
    """The settings that tell runs apart.

    Sets of drawings and imported ones have few settings in common: those that all runs which have them agree in are
    left out, unless runs could not be told apart without them. Then what made the sets is named, if that does; else
    all, and one that a run lacks is null there.
    """
    names = {name for run in runs for name in run.settings}
    of_some = {name for name in names if _differs(run.settings[name] for run in runs if name in run.settings)}
    num_kinds = len({_values(run, names) for run in runs})
    for chosen in (of_some, of_some | (MAKERS & names)):
        if len({_values(run, chosen) for run in runs}) == num_kinds:
            return chosen
    return {name for name in names if _differs(run.settings.get(name) for run in runs)}


def _differs(values: Iterable[Any]) -> bool:
    found = list(values)
    return any(value != found[0] for value in found)


def _values(run: RunResult, names: set[str]) -> str:
    return str([(name, run.settings.get(name)) for name in sorted(names)])


def differing(run: RunResult, varying: set[str]) -> str:
    """`set.mask_rate=0.3`: a run's settings among those that vary; "" where there are none."""
    own = [name for name in run.settings if name in varying]
    hashes = [name for name in own if name.endswith("_id")]
    named = [name for name in own if name not in hashes] or hashes  # an id says little where a setting differs too
    return ", ".join(f"{name}={run.settings[name]}" for name in sorted(named))


def plain_of(augmented: Sequence[RunResult], plain: Sequence[RunResult]) -> list[RunResult]:
    """The plain runs that differ from augmented ones of the same method in nothing but the synthetic images."""
    if not augmented:
        return []
    wanted = augmented[0].settings
    return [run for run in plain if all(wanted.get(name) == value for name, value in run.settings.items())]


def only_plain_of(augmented: Sequence[RunResult], plain: Sequence[RunResult]) -> tuple[list[RunResult], str]:
    """The plain runs of a method whose settings were chosen for each row, and in which settings the rows differ.

    None where the plain runs are of several settings, so that it is not said which of them are meant, or where they
    took other data or another number of steps.
    """
    if not (augmented and plain) or varying_settings(plain):
        return [], ""
    before, after = plain[0].settings, augmented[0].settings
    other = sorted(name for name in before if before[name] != after.get(name))
    if any(name.startswith("data.") or name == "train.steps" for name in other):
        return [], ""
    ways = [", ".join(f"{name}={each.get(name)}" for name in other) for each in (before, after)]
    return list(plain), f"plain runs with {ways[0]}, those with augmentation with {ways[1]}"
