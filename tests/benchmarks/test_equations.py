"""Each method's equation against a slow, obvious version, published vectors, and what it becomes at the edges."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.classifier import Classifier
from benchmarks.methods import METHODS, build_method
from benchmarks.methods.base import Method
from benchmarks.methods.debiasmatch import DebiasMatch, DebiasMatchSettings, debiased_loss, moving_average
from benchmarks.methods.dst import ReversedGradient, reversal_coefficient, worst_case_loss
from benchmarks.methods.erm import ERM, ERMSettings
from benchmarks.methods.fixmatch import FixMatchSettings, masked_pseudo_label_loss, pseudo_label_loss
from benchmarks.methods.flexmatch import FlexMatch, FlexMatchSettings, flexible_thresholds
from benchmarks.methods.freematch import fairness_loss, self_adaptive_thresholds
from benchmarks.methods.passes import batch_norm_per_group
from benchmarks.methods.pseudo_label import PseudoLabelSettings, ramp
from benchmarks.methods.self_tuning import SelfTuningSettings, enqueue, group_contrast
from benchmarks.methods.softmatch import truncated_gaussian, uniformly_aligned
from benchmarks.methods.uda import UDASettings, annealing_threshold, consistency_loss, not_yet_known

from .conftest import NUM_CLASSES, random_labeled, random_unlabeled

MakeClassifier = Callable[..., Classifier]
NUM_UNLABELED = 24


def logits(seed: int, rows: int = 40, scale: float = 3.0) -> Tensor:
    return scale * torch.randn(rows, NUM_CLASSES, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ready(settings: Any, model: Classifier) -> Method:
    torch.manual_seed(7)
    return build_method(settings, model, NUM_UNLABELED)


def gradients_of(settings: Any, model: Classifier, progress: float = 0.5) -> dict[str, Tensor]:
    method = ready(settings, model)
    unlabeled = random_unlabeled(0) if method.uses_unlabeled else None
    output = method(model, random_labeled(0), unlabeled, progress)
    model.zero_grad(set_to_none=True)
    torch.stack(list(output.losses.values())).sum().backward()
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


def assert_same_gradients(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, gradient in one.items():
        torch.testing.assert_close(gradient, other[name], rtol=1e-5, atol=1e-7)


# ---------------------------------------------------------------------------------------------------------------------
# Pseudo Label


def test_the_ramp_is_zero_then_linear_then_one() -> None:
    assert [ramp(t, 0.1, 0.6) for t in (0.0, 0.05, 0.1, 0.35, 0.6, 0.9)] == pytest.approx([0, 0, 0, 0.5, 1, 1])
    assert ramp(0.0, 0.0, 0.0) == 1.0


def test_pseudo_label_teaches_the_view_that_it_was_read_from(make_classifier: MakeClassifier) -> None:
    model = make_classifier()
    seen: list[tuple[Tensor, bool]] = []
    model.register_forward_pre_hook(lambda module, inputs: seen.append((inputs[0], torch.is_grad_enabled())))
    labeled, unlabeled = random_labeled(0), random_unlabeled(0)
    settings = PseudoLabelSettings(threshold=0.0, ramp_end=0.1, strong_weight=0.1, passes="separate")
    ready(settings, model)(model, labeled, unlabeled, 0.5)
    expected = [(labeled.weak, True), (labeled.strong, True), (unlabeled.weak, True)]
    assert all(a is b and x == y for (a, x), (b, y) in zip(seen, expected, strict=True))


# ---------------------------------------------------------------------------------------------------------------------
# UDA


@pytest.mark.parametrize("temperature_on", ["target", "student"])
@pytest.mark.parametrize("mean_over", ["all", "kept"])
def test_consistency_loss_equals_a_loop_over_images(temperature_on: str, mean_over: str) -> None:
    strong, weak = logits(0), logits(1)
    total, kept = 0.0, 0
    for s, w in zip(strong, weak, strict=True):
        if w.softmax(0).max() > 0.7:
            kept += 1
            target = (w / 0.4 if temperature_on == "target" else w).softmax(0)
            student = (s / 0.4 if temperature_on == "student" else s).softmax(0)
            total += sum(p.item() * math.log(p.item() / q.item()) for p, q in zip(target, student, strict=True))
    assert 0 < kept < 40
    loss = consistency_loss(strong, weak, 0.7, 0.4, temperature_on, mean_over, strict=True)
    assert loss.item() == pytest.approx(total / (kept if mean_over == "kept" else 40), rel=1e-9)


def test_uda_with_vanishing_temperature_is_fixmatch() -> None:
    strong, weak = logits(0), logits(1)
    loss = consistency_loss(strong, weak, 0.6, 1e-6)
    assert loss.item() == pytest.approx(pseudo_label_loss(strong, weak, 0.6).item(), rel=1e-9)


def test_with_nothing_confident_uda_has_no_unlabeled_loss() -> None:
    assert consistency_loss(logits(0), logits(1), 1.0, 0.4, mean_over="kept", strict=True).item() == 0


def test_annealing_lets_the_labeled_signal_in_from_one_over_k_to_one() -> None:
    for schedule in ("linear", "log", "exp"):
        values = [annealing_threshold(schedule, t, 10) for t in (0.0, 0.3, 0.6, 0.999)]
        assert values == sorted(values)
        assert values[0] == pytest.approx(0.1 + (math.exp(-5) * 0.9 if schedule == "exp" else 0))
        assert values[-1] == pytest.approx(1.0, abs=0.01)
    assert annealing_threshold("none", 0.0, 10) == 1.0
    known = not_yet_known(torch.tensor([[5.0, 0.0], [0.0, 5.0]]), torch.tensor([0, 0]), 0.5)
    assert known.tolist() == [0.0, 1.0]


def test_without_annealing_and_confidence_uda_is_erm(make_classifier: MakeClassifier) -> None:
    uda = UDASettings(threshold=1.0, strict=True, annealing="none", strong_weight=0.1, passes="separate")
    gradients = gradients_of(uda, make_classifier(batch_norm=False))
    expected = gradients_of(ERMSettings(strong_weight=0.1), make_classifier(batch_norm=False))
    assert_same_gradients(gradients, expected)


# ---------------------------------------------------------------------------------------------------------------------
# FlexMatch


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


# ---------------------------------------------------------------------------------------------------------------------
# Self-Tuning


def test_group_contrast_equals_a_divergence_from_the_uniform_distribution_on_the_positives() -> None:
    generator = torch.Generator().manual_seed(0)
    unit = lambda *shape: torch.nn.functional.normalize(  # noqa: E731
        torch.randn(*shape, generator=generator, dtype=torch.float64), dim=-1
    )
    query, key, queue = unit(5, 6), unit(5, 6), unit(3, 2, 6)
    label = torch.tensor([0, 2, 1, 1, 0])
    total = 0.0
    for q, k, c in zip(query, key, label, strict=True):
        candidates = [k, *queue.reshape(-1, 6)]
        log_p = torch.stack([q @ each for each in candidates]).div(0.07).log_softmax(0)
        positives = [0, *(1 + 2 * c.item() + place for place in range(2))]
        total += sum(1 / 3 * (math.log(1 / 3) - log_p[j].item()) for j in positives)
    loss = group_contrast(query, key, label, queue, 0.07)
    assert loss.item() == pytest.approx(total / 5, rel=1e-9)


def test_keys_are_written_one_by_one_to_their_class_next_slot() -> None:
    generator = torch.Generator().manual_seed(0)
    queue, pointer = torch.zeros(3, 2, 1), torch.tensor([1, 0, 0])
    expected, places = queue.clone(), pointer.tolist()
    for _ in range(6):
        key = torch.randn(7, 1, generator=generator)
        label = torch.randint(3, (7,), generator=generator)  # a class may come more often than it has slots
        enqueue(queue, pointer, key, label)
        for k, c in zip(key, label.tolist(), strict=True):
            expected[c, places[c]] = k
            places[c] = (places[c] + 1) % 2
        assert torch.equal(queue, expected)
        assert pointer.tolist() == places


@pytest.mark.parametrize("updates", [1, 2])
def test_the_key_encoder_follows_once_or_twice_a_step_and_keeps_its_own_statistics(
    make_classifier: MakeClassifier, updates: int
) -> None:
    model = make_classifier()
    method = ready(SelfTuningSettings(queue_size=2, projection_width=8, momentum=0.9, updates=updates), model)
    slow = copy.deepcopy(method.key_model.head.weight)  # type: ignore[union-attr]
    model.head.weight.data.add_(1.0)
    method(model, random_labeled(0), random_unlabeled(0), 0.0)
    found = method.key_model.head.weight - slow  # type: ignore[union-attr]
    assert torch.allclose(found, torch.full_like(found, 1 - 0.9**updates), atol=1e-6)
    statistics = [module.bottleneck[1].running_mean for module in (model, method.key_model)]
    assert not torch.allclose(*statistics)
    assert model.bottleneck[1].num_batches_tracked == 3  # labeled, unlabeled for its label, unlabeled
    assert method.key_model.bottleneck[1].num_batches_tracked == 2  # type: ignore[union-attr]


# ---------------------------------------------------------------------------------------------------------------------
# DebiasMatch


def test_debiased_loss_equals_a_loop_over_images() -> None:
    strong, weak = logits(0), logits(1)
    average = torch.tensor([0.7, 0.1, 0.15, 0.05], dtype=torch.float64)
    total, kept = 0.0, 0
    for s, w in zip(strong, weak, strict=True):
        p = (w - 0.8 * average.log()).softmax(0)
        if p.max() >= 0.7:
            kept += 1
            total -= (s + 0.8 * average.log()).log_softmax(0)[p.argmax()].item()
    assert 0 < kept < 40
    assert debiased_loss(strong, weak, average, 0.8, 0.7).item() == pytest.approx(total / 40, rel=1e-9)


def test_with_equal_classes_debiasmatch_is_fixmatch() -> None:
    strong, weak = logits(0), logits(1)
    even = torch.full((NUM_CLASSES,), 1 / NUM_CLASSES, dtype=torch.float64)
    assert debiased_loss(strong, weak, even, 1.0, 0.7).item() == pytest.approx(
        pseudo_label_loss(strong, weak, 0.7).item(), rel=1e-9
    )


def test_the_moving_average_starts_anew_where_the_benchmarks_does(make_classifier: MakeClassifier) -> None:
    model = make_classifier()
    model.head.bias.data.copy_(torch.tensor([4.0, 0.0, 0.0, 0.0]))
    averages = {}
    for reset in (0, 2):
        method = ready(DebiasMatchSettings(decay=0.5, reset_steps=reset), copy.deepcopy(model))
        assert isinstance(method, DebiasMatch)
        for step in range(3):
            method(copy.deepcopy(model), random_labeled(0), random_unlabeled(step), 0.0)
        averages[reset] = method.average
    assert averages[0][0] > averages[2][0] > 1 / NUM_CLASSES
    even = torch.full((NUM_CLASSES,), 0.25, dtype=torch.float64)
    assert torch.allclose(moving_average(even, logits(0), 0.9), 0.9 * even + 0.1 * logits(0).softmax(1).mean(0))


# ---------------------------------------------------------------------------------------------------------------------
# DST


def test_worst_case_loss_equals_a_loop_over_images() -> None:
    labeled, unlabeled = logits(0, 6), logits(1, 9)
    label, pseudo_label = logits(2, 6).argmax(1), logits(3, 9).argmax(1)
    right = -sum(row.log_softmax(0)[c].item() for row, c in zip(labeled, label, strict=True)) / 6
    wrong = (
        -sum(math.log(1 - row.softmax(0)[c].item() + 1e-6) for row, c in zip(unlabeled, pseudo_label, strict=True)) / 9
    )
    assert worst_case_loss(labeled, unlabeled, label, pseudo_label, 2.0).item() == pytest.approx(2 * right + wrong)


def test_the_gradient_is_reversed_by_a_coefficient_that_grows_to_a_tenth() -> None:
    features = torch.ones(3, requires_grad=True)
    ReversedGradient.apply(features, 0.25).sum().backward()
    assert features.grad is not None and features.grad.tolist() == [-0.25] * 3
    assert reversal_coefficient(0) == 0
    assert reversal_coefficient(1000) == pytest.approx(0.1 * math.tanh(0.5))
    assert reversal_coefficient(1e6) == pytest.approx(0.1)


# ---------------------------------------------------------------------------------------------------------------------
# SoftMatch, FreeMatch


def test_soft_weights_are_one_from_the_mean_on_and_fall_as_a_gaussian_below() -> None:
    mean, variance = torch.tensor(0.6), torch.tensor(0.04)
    weight = truncated_gaussian(torch.tensor([0.9, 0.6, 0.5, 0.2]), mean, variance, 2.0)
    expected = [1.0, 1.0, math.exp(-(0.1**2) / (2 * 0.04 / 4)), math.exp(-(0.4**2) / (2 * 0.04 / 4))]
    assert weight.tolist() == pytest.approx(expected, rel=1e-5)


def test_alignment_raises_classes_that_are_seldom_predicted() -> None:
    probabilities = torch.tensor([[0.6, 0.4], [0.6, 0.4]])
    assert torch.allclose(uniformly_aligned(probabilities, torch.tensor([0.6, 0.4])), torch.full((2, 2), 0.5))
    assert torch.allclose(uniformly_aligned(probabilities, torch.tensor([0.5, 0.5])), probabilities)


def test_self_adaptive_thresholds_scale_with_the_expected_share_of_a_class() -> None:
    found = self_adaptive_thresholds(torch.tensor(0.8), torch.tensor([0.5, 0.25, 0.25]))
    assert found.tolist() == pytest.approx([0.8, 0.4, 0.4])


def test_fairness_loss_equals_sums_by_hand_and_is_zero_without_images() -> None:
    strong = logits(0, 6)
    mask = torch.tensor([True, True, False, True, True, True])
    expectation = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
    histogram = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    kept = [row.softmax(0) for row, m in zip(strong, mask, strict=True) if m]
    mean = [sum(row[c].item() for row in kept) / 5 for c in range(4)]
    share = [sum(row.argmax().item() == c for row in kept) / 5 for c in range(4)]
    a = [expectation[c].item() / histogram[c].item() for c in range(4)]
    b = [mean[c] / share[c] if share[c] else 0.0 for c in range(4)]
    expected = sum(a[c] / sum(a) * math.log(b[c] / sum(b) + 1e-12) for c in range(4))
    assert fairness_loss(strong, mask, expectation, histogram).item() == pytest.approx(expected, rel=1e-6)
    assert fairness_loss(strong, torch.zeros(6, dtype=torch.bool), expectation, histogram).item() == 0


def test_masked_loss_with_soft_weights_is_a_weighted_mean_over_all_images() -> None:
    strong, label, weight = logits(0, 3), torch.tensor([0, 1, 2]), torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64)
    expected = -(strong[0].log_softmax(0)[0] + 0.5 * strong[1].log_softmax(0)[1]) / 3
    assert masked_pseudo_label_loss(strong, label, weight).item() == pytest.approx(expected.item())


# ---------------------------------------------------------------------------------------------------------------------
# passes


WITH_PASSES = [name for name, (_, schema) in METHODS.items() if "passes" in schema.__dataclass_fields__]


@pytest.mark.parametrize("name", WITH_PASSES)
def test_grouped_and_separate_passes_are_the_same_step(name: str, make_classifier: MakeClassifier) -> None:
    results = []
    for passes in ("separate", "grouped"):
        model = make_classifier()
        method = ready(METHODS[name][1](passes=passes, strong_weight=0.1), model)
        output = method(model, random_labeled(0), random_unlabeled(0), 0.5)
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


def test_grouped_batchnorm_is_gone_afterwards(make_classifier: MakeClassifier) -> None:
    model = make_classifier()
    images = torch.randn(6, 3, 9, 9)
    before = copy.deepcopy(model)(images)
    with batch_norm_per_group(model, [2, 4]):
        assert not torch.allclose(model(images), before)
    assert torch.allclose(copy.deepcopy(model)(images), before)


def test_with_nothing_to_learn_from_unlabeled_images_the_others_are_erm_too(make_classifier: MakeClassifier) -> None:
    expected = gradients_of(ERMSettings(strong_weight=0.1), make_classifier(batch_norm=False))
    options = {"threshold": 1.0, "strict": True, "strong_weight": 0.1, "passes": "separate"}
    for settings in (PseudoLabelSettings(**options), FixMatchSettings(**options), DebiasMatchSettings(**options)):
        assert_same_gradients(gradients_of(settings, make_classifier(batch_norm=False)), expected)
    assert isinstance(ready(ERMSettings(), make_classifier()), ERM)


@pytest.mark.parametrize("name", METHODS)
def test_under_autocast_every_loss_is_that_of_float32_features(name: str, make_classifier: MakeClassifier) -> None:
    losses = []
    for dtype in (torch.float32, torch.bfloat16):
        model = make_classifier()
        method = ready(METHODS[name][1](), model)
        unlabeled = random_unlabeled(0) if method.uses_unlabeled else None
        torch.manual_seed(0)
        with torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
            output = method(model, random_labeled(0), unlabeled, 0.5)
        for loss in output.losses.values():
            assert loss.dtype == torch.float32
        losses.append({key: value.item() for key, value in output.losses.items()})
    for key, value in losses[0].items():  # only the backbone and bottleneck round
        assert losses[1][key] == pytest.approx(value, rel=0.05, abs=0.05)
