"""Noisy Student's loss against a loop over images, its rounds, and Noisy Student with nothing kept against ERM."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from benchmarks.methods.noisy_student import NoisyStudent, NoisyStudentSettings, teacher_loss
from benchmarks.optim import learning_rate
from benchmarks.settings import TrainSettings
from benchmarks.state import new_state
from tests.benchmarks.conftest import (
    assert_erms_gradients,
    batch_for,
    build_classifier,
    logits,
    random_unlabeled,
    read_log,
    ready,
    trained,
)


@pytest.mark.parametrize("targets", ["soft", "hard"])
def test_the_teachers_loss_equals_a_loop_over_the_images_whose_label_is_confident(targets: str) -> None:
    strong, teacher = logits(0), logits(1)
    total, kept = 0.0, 0
    for student_row, teacher_row in zip(strong, teacher, strict=True):
        if teacher_row.softmax(0).max() > 0.6:
            kept += 1
            p, log_p = (teacher_row / 0.5).softmax(0), (student_row / 0.5).log_softmax(0)
            total -= (p @ log_p if targets == "soft" else log_p[p.argmax()]).item()
    loss, mask = teacher_loss(strong, teacher, 0.6, 0.5, targets)
    assert 0 < kept < 40 and mask.sum() == kept
    assert loss.item() == pytest.approx(total / kept, rel=1e-12)


def test_a_round_makes_the_student_the_teacher_and_begins_with_the_weights_of_the_start() -> None:
    model = build_classifier()
    start = copy.deepcopy(model.state_dict())
    method = ready(NoisyStudentSettings(), model)
    assert isinstance(method, NoisyStudent)
    assert method.rounds == pytest.approx((0.25, 0.5, 0.75))
    state = new_state(model, method, TrainSettings(ema_decay=0.5), half=False)
    assert method(model, *batch_for(method, 0), 0.0).losses.keys() == {"supervised"}  # the first teacher learns alone
    model.head.weight.data.add_(1.0)
    state.optimizer.state[model.head.weight] = {"momentum_buffer": torch.ones_like(model.head.weight)}
    trained_weights = copy.deepcopy(model.state_dict())
    state.begin_round()
    assert not state.optimizer.state
    assert state.average is not None
    for name, value in start.items():
        assert torch.equal(model.state_dict()[name], value)
        assert torch.equal(state.average.module.state_dict()[name], value)
        assert torch.equal(method.teacher.state_dict()[name], trained_weights[name])
    assert method(model, *batch_for(method, 1), 0.3).losses.keys() == {"supervised", "unlabeled"}


def test_the_teacher_speaks_without_noise_and_once_of_an_image_in_a_round() -> None:
    model = build_classifier()
    method = ready(NoisyStudentSettings(), model)
    each_time = ready(NoisyStudentSettings(labels_once=False), model)
    assert isinstance(method, NoisyStudent) and isinstance(each_time, NoisyStudent)
    method.begin_round(model)
    each_time.begin_round(model)
    first, second = random_unlabeled(0), replace(random_unlabeled(1), index=torch.arange(6, 18))
    teacher = copy.deepcopy(method.teacher).eval()
    expected = teacher(first.weak), teacher(second.weak)
    torch.testing.assert_close(method.labels_of(first), expected[0])
    torch.testing.assert_close(method.labels_of(second), torch.cat([expected[0][6:], expected[1][6:]]))
    torch.testing.assert_close(each_time.labels_of(first), expected[0])
    torch.testing.assert_close(each_time.labels_of(second), expected[1])
    method.begin_round(model)
    torch.testing.assert_close(method.labels_of(second), expected[1])


@pytest.mark.parametrize("begun", [False, True])
def test_before_its_first_round_and_with_no_label_confident_enough_it_is_erm(begun: bool) -> None:
    settings = NoisyStudentSettings(threshold=1.0, strong_weight=0.1)
    assert_erms_gradients(settings)
    model = build_classifier(batch_norm=False)
    method = ready(settings, model)
    if begun:
        method.begin_round(model)
    losses = method(model, *batch_for(method, 0), 0.5).losses
    assert losses.get("unlabeled", torch.zeros(())).item() == 0


def test_each_round_has_a_schedule_of_its_own(words: list[str]) -> None:
    settings = ["method=noisy_student", "method.students=1", "method.teacher_share=0.5", "train.schedule=cosine"]
    log = read_log(trained([*words, *settings, "train.steps=8"]))
    expected = [learning_rate("cosine", 0.03, step % 4, 4, 0.0) for step in range(8)]
    assert [float(row["learning_rate"]) for row in log] == pytest.approx(expected, rel=1e-5)
    assert [bool(row["loss/unlabeled"]) for row in log] == [False] * 4 + [True] * 4
