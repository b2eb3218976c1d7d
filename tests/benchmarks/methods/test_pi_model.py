"""The Pi Model's difference against a loop over images and classes, and the Pi Model without noise against ERM."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from benchmarks.methods.erm import supervised_loss
from benchmarks.methods.pi_model import PiModelSettings, ramp_up, squared_difference
from tests.benchmarks.conftest import (
    NUM_LABELED,
    NUM_UNLABELED,
    batch_for,
    build_classifier,
    confident_step,
    logits,
    random_labeled,
    ready,
)


@pytest.mark.parametrize(("averaged_over", "divisor"), [("images_and_classes", 160), ("images", 40), ("nothing", 1)])
def test_the_squared_difference_equals_a_loop_over_images_and_classes(averaged_over: str, divisor: int) -> None:
    first, second = logits(0), logits(1)
    total = 0.0
    for z, other in zip(first.softmax(1).tolist(), second.softmax(1).tolist(), strict=True):
        total += sum((a - b) ** 2 for a, b in zip(z, other, strict=True))
    found = squared_difference(first, second, averaged_over)
    assert found.item() == pytest.approx(total / divisor, rel=1e-12)


def test_the_weight_rises_as_a_sigmoid_until_the_ramp_ends() -> None:
    assert [ramp_up(progress, 0.25) for progress in (0.0, 0.125, 0.25, 0.9)] == pytest.approx(
        [math.exp(-5), math.exp(-5 / 4), 1.0, 1.0]
    )
    assert ramp_up(0.0, 0.0) == 1.0


def test_a_pi_model_step_is_its_equation_on_the_logits_of_its_passes() -> None:
    settings = PiModelSettings(unlabeled_weight=3.0, strong_weight=0.1, ramp_end=1.0, passes="separate")
    output, (labeled_weak, labeled_strong, weak, labeled_again, again) = confident_step(settings, progress=0.5)
    labeled = random_labeled(0)
    supervised = supervised_loss(labeled_weak, labeled_strong, labeled.target, labeled.weight, 0.1)
    assert output.losses["supervised"].item() == pytest.approx(supervised.item(), rel=1e-6)
    first, second = torch.cat([labeled_weak, weak]).softmax(1), torch.cat([labeled_again, again]).softmax(1)
    weight = 3 * math.exp(-5 / 4) * NUM_LABELED / (NUM_LABELED + NUM_UNLABELED)
    expected = weight * ((first - second) ** 2).sum().item() / (4 * (8 + 12))
    assert output.losses["unlabeled"].item() == pytest.approx(expected, rel=1e-5) and expected > 0


@pytest.mark.parametrize("consistency_on", ["all", "unlabeled"])
def test_without_noise_between_its_evaluations_the_pi_model_is_erm(consistency_on: str) -> None:
    model = build_classifier(batch_norm=False)
    settings = PiModelSettings(consistency_on=consistency_on, ramp_end=0.0)
    method = ready(settings, model)
    labeled, unlabeled = batch_for(method, 0)
    assert unlabeled is not None
    same = replace(labeled, more=labeled.weak[None]), replace(unlabeled, strong=unlabeled.weak)
    output = method(model, *same, 0.5)
    assert output.losses["unlabeled"].item() == 0
    torch.stack(list(output.losses.values())).sum().backward()
    erm = build_classifier(batch_norm=False)
    supervised_loss(erm(labeled.weak), None, labeled.target, labeled.weight, 0.0).backward()
    for found, expected in zip(model.parameters(), erm.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad)
