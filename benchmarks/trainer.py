"""The training loop of every method."""

from __future__ import annotations

import csv
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.evaluation import evaluate
from benchmarks.loaders import Batch, TestBatches, TrainBatches, train_batches
from benchmarks.losses import LossCheck, scalars
from benchmarks.methods.base import Labeled, StepOutput, Unlabeled, bounds_of_round
from benchmarks.model import Inputs, normalized
from benchmarks.optim import learning_rate, set_learning_rate
from benchmarks.settings import TrainSettings
from benchmarks.state import TrainState, save_state
from ssl_aug.files import written_atomically
from ssl_aug.interrupts import Deferred, interrupts_deferred
from ssl_aug.runtime import Placement, derived_seed, progress_bar

SAVE_SECONDS = 300.0  # between states to resume from, where evaluations are further apart: what a kill loses at most


def train(
    state: TrainState,
    settings: TrainSettings,
    seed: int,
    batches: TrainBatches,
    test: TestBatches,
    validation: TestBatches | None,
    inputs: Inputs,
    placement: Placement,
    folder: Path,
) -> None:
    """Trains `state` from its step to the last, in place; writes log, events and states to resume from.

    Raises:
        ValueError: a loss that is not finite, or an image that cannot be read.
        KeyboardInterrupt: at the end of the step, or in the evaluation, in which Ctrl-C or SIGTERM came, after saving.
    """
    pin = placement.device.type == "cuda"
    upcoming = train_batches(batches, state.step, settings.steps, batches.num_workers, pin)
    label = folder.name
    with (
        progress_bar(settings.steps, label, state.step, unit="step") as bar,
        interrupts_deferred() as interrupted,
        Log(folder, state.step) as log,
    ):
        state.model.train()
        state.method.train()
        evaluated = partial(
            evaluate_step, state, test, validation, inputs, placement, batches.num_workers, interrupted, log, folder
        )
        if state.unevaluated is not None:  # it was stopped in an evaluation
            evaluated()
        check = LossCheck(is_late=placement.device.type == "cuda")
        saved = time.monotonic()
        for batch in upcoming:
            started = time.monotonic()
            output, lr = train_step(state, settings, seed, batch, inputs, placement, check)
            is_evaluated = state.step % settings.eval_every == 0 or state.step == settings.steps
            is_logged = is_evaluated or state.step % settings.log_every == 0
            if is_logged:
                check.read_all()
            row = {"step": state.step, "learning_rate": lr} | (scalars(output) if is_logged else {})
            state.seconds += time.monotonic() - started
            if is_evaluated:
                state.unevaluated = row
                evaluated()
                bar.set_postfix(state.accuracies)
                saved = time.monotonic()
            elif is_logged:
                log.write(row | {"seconds": state.seconds})
            stop = interrupted() and state.step < settings.steps
            if stop or time.monotonic() - saved >= SAVE_SECONDS:
                check.read_all()
                save_state(folder, state)
                saved = time.monotonic()
            bar.update()
            if stop:
                raise KeyboardInterrupt


def train_step(
    state: TrainState,
    settings: TrainSettings,
    seed: int,
    batch: Batch,
    inputs: Inputs,
    placement: Placement,
    check: LossCheck,
) -> tuple[StepOutput, float]:
    """Takes `state` one step on; returns what the method says of the batch, and the learning rate.

    Raises:
        ValueError: a loss that is not finite, as `check` finds it.
    """
    torch.manual_seed(derived_seed(seed, "step", state.step))  # dropout, whatever ran before
    first, end = bounds_of_round(state.method.rounds, state.step, settings.steps)
    if state.step == first > 0:
        state.begin_round()
    since, length = state.step - first, end - first
    lr = learning_rate(settings.schedule, settings.learning_rate, since, length, settings.gamma)
    set_learning_rate(state.optimizer, lr)

    labeled, unlabeled = placed(batch, inputs, placement)
    with placement.autocast():
        output = state.method(state.model, labeled, unlabeled, state.step / settings.steps)
    check.add(output, state.step)

    if state.method.has_gradient:
        state.optimizer.zero_grad(set_to_none=True)
        state.scaler.scale(torch.stack(list(output.losses.values())).sum()).backward()
        if settings.gradient_clip:
            state.scaler.unscale_(state.optimizer)
            trained = [each for group in state.optimizer.param_groups for each in group["params"]]
            torch.nn.utils.clip_grad_norm_(trained, settings.gradient_clip)
        state.scaler.step(state.optimizer)
        state.scaler.update()
    if state.average is not None:
        state.average.update(state.model)
    state.step += 1
    return output, lr


