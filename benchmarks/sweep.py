"""`python -m benchmarks.run --multirun method=erm,fixmatch seed=0,1`: every combination, through hydra's launchers."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import hydra
from omegaconf import OmegaConf

from benchmarks.grid_plan import combinations_of, refuse_resume
from benchmarks.methods import facts_of
from benchmarks.plan import plan_run, plan_text
from benchmarks.run_folder import earlier_run
from benchmarks.settings import BenchmarkSettings
from benchmarks.single_run import run
from ssl_aug.command_line import config_folder
from ssl_aug.endings import MEMORY_OF_TRAINING, ending, error_line
from ssl_aug.files import DAY
from ssl_aug.interrupts import EXIT_CODE, before_raising, pass_interrupt_on
from ssl_aug.lock import LOCK, InOtherHandsError, is_held, locked
from ssl_aug.results.result import RESULT, RunResult
from ssl_aug.runtime import is_debugging, let_hydra_raise
from ssl_aug.synthetic import with_words_of_set

SCRATCH = ".grid-"
PATIENCE_WITH_WORKERS = 4.0  # seconds, less than the command itself is given
LAUNCHERS = {"joblib": "hydra_joblib_launcher", "submitit": "hydra_submitit_launcher"}


def is_installed(module: str) -> bool:
    """Whether a module can be imported; where the package around it is missing, `find_spec` raises."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def refuse_missing_launcher(words: list[str]) -> None:
    """Raises ValueError where a launcher is asked for that there is not, or whose package is not installed."""
    for word in words:
        name, _, value = word.partition("=")
        if name != "hydra/launcher" or value == "basic":
            continue
        kind = value.partition("_")[0]
        if is_installed(f"hydra_plugins.{LAUNCHERS.get(kind, f'hydra_{kind}_launcher')}"):
            continue
        if kind in LAUNCHERS:
            raise ValueError(f"{word} needs a package that is not installed here: pip install '.[cluster]'")
        raise ValueError(f"{word}: there is no such launcher; basic, joblib, submitit_local or submitit_slurm")


def remove_old_scratch(folder: Path) -> None:
    """Removes what grids that were killed have left: their process is gone, or has not touched its lock for a day."""
    for scratch in folder.glob(f"{SCRATCH}*"):
        with suppress(OSError):  # another grid removes it as well
            is_gone = (scratch / LOCK).is_file() and not is_held(scratch)
            if is_gone or time.time() - max(path.stat().st_mtime for path in (scratch, *scratch.glob(LOCK))) > DAY:
                shutil.rmtree(scratch, ignore_errors=True)


def stop_workers() -> None:
    """Lets a launcher's processes on this machine save what they do and end, within a few seconds.

    A signal to the grid alone does not reach them, and the launcher kills them without asking.
    """
    workers = multiprocessing.active_children()
    for worker in workers:
        worker.terminate()
    end = time.monotonic() + PATIENCE_WITH_WORKERS
    while any(worker.is_alive() for worker in workers) and time.monotonic() < end:
        time.sleep(0.05)


def run_and_tell(config: Any, scratch: Path) -> None:
    """One combination's run, perhaps in a process of its own: how it ended, a file in the scratch folder tells."""
    try:
        settings = cast(BenchmarkSettings, OmegaConf.to_object(config))
        if settings.dry_run:
            plan = plan_run(settings, facts_of(settings.method))
            earlier = earlier_run(plan.settings, plan.result)
            print(plan_text(plan, None if earlier is None else earlier.told))
        else:
            run(settings, anew=False)
    except KeyboardInterrupt:
        if multiprocessing.parent_process() is not None:  # a launcher's worker, which would take the next run
            os._exit(EXIT_CODE)
        raise
    except InOtherHandsError as error:
        print(f"skipped: {error}", file=sys.stderr, flush=True)
        (scratch / f"{uuid4().hex}.skipped").write_text(str(error.folder.absolute()), encoding="utf-8")
    except Exception as error:
        pass_interrupt_on()
        if is_debugging():
            traceback.print_exc()
        line = ending(error, MEMORY_OF_TRAINING)[1]
        print(f"error: {line}", file=sys.stderr, flush=True)
        (scratch / f"{uuid4().hex}.failure").write_text(line, encoding="utf-8")


def sweep(words: list[str], settings_from: Callable[[list[str]], BenchmarkSettings]) -> None:
    """Runs all combinations of the words' comma lists, one after another or as `hydra/launcher=` says.

    A combination that is done already is left as it is, one that another process is at is left to it, one that was
    stopped or killed goes on, and one run's failure does not stop the others.

    Args:
        words: settled as those of a grid.
        settings_from: what a combination's words ask for; raises ValueError where a run would not accept them.

    Raises:
        ValueError: a word that no run would accept, before any run starts; or, at the end, runs that failed.
    """
    refuse_resume(words)
    refuse_missing_launcher(words)
    full_words = with_words_of_set(words, BenchmarkSettings, of_grid=True)
    ours = [word for word in words if not word.startswith("hydra")]
    combinations = combinations_of(ours)
    wanted = [settings_from(combination) for combination in combinations]
    folder = min(Path(settings.runs).absolute() for settings in wanted)
    if all(settings.dry_run for settings in wanted):
        folder = Path(tempfile.gettempdir())
    folder.mkdir(parents=True, exist_ok=True)
    remove_old_scratch(folder)
    with (
        tempfile.TemporaryDirectory(prefix=SCRATCH, dir=folder) as scratch,  # where every node of a cluster sees it
        locked(Path(scratch), "running a grid in"),
    ):

        @hydra.main(config_path=str(config_folder()), config_name="benchmark", version_base="1.3")
        def one(config: Any) -> None:
            run_and_tell(config, Path(scratch))

        quiet = ["hydra.output_subdir=null", "hydra/job_logging=none", "hydra/hydra_logging=none"]
        command_line = sys.argv
        let_hydra_raise()
        sys.argv = [command_line[0], "--multirun", f"hydra.sweep.dir='{scratch}'", *quiet, *full_words]
        try:
            with before_raising(stop_workers):
                one()
        except Exception as error:  # a run's own are told above
            raise ValueError(f"hydra could not launch the runs ({error_line(error)}): see hydra/launcher=") from error
        finally:
            sys.argv = command_line
        skipped = [Path(path.read_text(encoding="utf-8")) for path in Path(scratch).glob("*.skipped")]
        failures = [path.read_text(encoding="utf-8") for path in sorted(Path(scratch).glob("*.failure"))]
    left = sum(not RunResult.read(folder / RESULT).is_done for folder in skipped)
    if left:
        print(f"{left} of {len(combinations)} runs are in other hands: the same command goes on with what they leave")
    if failures:
        raise ValueError(f"{len(failures)} of {len(combinations)} runs failed, the first with: {failures[0]}")
