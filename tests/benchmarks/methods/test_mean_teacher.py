"""Mean Teacher's average against one by hand, and Mean Teacher without momentum against the Pi Model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from benchmarks.methods.mean_teacher import MeanTeacher, MeanTeacherSettings, teacher_momentum
from benchmarks.methods.pi_model import squared_difference
from tests.benchmarks.conftest import batch_for, build_classifier, ready


def test_the_teachers_momentum_is_lower_while_the_weight_rises() -> None:
    paper = MeanTeacherSettings(ramp_end=0.25)
    assert [teacher_momentum(9, progress, paper) for progress in (0.0, 0.2, 0.25, 0.9)] == [0.99, 0.99, 0.999, 0.999]
    benchmark = replace(paper, early_momentum=None)
    assert [teacher_momentum(t, 0.5, benchmark) for t in (1, 2, 10, 5000)] == [0.0, 0.5, 0.9, 0.999]


@pytest.mark.parametrize("early_momentum", [0.6, None])
def test_the_teacher_is_the_moving_average_of_the_students_weights(early_momentum: float | None) -> None:
    model = build_classifier()
    settings = MeanTeacherSettings(momentum=0.9, early_momentum=early_momentum, ramp_end=0.5)
    method = ready(settings, model)
    assert isinstance(method, MeanTeacher)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    expected: Tensor = model.head.weight.detach().clone()
    for step in range(6):
        if step > 0:
            alpha = min(0.9, 1 - 1 / step) if early_momentum is None else (0.6 if step / 6 < 0.5 else 0.9)
            expected = alpha * expected + (1 - alpha) * model.head.weight.detach()
        loss = torch.stack(list(method(model, *batch_for(method, step), step / 6).losses.values())).sum()
        torch.testing.assert_close(method.teacher.head.weight, expected)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert not torch.equal(method.teacher.head.weight, model.head.weight)


def test_without_momentum_the_teacher_is_the_student_and_the_loss_the_pi_models_without_its_second_gradient() -> None:
    model = build_classifier()
    method = ready(MeanTeacherSettings(momentum=0.0, early_momentum=0.0, ramp_end=0.0, unlabeled_weight=2.0), model)
    for parameter in model.parameters():
        parameter.data += 0.01
    method.steps += 1
    labeled, unlabeled = batch_for(method, 0)
    assert unlabeled is not None
    output = method(model, labeled, unlabeled, 0.5)
    first = model(torch.cat([labeled.weak, unlabeled.weak]))
    second = model(torch.cat([labeled.more[0], unlabeled.strong])).detach()
    expected = 2 * squared_difference(first, second, "images_and_classes")
    torch.testing.assert_close(output.losses["unlabeled"], expected)
    found = torch.autograd.grad(output.losses["unlabeled"], model.head.weight)
    torch.testing.assert_close(found, torch.autograd.grad(expected, model.head.weight))
