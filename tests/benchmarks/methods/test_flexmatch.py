"""FlexMatch's thresholds of known states, its counts against a recount, and when it is FixMatch."""

from __future__ import annotations

import copy

import pytest
import torch

from benchmarks.methods.fixmatch import FixMatchSettings
from benchmarks.methods.flexmatch import FlexMatch, FlexMatchSettings, flexible_thresholds
from tests.benchmarks.conftest import (
    NUM_CLASSES,
    NUM_UNLABELED,
    MakeClassifier,
    random_labeled,
    random_unlabeled,
    ready,
)


@pytest.mark.parametrize(
    ("last", "warmup", "expected"),
    [  # four classes, ten images, tau 0.95
        ([-1] * 10, False, [0, 0, 0, 0]),
        ([-1] * 8 + [2, 2], False, [0, 0, 0.95, 0]),
        ([-1] * 5 + [2, 2, 1, 0, 0], False, [0.95, 0.95 / 3, 0.95, 0]),
        ([-1] * 5 + [2, 2, 1, 0, 0], True, [0.2375, 0.95 / 9, 0.2375, 0]),
    ],
)
def test_flexible_thresholds_of_known_states(last: list[int], warmup: bool, expected: list[float]) -> None:
    counts = torch.tensor([float(last.count(c)) for c in range(4)])
    found = flexible_thresholds(counts, torch.tensor(float(last.count(-1))), 0.95, warmup)
    assert found.tolist() == pytest.approx(expected, abs=1e-6)


def test_counts_that_are_kept_up_to_date_are_those_of_a_recount(make_classifier: MakeClassifier) -> None:
    method = ready(FlexMatchSettings(), make_classifier())
    assert isinstance(method, FlexMatch)
    last = [-1] * NUM_UNLABELED
    generator = torch.Generator().manual_seed(0)
    for _ in range(60):
        size = int(torch.randint(0, 9, (1,), generator=generator))
        index = torch.randint(NUM_UNLABELED, (size,), generator=generator)  # an image may come twice
        label = torch.randint(NUM_CLASSES, (size,), generator=generator)
        method.remember(index, label)
        for i, c in zip(index.tolist(), label.tolist(), strict=True):
            last[i] = c
        assert method.last.tolist() == last
        assert method.counts.tolist() == [last.count(c) for c in (*range(NUM_CLASSES), -1)]


def test_flexmatch_equals_fixmatch_when_all_classes_are_learnt(make_classifier: MakeClassifier) -> None:
    model = make_classifier()
    model.head.weight.data.mul_(8)
    flex = ready(FlexMatchSettings(threshold=0.6, strong_weight=0.1, passes="separate"), model)
    assert isinstance(flex, FlexMatch)
    flex.remember(torch.arange(NUM_UNLABELED), torch.arange(NUM_UNLABELED) % NUM_CLASSES)
    fix = ready(FixMatchSettings(threshold=0.6, strict=True, strong_weight=0.1, passes="separate"), model)
    losses = []
    for method in (flex, fix):
        losses.append(method(copy.deepcopy(model), random_labeled(0), random_unlabeled(0), 0.0).losses)
    assert losses[1]["unlabeled"] > 0
    assert losses[0]["unlabeled"].item() == pytest.approx(losses[1]["unlabeled"].item(), rel=1e-6)


@pytest.mark.parametrize("strict", [True, False])
def test_flexmatch_uses_the_state_before_the_step_and_is_strict_exactly_at_the_threshold(
    make_classifier: MakeClassifier, strict: bool
) -> None:
    model = make_classifier()
    model.head.weight.data.zero_()
    model.head.bias.data.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))
    said = model.head.bias.softmax(0)[0].item()
    method = ready(FlexMatchSettings(threshold=said, strict=strict, warmup=False), model)
    assert isinstance(method, FlexMatch)
    method.remember(torch.arange(12), torch.zeros(12, dtype=torch.long))  # half of the images: beta of class 0 is 1
    output = method(model, random_labeled(0), random_unlabeled(0), 0.0)
    assert (output.losses["unlabeled"].item() == 0) == strict
    assert output.report["confident_share"].item() == (0.0 if strict else 1.0)
