"""Which folder a run works in, so that no other process does."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.description import settings_text
from benchmarks.plan import Plan
from benchmarks.run_folder import CONFIG, STATE, earlier_run
from ssl_aug.files import new_run_folder
from ssl_aug.lock import LOCK, forget_dead, is_held, locked
from ssl_aug.results.result import RESULT, RunResult

DOING = "training in"
LOOKING = "looking for a run in"


@dataclass(frozen=True)
class Claim:
    """A run's folder, and what is in it."""

    folder: Path
    is_new: bool = False
    is_done: bool = False

    @property
    def has_state(self) -> bool:
        return (self.folder / STATE).is_file()

    def clear(self) -> None:
        """Takes away what was put into a new folder, for a run that could not begin."""
        if self.is_new:
            for name in (CONFIG, RESULT):
                (self.folder / name).unlink(missing_ok=True)


def claim(plan: Plan, anew: bool, held: ExitStack) -> Claim:
    """The folder for a run, which no other process works in until `held` is closed.

    Args:
        anew: a folder of its own even where there is one of this very run.

    Raises:
        InOtherHandsError: another process is at this run.
    """
    settings = plan.settings
    if settings.resume is not None:
        held.enter_context(locked(Path(settings.resume), DOING))
        return Claim(Path(settings.resume))
    with locked(Path(settings.runs), LOOKING, wait=True):  # two grids at once make one folder for it
        earlier = None if anew else earlier_run(settings, plan.result)
        if earlier is None:
            _remove_unbegun(Path(settings.runs))
            return _new(plan, held)
    if earlier.is_done:
        forget_dead(earlier.folder)
        return Claim(earlier.folder, is_done=True)
    # outside of the block above: it takes a while to see whether a process on another machine lives
    held.enter_context(locked(earlier.folder, DOING))
    return Claim(earlier.folder, is_done=RunResult.read(earlier.folder / RESULT).is_done)


def _new(plan: Plan, held: ExitStack) -> Claim:
    """A folder that no run has had, with the config.yaml from which this one can be resumed."""
    name = f"{plan.result.method}{'-augment' if plan.result.augment else ''}"
    folder = new_run_folder(Path(plan.settings.runs), name)
    held.callback(_remove_empty, folder)
    held.enter_context(locked(folder, DOING))
    (folder / CONFIG).write_text(settings_text(plan.settings, plan.result.method), encoding="utf-8")
    plan.result.write(folder)
    return Claim(folder, is_new=True)


def _remove_unbegun(runs: Path) -> None:
    """Removes the folders of runs that were killed before anything but their settings was in them.

    Nobody else makes a folder meanwhile: that is done where `runs` is locked, as here.
    """
    for folder in runs.glob("[0-9][0-9][0-9][0-9]-*"):
        if not folder.is_dir() or is_held(folder):
            continue
        names = {path.name for path in folder.iterdir()}
        if all(name == CONFIG or name.startswith((LOCK, f".{RESULT}.")) for name in names) and names != {CONFIG}:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # it is not
        folder.rmdir()
