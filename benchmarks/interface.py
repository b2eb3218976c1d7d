"""What `benchmarks.run` and `benchmarks.table` do, for Python: the same rooms, with the data and the settings given."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import MISSING

from benchmarks.methods import facts_of, is_on_frozen_clip, known_methods, method_name
from benchmarks.plan import plan_on
from benchmarks.run import settings_from
from benchmarks.settings import BenchmarkSettings
from benchmarks.single_run import run_plan
from ssl_aug.loading import Data, settings_for
from ssl_aug.progress import Progress, told_to
from ssl_aug.results.accuracies import Report, build_report, read_runs
from ssl_aug.results.metrics import METRICS
from ssl_aug.results.result import RESULT, RunResult
from ssl_aug.settings import EMBEDDED_DATA


@dataclass(frozen=True)
class Run:
    """A finished training: its folder and what came of it."""

    folder: Path
    result: RunResult


def default_settings(method: str = "erm") -> BenchmarkSettings:
    """What `python -m benchmarks.run` takes for this method where nothing else is said.

    Raises:
        ValueError: there is no such method.
    """
    return settings_from([f"method={method}"])


def train(method: str, data: Data, settings: BenchmarkSettings | None = None, progress: Progress | None = None) -> Run:
    """Trains a classifier on the labeled images, with the synthetic ones where the data has them, and tests it.

    The same training is not done twice: a finished one is read, and one that was stopped is gone on with.

    Args:
        method: erm, fixmatch, or another of benchmarks.methods.
        data: of `ssl_aug.load`; with test images, and with unlabeled ones for a method that learns from them.
        settings: None: those of `default_settings`. `data`, `augment` and `synthetic` are left out: the data say them.
        progress: told (done, total, folder's name) beside the bar.

    Raises:
        ValueError, OSError: settings that do not fit the method, the data, the model or this machine.
    """
    if method not in known_methods():
        raise ValueError(f"method={method}: there is no such method; choose one of {', '.join(known_methods())}")
    settings = settings_for(data, default_settings(method) if settings is None else settings)
    if settings.method == MISSING:
        settings = replace(settings, method=default_settings(method).method)
    if method_name(settings.method) != method:
        raise ValueError(f"method={method}: the settings are of {method_name(settings.method)}; give the same method")
    if settings.resume is not None:
        raise ValueError("settings.resume has no effect here: the same call goes on with a run that was stopped")
    if settings.augment and data.synthetic is None:
        raise ValueError("settings.augment=True, and the data have no synthetic images: give data.with_synthetic(set)")
    if settings.data.name not in EMBEDDED_DATA:
        _warn_of_toy(settings)
    if data.synthetic is not None:
        per_sample = 1 + max((int(row["k"]) for row in data.synthetic.rows), default=0)
        settings = replace(settings, augment=True, per_sample=per_sample)
    with told_to(progress):
        folder = run_plan(plan_on(data.split, data.synthetic, settings, facts_of(settings.method)), anew=False)
    return Run(folder, RunResult.read(folder / RESULT))


def _warn_of_toy(settings: BenchmarkSettings) -> None:
    """Says where what is trained on has seen rendered cars alone."""
    known = f"knows rendered cars alone; of {settings.data.name} take"
    if is_on_frozen_clip(settings.method):
        if settings.method.clip == "embedded":
            print(f"warning: method.clip=embedded {known} open_clip's name of a model", file=sys.stderr)
    elif settings.model.name == "embedded":
        print(f"warning: model=embedded {known} ModelSettings(name=...), any of timm's", file=sys.stderr)


def read_table(runs: str | Path = "outputs/runs", metric: str = "last") -> Report:
    """The accuracies of all finished runs in a folder: means over seeds, with and without synthetic images.

    Args:
        metric: last, best_on_test, best_on_validation, validation, mean_class, ema_last or ema_best_on_test.

    Raises:
        ValueError: no run in this folder, or no such metric.
    """
    if metric not in METRICS:
        raise ValueError(f"metric={metric}: choose one of {', '.join(METRICS)}")
    return build_report(read_runs(Path(runs)), metric)
