"""How views become logits: the order of the passes, and what they share."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.methods import METHODS
from benchmarks.methods.fixmatch import FixMatch, FixMatchSettings
from benchmarks.methods.passes import PASSES, batch_norm_per_group, step_logits
from tests.benchmarks.conftest import MakeClassifier, batch_for, methods_with, random_labeled, random_unlabeled, ready


def test_separate_passes_come_in_the_benchmarks_order_and_the_weak_one_moves_batchnorm(
    make_classifier: MakeClassifier,
) -> None:
    seen: list[tuple[Tensor, bool]] = []
    model = make_classifier()
    model.register_forward_pre_hook(lambda module, inputs: seen.append((inputs[0], torch.is_grad_enabled())))
    labeled, unlabeled = random_labeled(0), random_unlabeled(0)
    FixMatch(FixMatchSettings(strong_weight=0.1, passes="separate"))(model, labeled, unlabeled, 0.0)
    expected = [(labeled.weak, True), (labeled.strong, True), (unlabeled.weak, False), (unlabeled.strong, True)]
    assert all(a is b and x == y for (a, x), (b, y) in zip(seen, expected, strict=True))
    assert model.bottleneck[1].num_batches_tracked == 4


def test_the_joint_pass_gives_each_view_its_own_logits(make_classifier: MakeClassifier) -> None:
    model = make_classifier(batch_norm=False)
    outputs = [
        FixMatch(FixMatchSettings(threshold=0.0, strong_weight=0.2, passes=passes))(
            model, random_labeled(0), random_unlabeled(0), 0.0
        )
        for passes in ("joint", "separate")
    ]
    for name in outputs[0].losses:
        torch.testing.assert_close(outputs[0].losses[name], outputs[1].losses[name])


@pytest.mark.parametrize("name", methods_with("passes"))
def test_grouped_and_separate_passes_are_the_same_step(name: str, make_classifier: MakeClassifier) -> None:
    results = []
    for passes in ("separate", "grouped"):
        model = make_classifier()
        method = ready(with_passes(name, passes), model)
        output = method(model, *batch_for(method, 0), 0.5)
        torch.stack(list(output.losses.values())).sum().backward()
        gradients = {key: parameter.grad for key, parameter in model.named_parameters()}
        results.append((output.losses, gradients, dict(model.named_buffers())))
    largest = max(float(gradient.norm()) for gradient in results[0][1].values())
    for one, other in zip(*results, strict=True):
        assert one.keys() == other.keys()
        for key, value in one.items():
            # BatchNorm takes any bias before it away: its gradient is rounding alone
            size = largest if key == "bottleneck.0.bias" else float(value.detach().double().norm())
            assert float((value - other[key]).detach().double().norm()) <= 1e-6 * size, key


def with_passes(name: str, passes: str) -> Any:
    """The method's settings, with labeled strong views in the loss where it has such a weight, and few passes."""
    own = {"strong_weight": 0.1} if name in methods_with("strong_weight") else {"num_strong": 1}
    return METHODS[name][1](passes=passes, **own)


def test_grouped_batchnorm_is_gone_afterwards(make_classifier: MakeClassifier) -> None:
    model = make_classifier()
    images = torch.randn(6, 3, 9, 9)
    before = copy.deepcopy(model)(images)
    with batch_norm_per_group(model, [2, 4]):
        assert not torch.allclose(model(images), before)
    assert torch.allclose(copy.deepcopy(model)(images), before)


@pytest.mark.parametrize("passes", PASSES)
@pytest.mark.parametrize("strong_weight", [0.0, 0.1])
def test_a_steps_logits_are_named_and_targets_have_no_gradient(
    passes: str, strong_weight: float, make_classifier: MakeClassifier
) -> None:
    model = make_classifier(batch_norm=False)
    labeled, unlabeled = random_labeled(0), random_unlabeled(0)
    found = step_logits(model, labeled, unlabeled, passes, strong_weight)
    torch.testing.assert_close(found.labeled_weak, model(labeled.weak))
    torch.testing.assert_close(found.weak, model(unlabeled.weak))
    torch.testing.assert_close(found.strong, model(unlabeled.strong))
    assert found.labeled_weak.requires_grad and found.strong.requires_grad and not found.weak.requires_grad
    if strong_weight == 0:
        assert found.labeled_strong is None
    else:
        assert found.labeled_strong is not None and found.labeled_strong.requires_grad
        torch.testing.assert_close(found.labeled_strong, model(labeled.strong))
