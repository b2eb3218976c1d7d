"""What a run will be, told before it begins and without what only training needs: its images, and their description."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.description import clip_id, comparable_settings, settings_text, weights_id
from benchmarks.method_facts import MethodFacts
from benchmarks.settings import BenchmarkSettings
from ssl_aug.data.base import LabeledSet, Split, file_list_id
from ssl_aug.data.build import load_and_tell
from ssl_aug.data.contents import TOLD_FROM
from ssl_aug.data.readable import check_readable
from ssl_aug.results.result import RunResult
from ssl_aug.synthetic import SyntheticSet, best_of_each_class, open_for, record_of, refuse_set_of_others


@dataclass(frozen=True)
class Plan:
    """The settings of a run and the images that they name."""

    settings: BenchmarkSettings  # with the synthetic set's folder, also where other settings had told it
    split: Split
    synthetic: SyntheticSet | None  # those of the synthetic images that are trained on
    unlabeled: tuple[Path, ...] | None  # None for a method that uses none
    result: RunResult  # before the first step

    @property
    def labeled(self) -> LabeledSet:
        """What is trained on as labeled: the split's images, then the synthetic ones."""
        return self.split.labeled.with_synthetic(self.synthetic) if self.synthetic else self.split.labeled

    @property
    def images(self) -> tuple[Path, ...]:
        """All that the run reads."""
        validation = self.split.validation.paths if self.split.validation else ()
        return (*self.labeled.paths, *(self.unlabeled or ()), *self.split.test.paths, *validation)


def plan_run(settings: BenchmarkSettings, method: MethodFacts) -> Plan:
    """Finds the images that the settings name.

    Raises:
        ValueError, FileNotFoundError: settings that do not fit the data.
    """
    _, split = load_and_tell(settings.data)
    synthetic = open_for(split.labeled, settings) if settings.augment else None
    if synthetic is None and settings.synthetic.root:  # the plain row beside the set's own
        refuse_set_of_others(split.labeled, Path(settings.synthetic.root))
    return plan_on(split, synthetic, settings, method)


def plan_on(split: Split, synthetic: SyntheticSet | None, settings: BenchmarkSettings, method: MethodFacts) -> Plan:
    """The same where the images are there: those that the settings describe.

    Raises:
        ValueError, FileNotFoundError: as `plan_run`.
    """
    if synthetic is not None:
        settings = replace(settings, synthetic=replace(settings.synthetic, root=str(synthetic.folder)))
        if settings.mix.keep_share is not None:
            synthetic = best_of_each_class(synthetic, settings.mix.keep_share)
    if method.uses_unlabeled and not split.unlabeled:
        has_all = settings.data.labels_per_class is None
        fewer = "give data.labels_per_class=4 or another number" if has_all else "lower data.labels_per_class"
        raise ValueError(
            f"method={method.name} learns from unlabeled images and data={settings.data.name} leaves "
            f"none: {fewer}, add unlabeled images, or use method=erm"
        )
    if not split.test.examples:
        raise ValueError(
            f"data={settings.data.name} has no test images, so that no accuracy can be told: add some "
            "(image_folder: test/<class>/ beside train/; csv: rows with the split test; hf: a split test)"
        )
    unlabeled = split.unlabeled if method.uses_unlabeled else None
    return Plan(settings, split, synthetic, unlabeled, describe(settings, method, split, synthetic))


def dry_run_text(settings: BenchmarkSettings, method: MethodFacts) -> str:
    """What a dry run of one run prints, after a look at the images where they are few.

    Raises:
        ValueError, FileNotFoundError: as `plan_run`, or images that cannot be read.
    """
    plan = plan_run(settings, method)
    if len(plan.images) < TOLD_FROM:  # more would take minutes
        check_readable(plan.images)
    return plan_text(plan)


def plan_text(plan: Plan, earlier: str | None = None) -> str:
    """What a dry run prints: the resolved settings, the numbers of images, and what the run would do.

    Args:
        earlier: what a grid would do with this very run where there is one already.
    """
    counts = [f"{name}: {value}" for name, value in asdict(plan.result).items() if name.startswith("num_")]
    if earlier is not None:
        would = earlier
    elif plan.settings.resume:
        would = f"would go on in {plan.settings.resume}"
    else:
        would = f"would train {plan.settings.train.steps} steps in a new folder in {plan.settings.runs}"
    return "\n".join([settings_text(plan.settings, plan.result.method), *counts, would])


def describe(
    settings: BenchmarkSettings, method: MethodFacts, split: Split, synthetic: SyntheticSet | None
) -> RunResult:
    """What can be said of a run before it has begun."""
    return RunResult(
        status="running",
        method=method.name,
        augment=settings.augment,
        mix=settings.mix.name,
        protocol=settings.protocol,
        data=settings.data.name,
        data_folder=Path(settings.data.root).resolve().name if settings.data.root else None,
        labels_per_class=settings.data.labels_per_class,
        split_seed=settings.data.split_seed,
        seed=settings.seed,
        model=settings.model.name,
        num_classes=len(split.labeled.class_names),
        num_labeled=len(split.labeled),
        num_synthetic=len(synthetic) if synthetic else 0,
        num_unlabeled=len(split.unlabeled),
        num_test=len(split.test),
        test_id=split.test.id,
        model_id=clip_id(settings.method) if method.on_frozen_clip else weights_id(settings.model),
        num_validation=len(split.validation) if split.validation else 0,
        labeled_set_id=split.labeled.id,
        unlabeled_id=file_list_id(split.unlabeled),
        synthetic_set_id=synthetic.id if synthetic else None,
        steps=settings.train.steps,
        settings=comparable_settings(settings, method.name, record_of(synthetic.folder) if synthetic else None),
        accuracy_last=None,
    )