def evaluate_step(
    state: TrainState,
    test: TestBatches,
    validation: TestBatches | None,
    inputs: Inputs,
    placement: Placement,
    num_workers: int,
    interrupted: Deferred,
    log: Log,
    folder: Path,
) -> None:
    """Evaluates the weights as they are, logs and saves; interrupted, saves that the evaluation is still to be made."""
    assert state.unevaluated is not None
    started = time.monotonic()
    average = None if state.average is None else state.average.module
    try:
        with interrupted.at_once():
            state.record(
                evaluate(state.model, test, inputs, placement, num_workers),
                None if average is None else evaluate(average, test, inputs, placement, num_workers),
                None if validation is None else evaluate(state.model, validation, inputs, placement, num_workers),
            )
    except KeyboardInterrupt:
        save_state(folder, state)
        raise
    state.seconds += time.monotonic() - started
    log.write(state.unevaluated | {"seconds": state.seconds} | state.accuracies)
    state.unevaluated = None
    save_state(folder, state)


def placed(batch: Batch, inputs: Inputs, placement: Placement) -> tuple[Labeled, Unlabeled | None]:
    """The batch on the device, its pixels normalized there."""

    def images(pixels: Tensor) -> Tensor:
        return normalized(pixels.to(placement.device, non_blocking=True), inputs)

    def numbers(values: Tensor) -> Tensor:
        return values.to(placement.device, non_blocking=True)

    labeled, unlabeled = batch
    return (
        Labeled(
            images(labeled.weak),
            images(labeled.strong),
            numbers(labeled.target),
            numbers(labeled.index),
            numbers(labeled.weight),
            images(labeled.more),
        ),
        replace(
            unlabeled,
            weak=images(unlabeled.weak),
            strong=images(unlabeled.strong),
            index=numbers(unlabeled.index),
            more=images(unlabeled.more),
        )
        if unlabeled is not None
        else None,
    )


class Log:
    """log.csv and TensorBoard events of a run; a resumed run drops the rows after the step it starts from."""

    def __init__(self, folder: Path, step: int):
        from torch.utils.tensorboard import SummaryWriter

        self.path = folder / "log.csv"
        self.rows = self._read(step)
        if self.rows:
            self._rewrite(list(self.rows[-1]))
        self.events = SummaryWriter(str(folder), purge_step=step + 1)

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *error: object) -> None:
        self.events.close()

    def write(self, row: dict[str, Any]) -> None:
        """Appends a row. Accuracies come with some rows only; a column that is new makes the file be written again."""
        text = {name: f"{value:.6g}" if isinstance(value, float) else str(value) for name, value in row.items()}
        columns = list(self.rows[-1]) if self.rows else []
        new = [name for name in text if name not in columns]
        self.rows.append({name: text.get(name, "") for name in columns + new})
        if new:
            self._rewrite(columns + new)
        else:
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, columns).writerow(self.rows[-1])
        for name, value in row.items():
            if name != "step":
                self.events.add_scalar(name, value, row["step"])

    def _read(self, last: int) -> list[dict[str, str]]:
        """The rows of the steps up to `last`; a row that was torn by a kill, or is none of a log's, is left out."""
        if not self.path.is_file():
            return []
        kept: list[dict[str, str]] = []
        with self.path.open(newline="", encoding="utf-8", errors="replace") as file:
            for row in csv.DictReader(line.replace("\0", "") for line in file if line.endswith("\n")):
                step, before = row.get("step") or "", int(kept[-1]["step"]) if kept else 0
                is_whole = None not in row and None not in row.values() and step.isdecimal()
                if is_whole and before < int(step) <= last:
                    kept.append(row)
        return kept

    def _rewrite(self, columns: list[str]) -> None:
        with written_atomically(self.path) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(self.rows)
