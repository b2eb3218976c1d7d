"""One run, from its settings to result.json: the data, what is trained on them, the run's folder, the training."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch

from benchmarks.claim import claim
from benchmarks.classifier import Classifier
from benchmarks.layout import Layout, layout_for
from benchmarks.loaders import TestBatches, TrainBatches, helpful_workers
from benchmarks.methods import build_method, facts_of, is_on_frozen_clip
from benchmarks.model import Inputs, build_classifier
from benchmarks.plan import Plan, plan_run
from benchmarks.registering import register_methods
from benchmarks.run_folder import refuse_other_data
from benchmarks.settings import BenchmarkSettings
from benchmarks.state import TrainState, load_state, new_state
from benchmarks.trainer import train
from benchmarks.views import TrainViews
from ssl_aug.data.base import LabeledSet
from ssl_aug.data.readable import check_readable
from ssl_aug.endings import error_line
from ssl_aug.made_by import command_of, write_command
from ssl_aug.results.result import RESULT, RunResult
from ssl_aug.runtime import derived_seed, name_of, placement
from ssl_aug.settings import Settings
from ssl_aug.synthetic import weights_of
from ssl_aug.versions import versions


def run(settings: BenchmarkSettings, anew: bool = True) -> Path:
    """Trains and evaluates; returns the run's folder.

    Args:
        settings: not those of a dry run, which ends with `plan_run`.
        anew: a folder of its own even where `settings.runs` holds this very run. Otherwise a finished one is left as
            it is, and a stopped one goes on.

    Raises:
        ValueError, FileNotFoundError: settings that do not fit the data, the model or this machine.
        InOtherHandsError: another process is at this run.
        KeyboardInterrupt: Ctrl-C, after the state was saved.
    """
    assert not settings.dry_run
    return run_plan(plan_run(settings, facts_of(settings.method)), anew)


def run_plan(plan: Plan, anew: bool = True) -> Path:
    """The same for a run whose images are known.

    Raises:
        ValueError, OSError, KeyboardInterrupt: as `run`.
    """
    with ExitStack() as held:
        claimed = claim(plan, anew, held)
        folder = claimed.folder
        if claimed.is_done:
            print(f"{folder}: this run is done already", flush=True)
            return folder
        try:
            check_readable(plan.images)  # not thousands of steps later
            goes_on = claimed.has_state or plan.settings.resume
            training = build(plan, RunResult.read(folder / RESULT) if goes_on else None)
        except BaseException:
            claimed.clear()
            raise
        if goes_on:
            load_state(folder, training.state)
            refuse_other_data(folder, plan.result)
            print(f"{folder}: goes on from step {training.state.step}", flush=True)
        elif not claimed.is_new:
            print(f"{folder}: was stopped before anything was saved, begins again", flush=True)
        train_and_record(folder, plan, training)
    return folder


@dataclass(frozen=True)
class Training:
    """What the training loop is given: what it changes, and what it reads."""

    state: TrainState
    batches: TrainBatches
    test: TestBatches
    validation: TestBatches | None
    inputs: Inputs
    layout: Layout


def build(plan: Plan, begun: RunResult | None = None) -> Training:
    """The model, the method and their batches, at step 0.

    Args:
        begun: of the run that is gone on with.
    """
    settings, options = plan.settings, plan.settings.train
    placement(settings.device, settings.precision)  # what this machine lacks is told before weights are fetched
    torch.manual_seed(derived_seed(settings.seed, "new layers"))
    model, inputs = _classifier(settings, len(plan.split.labeled.class_names))
    layout = layout_for(model, settings, begun)
    place = layout.place
    method = build_method(settings.method, model, len(plan.labeled), len(plan.unlabeled or ()))
    for caveat in method.caveats(model.num_classes, options.unlabeled_batch_size):
        print(f"warning: {caveat}", file=sys.stderr, flush=True)
    if layout.channels_last:
        model.to(memory_format=torch.channels_last)
    if options.compile:
        model.backbone.compile()
    torch.backends.cudnn.deterministic = True  # a resumed run takes the same kernels (and the benchmark's setting)
    is_half = place.dtype == torch.float16
    state = new_state(model.to(place.device), method.to(place.device), options, is_half)
    cache_bytes = options.cache_megabytes * 2**20 // 2  # of training, and as much of testing

    def to_evaluate(images: LabeledSet) -> TestBatches:
        center_share = settings.view.test_center_share
        return TestBatches(images, inputs.image_size, options.eval_batch_size, cache_bytes, center_share)

    mix, kinds = settings.mix, method.view_kinds
    num_views = len(kinds.labeled) * options.batch_size + len(kinds.unlabeled) * options.unlabeled_batch_size
    helpful = helpful_workers(place.device, num_views, inputs.image_size)
    batches = TrainBatches(
        plan.labeled,
        plan.unlabeled,
        TrainViews(settings.view, inputs.image_size, inputs.mean),
        (options.batch_size, options.unlabeled_batch_size),
        settings.seed,
        cache_bytes,
        kinds,
        len(plan.split.labeled),
        mix.synthetic_share,
        weights_of(plan.synthetic, mix.synthetic_weight, mix.weight_by) if plan.synthetic else [],
        helpful if options.num_workers is None else options.num_workers,
    )
    validation = to_evaluate(plan.split.validation) if plan.split.validation else None
    return Training(state, batches, to_evaluate(plan.split.test), validation, inputs, layout)


def _classifier(settings: BenchmarkSettings, num_classes: int) -> tuple[Classifier, Inputs]:
    if is_on_frozen_clip(settings.method):
        from benchmarks.clip_model import build_on_frozen_clip

        clip = settings.method.clip
        print(f"a frozen CLIP ({clip}) takes the place of model={settings.model.name}", file=sys.stderr, flush=True)
        return build_on_frozen_clip(clip, settings.method.clip_checkpoint, num_classes)
    if settings.model.name != "embedded" and not settings.model.pretrained and not settings.model.checkpoint:
        print(f"warning: model.name={settings.model.name} starts from random weights", file=sys.stderr, flush=True)
    return build_classifier(settings.model, num_classes)


def train_and_record(folder: Path, plan: Plan, training: Training) -> None:
    """Trains to the last step; result.json says all the while how far the run is, and at the end how good.

    Raises:
        ValueError: a loss that is not finite, or an image that cannot be read.
        KeyboardInterrupt: Ctrl-C, after the state was saved.
    """
    state, layout = training.state, training.layout
    begun = replace(
        plan.result,
        device=name_of(layout.place.device),
        precision=layout.precision,
        channels_last=layout.channels_last,
        versions=versions(),
    )
    num_unlabeled = "no" if plan.unlabeled is None else len(plan.unlabeled)
    print(
        f"{folder}: {begun.num_labeled} labeled, {begun.num_synthetic} synthetic, {num_unlabeled} unlabeled, "
        f"{begun.num_test} test images, {begun.steps} steps on {begun.device} in {layout.told}",
        flush=True,
    )
    reached(begun, state, "running").write(folder)
    write_command(folder, command_of_run(plan.settings, begun.method))
    try:
        train(
            state, plan.settings.train, plan.settings.seed, training.batches, training.test, training.validation,
            training.inputs, layout.place, folder,
        )  # fmt: skip
    except KeyboardInterrupt:
        reached(begun, state, f"stopped at step {state.step}").write(folder)
        print(f"stopped at step {state.step}: python -m benchmarks.run resume={folder} goes on", flush=True)
        raise
    except Exception as error:
        reached(begun, state, f"failed: {error_line(error)}").write(folder)
        raise
    reached(begun, state, "done").write(folder)
    print(f"{folder}: test accuracy {state.accuracies['accuracy']:.1f} % after the last step", flush=True)


def command_of_run(settings: BenchmarkSettings, method: str) -> str | None:
    """The command line of this run. Without synthetic images it says nothing of how they would be drawn."""
    shared = {field.name for field in fields(Settings)} - {"data", "seed", "device", "precision"}
    unsaid = ("batch_size",) if settings.augment else tuple(shared)
    groups = {"method": method, "protocol": settings.protocol}
    register_methods([method])  # a run that is gone on with knows its method by its folder alone
    return command_of("benchmarks.run", "benchmark", settings, BenchmarkSettings, groups, unsaid)


def reached(begun: RunResult, state: TrainState, status: str) -> RunResult:
    """The result as it stands after the steps and evaluations that `state` has seen."""
    last, best = state.accuracies, state.best
    return replace(
        begun,
        status=status,
        steps_done=state.step,
        accuracy_last=last.get("accuracy"),
        accuracy_best_on_test=best.get("accuracy"),
        mean_class_accuracy=last.get("mean_class_accuracy"),
        validation_accuracy_last=last.get("validation_accuracy"),
        accuracy_at_best_validation=best.get("accuracy_at_best_validation"),
        ema_accuracy_last=last.get("ema_accuracy"),
        ema_accuracy_best_on_test=best.get("ema_accuracy"),
        ema_mean_class_accuracy=last.get("ema_mean_class_accuracy"),
        seconds=round(state.seconds, 2),
    )
