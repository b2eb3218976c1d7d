"""python -m benchmarks.run method=fixmatch augment=true: trains one method on one split; `--help` lists the
settings.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.run_folder import (
    earlier_run,
    experiment,
    refuse_other_data,
    saved_settings,
    settings_text,
    weights_id,
)
from benchmarks.settings import BenchmarkSettings
from ssl_aug.command_line import compose, writable
from ssl_aug.data.base import file_list_id
from ssl_aug.runtime import (
    command,
    derived_seed,
    error_line,
    new_run_folder,
    placement,
    read_json,
    versions,
    write_json,
)
from ssl_aug.synthetic import best_of_each_class, weights_of

if TYPE_CHECKING:
    from benchmarks.state import TrainState
    from ssl_aug.data.base import LabeledSet, Split
    from ssl_aug.synthetic import SyntheticSet

# On the command line beside resume=: where the work runs may differ from the first time, what is done may not.
ALLOWED_WITH_RESUME = ("resume", "device", "data.root", "synthetic.root", "train.num_workers", "dry_run")


def main(words: list[str]) -> None:
    """Runs what the words of a command line ask for."""
    if "--help" in words or "-h" in words:
        from benchmarks.help import help_text

        print(help_text())
        return
    words = ["dry_run=true" if word == "--dry-run" else word for word in words]
    if "--multirun" in words or "-m" in words:
        from benchmarks.sweep import sweep

        sweep([word for word in words if word not in ("--multirun", "-m")], settings_from, partial(run, anew=False))
        return
    run(settings_from(words))


def settings_from(words: list[str]) -> BenchmarkSettings:
    """The settings that a command line asks for; those of the stopped run if it says `resume=`.

    Raises:
        ValueError: an unknown option, name or value.
    """
    option = next((word for word in words if word.startswith("-")), None)
    if option:
        raise ValueError(f"{option}: there is no such option; settings are written name=value, see --help")
    _refuse_generation_words(words)
    _register_methods()
    folder = next((word.partition("=")[2] for word in words if word.startswith("resume=")), "null")
    if folder in ("null", ""):
        return compose("benchmark", words, BenchmarkSettings)
    refused = next((word for word in words if word.partition("=")[0] not in ALLOWED_WITH_RESUME), None)
    if refused:
        raise ValueError(
            f"{refused}: resume= goes on with the settings of {folder}; beside it only "
            f"{', '.join(ALLOWED_WITH_RESUME[1:])} may be given"
        )
    return saved_settings(Path(folder), words)


def _refuse_generation_words(words: list[str]) -> None:
    """Settings of the generator whose names sound like training: without effect here, so most likely a slip."""
    augmented = any(word.startswith("augment=") and "true" in word.lower() for word in words)
    for name, value in (word.split("=", 1) for word in words if "=" in word):
        if name == "batch_size" or (name == "steps" and not augmented):
            raise ValueError(
                f"{name}={value}: that is the generator's and has no effect here, use train.{name}={value}"
            )


def run(settings: BenchmarkSettings, anew: bool = True) -> Path | None:
    """Trains and evaluates; returns the run's folder, or None after a dry run.

    Args:
        anew: a folder of its own even where `settings.runs` holds this very run. Otherwise a finished one is left as
            it is, and a stopped one goes on.

    Raises:
        ValueError, FileNotFoundError: settings that do not fit the data, the model or this machine.
        KeyboardInterrupt: Ctrl-C, after the state was saved.
    """
    from benchmarks.methods import known_methods, method_name
    from ssl_aug.data.build import load_split
    from ssl_aug.synthetic import open_for

    _, split = load_split(settings.data)
    labeled, synthetic = split.labeled, None
    if settings.augment:
        synthetic = open_for(split.labeled, settings)
        settings = replace(settings, synthetic=replace(settings.synthetic, root=str(synthetic.folder)))
        if settings.mix.keep_share is not None:
            synthetic = best_of_each_class(synthetic, settings.mix.keep_share)
        labeled = split.labeled.with_synthetic(synthetic)
    uses_unlabeled = known_methods()[method_name(settings.method)][0].uses_unlabeled
    if uses_unlabeled and not split.unlabeled:
        raise ValueError(
            f"method={method_name(settings.method)} learns from unlabeled images and data={settings.data.name} leaves "
            "none: lower data.labels_per_class, add unlabeled images, or use method=erm"
        )
    if not split.test.examples:
        raise ValueError(f"data={settings.data.name} has no test images, so that no accuracy can be told: add some")
    facts = describe(settings, split, synthetic)
    if settings.dry_run:
        print(settings_text(settings))
        print("\n".join(f"{name}: {facts[name]}" for name in facts if name.startswith("num_")))
        return None
    earlier = None if anew or settings.resume else earlier_run(settings, facts)
    if earlier is not None:
        folder, is_done = earlier
        if is_done:
            print(f"{folder}: this run is done already", flush=True)
            return folder
        settings = replace(settings, resume=str(folder))
    mix = settings.mix
    weights = weights_of(synthetic, mix.synthetic_weight, mix.weight_by) if synthetic else []
    return _train(settings, split, labeled, split.unlabeled if uses_unlabeled else None, weights, facts)


def describe(settings: BenchmarkSettings, split: Split, synthetic: SyntheticSet | None) -> dict[str, Any]:
    """What `result.json` says of a run before it has a result."""
    from benchmarks.methods import method_name

    return {
        "method": method_name(settings.method),
        "augment": settings.augment,
        "mix": settings.mix.name,
        "protocol": settings.protocol,
        "data": settings.data.name,
        "labels_per_class": settings.data.labels_per_class,
        "split_seed": settings.data.split_seed,
        "seed": settings.seed,
        "model": settings.model.name,
        "num_classes": len(split.labeled.class_names),
        "num_labeled": len(split.labeled),
        "num_synthetic": len(synthetic) if synthetic else 0,
        "num_unlabeled": len(split.unlabeled),
        "num_test": len(split.test),
        "test_id": f"{file_list_id(split.test.paths)}-{split.test.id}",
        "model_id": weights_id(settings.model),
        "num_validation": len(split.validation) if split.validation else 0,
        "labeled_set_id": split.labeled.id,
        "unlabeled_id": file_list_id(split.unlabeled),
        "synthetic_set_id": synthetic.id if synthetic else None,
        "steps": settings.train.steps,
        "settings": experiment(settings, read_json(synthetic.folder / "generator.json") if synthetic else None),
    }


def _train(
    settings: BenchmarkSettings,
    split: Split,
    labeled: LabeledSet,
    unlabeled: tuple[Path, ...] | None,
    synthetic_weights: list[float],
    facts: dict[str, Any],
) -> Path:
    import torch

    from benchmarks.loaders import TestBatches, TrainBatches
    from benchmarks.methods import build_method
    from benchmarks.model import build_classifier
    from benchmarks.state import load_state, new_state
    from benchmarks.trainer import train
    from benchmarks.views import TrainViews

    place = placement(settings.device, settings.precision)
    torch.manual_seed(derived_seed(settings.seed, "new layers"))
    model, inputs = build_classifier(settings.model, facts["num_classes"])
    method = build_method(settings.method, model, len(unlabeled or ()))
    half = place.dtype == torch.float16
    if settings.train.channels_last:
        model.to(memory_format=torch.channels_last)
    if settings.train.compile:
        model.backbone.compile()
    torch.backends.cudnn.deterministic = True  # a resumed run takes the same kernels (and the benchmark's setting)
    state = new_state(model.to(place.device), method.to(place.device), settings.train, half)
    options = settings.train
    cache_bytes = options.cache_megabytes * 2**20
    views = TrainViews(settings.view, inputs.image_size, inputs.mean)
    sizes = (options.batch_size, options.unlabeled_batch_size)
    per_process = cache_bytes // 2 // max(1, options.num_workers)
    batches = TrainBatches(
        labeled, unlabeled, views, sizes, settings.seed, per_process, method.view_kinds,
        len(split.labeled), settings.mix.synthetic_share, synthetic_weights,
    )  # fmt: skip
    looks = (inputs.image_size, options.eval_batch_size, cache_bytes // 2, settings.view.test_center_share)
    test = TestBatches(split.test, *looks)
    validation = TestBatches(split.validation, *looks) if split.validation else None

    if settings.resume:
        folder = Path(settings.resume)
        load_state(folder, state)
        refuse_other_data(folder, facts)
    else:
        folder = new_run_folder(Path(settings.runs), f"{facts['method']}{'-augment' if settings.augment else ''}")
        (folder / "config.yaml").write_text(settings_text(settings), encoding="utf-8")
    facts = facts | {"device": _device_name(place.device), "precision": str(place.dtype).removeprefix("torch.")}
    facts["versions"] = versions()
    print(f"{folder}: {facts['num_labeled']} labeled, {facts['num_synthetic']} synthetic, "
          f"{facts['num_unlabeled'] if unlabeled is not None else 'no'} unlabeled, {facts['num_test']} test images, "
          f"{options.steps} steps on {facts['device']} in {facts['precision']}", flush=True)  # fmt: skip
    _write_result(folder, facts, state, "running")
    try:
        train(state, options, settings.seed, batches, test, validation, inputs, place, folder)
    except KeyboardInterrupt:
        _write_result(folder, facts, state, f"stopped at step {state.step}")
        print(f"stopped at step {state.step}: python -m benchmarks.run resume={folder} goes on", flush=True)
        raise
    except Exception as error:
        _write_result(folder, facts, state, f"failed: {error_line(error)}")
        raise
    _write_result(folder, facts, state, "done")
    print(f"{folder}: test accuracy {state.accuracies['accuracy']:.1f} % after the last step", flush=True)
    return folder


def _write_result(folder: Path, facts: dict[str, Any], state: TrainState, status: str) -> None:
    """`result.json`: accuracies in percent, `seconds` spent in training steps and evaluations."""
    last, best = state.accuracies, state.best
    result = {
        "status": status,
        **facts,
        "steps_done": state.step,
        "accuracy_last": last.get("accuracy"),
        "accuracy_best_on_test": best.get("accuracy"),
        "mean_class_accuracy": last.get("mean_class_accuracy"),
        "validation_accuracy_last": last.get("validation_accuracy"),
        "accuracy_at_best_validation": best.get("accuracy_at_best_validation"),
        "ema_accuracy_last": last.get("ema_accuracy"),
        "ema_accuracy_best_on_test": best.get("ema_accuracy"),
        "ema_mean_class_accuracy": last.get("ema_mean_class_accuracy"),
        "seconds": round(state.seconds, 2),
    }
    write_json(folder / "result.json", result)


def _register_methods() -> None:
    """Hydra learns each method's settings, and their defaults as the values of protocol=paper."""
    from hydra.core.config_store import ConfigStore

    from benchmarks.methods import METHODS, known_methods

    store = ConfigStore.instance()
    for name, (_, schema) in known_methods().items():
        own = f"{name}_schema" if name in METHODS else name  # a method of another package has no YAML here
        store.store(group="method", name=own, node=writable(schema), package="method")
        store.store(group="protocol/values", name=f"paper_{name}", node=writable(schema), package="method")


def _device_name(device: Any) -> str:
    import torch

    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"cpu, {torch.get_num_threads()} threads"


if __name__ == "__main__":
    command(main, "a grid goes on with the same command, a single run with resume=")
