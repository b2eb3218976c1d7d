"""The steps whose speeds are compared are steps of a training."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from benchmarks import speed
from benchmarks.classifier import Classifier
from benchmarks.model import Inputs, build_classifier
from benchmarks.plan import Plan
from benchmarks.run import settings_from
from benchmarks.settings import BenchmarkSettings, ModelSettings
from benchmarks.single_run import Training, build
from ssl_aug.data.base import Split
from ssl_aug.data.build import load_split
from ssl_aug.runtime import placement
from tests.benchmarks.conftest import trained

PAPER = ("experiment=paper", "data.root=unread", "generator.checkpoint=unread")


@pytest.fixture
def settings(words: list[str]) -> BenchmarkSettings:
    return settings_from([*words, "method=fixmatch"])


@pytest.fixture
def split(settings: BenchmarkSettings) -> Split:
    return load_split(settings.data)[1]


def test_our_step_is_a_runs_own(
    split: Split, settings: BenchmarkSettings, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Training] = []

    def noted(plan: Plan) -> Training:
        built.append(build(plan))
        return built[-1]

    monkeypatch.setattr(speed, "build", noted)
    step = speed.our_step(split, settings)
    for _ in range(settings.train.steps):
        step()
    weights = load_file(trained([*words, "method=fixmatch"]) / "last.safetensors")
    for name, value in built[0].state.model.state_dict().items():
        assert torch.equal(value, weights[f"model/{name}"]), name


def test_the_published_way_trains_as_well(
    split: Split, settings: BenchmarkSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Classifier] = []

    def noted(model: ModelSettings, num_classes: int) -> tuple[Classifier, Inputs]:
        found = build_classifier(model, num_classes)
        made.append(found[0])
        return found

    monkeypatch.setattr(speed, "build_classifier", noted)
    step = speed.published_step(split, settings)
    before = [each.detach().clone() for each in made[0].parameters()]
    for _ in range(2):
        step()
    assert not any(torch.equal(a, b) for a, b in zip(before, made[0].parameters(), strict=True))


def test_the_part_is_a_step_in_each_precision_beside_one_plain_step(
    split: Split, settings: BenchmarkSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "fixmatch", lambda device, precision: replace(settings, precision=precision))
    (part,) = speed.parts(split, {name: placement("cpu", name) for name in ("fp32", "bf16")})
    assert list(part.ours) == ["fp32", "bf16"] and part.operations is not None and part.operations > 0
    for call, _ in part.ours.values():
        call()


def test_the_papers_trainings_are_six_in_two_rows_each_of_its_published_length() -> None:
    erm, others = speed.stages(placement("cpu", "fp32"))
    lengths = {name: settings_from([f"method={name}", *PAPER]).train.steps for name in speed.METHODS_OF_THE_PAPER}
    assert erm.count == 2 * lengths["erm"]
    assert erm.count + others.count == 2 * sum(lengths.values())
    assert speed.of_paper("fixmatch", placement("cpu", "fp32")).model.image_size == 224


def test_what_is_compared_is_the_published_benchmarks_fixmatch() -> None:
    settings = speed.fixmatch("cpu", "fp32")
    assert (settings.train.batch_size, settings.train.unlabeled_batch_size) == (32, 32)
    assert settings.method == settings_from(["method=fixmatch"]).method
    assert (settings.method.passes, settings.method.strong_weight) == ("separate", 0.1)
    assert (settings.model.name, settings.model.image_size, settings.view.crop_scale_min) == ("resnet18", 112, 0.2)
