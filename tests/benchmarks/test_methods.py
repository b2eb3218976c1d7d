"""The contract that every registered method keeps, and what ERM and FixMatch mean."""

from __future__ import annotations

import copy
import dataclasses
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.methods import METHODS, build_method, method_name
from benchmarks.methods.base import Classifier, Labeled, Method, Unlabeled
from benchmarks.methods.erm import ERM, ERMSettings, supervised_loss
from benchmarks.methods.fixmatch import FixMatch, FixMatchSettings, pseudo_label_loss

from .conftest import NUM_CLASSES, random_labeled, random_unlabeled

MakeClassifier = Callable[..., Classifier]
# Where a setting can be seen to matter: with logits all zero, confidence is 1/4 exactly, so that > and >= part ways.
BASE: dict[str, dict[str, Any]] = {
    "fixmatch": {"threshold": 0.25},
    "pseudo_label": {"threshold": 0.25},
    "uda": {"threshold": 0.25, "annealing": "none"},
    "flexmatch": {"threshold": 0.6},
    "debiasmatch": {"threshold": 0.25, "decay": 0.9},
    "dst": {"threshold": 0.25, "width": 16},
    "softmatch": {"decay": 0.9},
    "freematch": {"decay": 0.9},
    "self_tuning": {"queue_size": 4, "momentum": 0.9, "projection_width": 8},
}
CHOICES = {
    "passes": ("joint", "separate", "grouped"),
    "temperature_on": ("target", "student"),
    "mean_over": ("all", "kept"),
    "annealing": ("none", "linear", "log", "exp"),
    "mapping": ("convex", "linear", "concave"),
}
NUM_UNLABELED = 24  # twice a batch: half of the images are not seen
# A head whose weights are zero says the same of every image: with this bias, class 0 with this confidence exactly.
BIAS = torch.tensor([1.0, 0.0, 0.0, 0.0])
SAID = BIAS.softmax(0)[0].item()
# Where a setting needs more than BASE to show; a bias is the head's.
SPECIAL: dict[tuple[str, str], dict[str, Any]] = {
    ("pseudo_label", "strict"): {"ramp_start": 0.0, "ramp_end": 0.0},
    ("uda", "strict"): {"threshold": SAID},
    ("uda", "mean_over"): {"threshold": 0.35},
}
# Where images have to differ from the first step on: a head that is larger than at the start of a training.
LARGE_HEAD = {("flexmatch", "threshold"), ("flexmatch", "warmup"), ("flexmatch", "mapping")} | {
    ("freematch", "fairness_weight")
}
# Shown by a test of its own (test_equations.py): by chance no confidence is a threshold exactly.
SHOWN_APART = {("flexmatch", "strict")}
BELOW_ONE = ("decay", "momentum", "dropout")


def ready(settings: Any, model: Classifier) -> Method:
    torch.manual_seed(7)
    return build_method(settings, model, NUM_UNLABELED)


def batch_for(method: Method, step: int) -> tuple[Labeled, Unlabeled | None]:
    return random_labeled(step), random_unlabeled(step) if method.uses_unlabeled else None


def take_steps(method: Method, model: Classifier, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        torch.manual_seed(step)  # dropout, as the trainer does
        output = method(model, *batch_for(method, step), progress=step / 12)
        optimizer.zero_grad()
        torch.stack(list(output.losses.values())).sum().backward()
        optimizer.step()


def weights_after(
    settings: Any,
    make_classifier: MakeClassifier,
    steps: int = 12,
    bias: Tensor | None = None,
    head_scale: float = 0.0,
) -> list[Tensor]:
    model = make_classifier()
    method = ready(settings, model)
    model.head.weight.data.mul_(head_scale)
    model.head.bias.data.copy_(torch.zeros(NUM_CLASSES) if bias is None else bias)
    optimizer = torch.optim.SGD([*model.parameters(), *method.parameters()], 0.1, momentum=0.9)
    take_steps(method, model, optimizer, range(steps))
    return [parameter.detach().clone() for parameter in model.parameters()]


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


# ---------------------------------------------------------------------------------------------------------------------
# every method


@pytest.mark.parametrize("name", METHODS)
def test_losses_are_finite_scalars_and_the_report_has_no_graph(name: str, make_classifier: MakeClassifier) -> None:
    model = make_classifier()
    method = ready(METHODS[name][1](), model)
    output = method(model, *batch_for(method, 0), progress=0.5)
    assert output.losses
    for loss in output.losses.values():
        assert loss.shape == () and torch.isfinite(loss)
    assert any(loss.requires_grad for loss in output.losses.values())
    for value in output.report.values():
        assert value.shape == () and not value.requires_grad


@pytest.mark.parametrize("name", METHODS)
def test_gradients_reach_every_parameter(name: str, make_classifier: MakeClassifier) -> None:
    model = make_classifier()
    method = ready(METHODS[name][1](**BASE.get(name, {})), model)
    output = method(model, *batch_for(method, 0), progress=0.5)
    torch.stack(list(output.losses.values())).sum().backward()
    for module in (model, method):
        for parameter_name, parameter in module.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None and parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize("name", METHODS)
def test_the_batch_is_not_modified(name: str, make_classifier: MakeClassifier) -> None:
    model = make_classifier()
    method = ready(METHODS[name][1](), model)
    batch = batch_for(method, 0)
    before = copy.deepcopy(batch)
    method(model, *batch, progress=0.0)
    for part, part_before in zip(batch, before, strict=True):
        if part is not None:
            for field in dataclasses.fields(part):
                assert torch.equal(getattr(part, field.name), getattr(part_before, field.name)), field.name


@pytest.mark.parametrize("name", METHODS)
def test_saved_and_loaded_it_takes_the_same_next_step(name: str, make_classifier: MakeClassifier) -> None:
    schema = METHODS[name][1]
    model = make_classifier()
    method = ready(schema(**BASE.get(name, {})), model)
    optimizer = torch.optim.SGD([*model.parameters(), *method.parameters()], 0.1)
    take_steps(method, model, optimizer, range(3))

    other_model = make_classifier(seed=1)
    other_method = ready(schema(**BASE.get(name, {})), other_model)
    other_model.load_state_dict(model.state_dict())
    other_method.load_state_dict(method.state_dict())
    other_optimizer = torch.optim.SGD([*other_model.parameters(), *other_method.parameters()], 0.1)

    take_steps(method, model, optimizer, range(3, 4))
    take_steps(other_method, other_model, other_optimizer, range(3, 4))
    assert same(list(model.state_dict().values()), list(other_model.state_dict().values()))
    assert same(list(method.state_dict().values()), list(other_method.state_dict().values()))


def alternatives(name: str, value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, str):
        return [choice for choice in CHOICES[name] if choice != value]
    if isinstance(value, int):
        return [2] if value < 2 else [value // 2]
    assert isinstance(value, float), f"say in CHOICES or here what else {name} may be"
    if name in BELOW_ONE:
        return [value / 2]
    return [0.3] if value == 0 else [value / 2, min(1.0, 3.6 * value)]


@pytest.mark.parametrize(
    ("method", "setting"),
    [
        (name, field.name)
        for name, (_, schema) in METHODS.items()
        for field in dataclasses.fields(schema)
        if (name, field.name) not in SHOWN_APART
    ],
)
def test_every_setting_changes_the_trajectory(method: str, setting: str, make_classifier: MakeClassifier) -> None:
    special = SPECIAL.get((method, setting), {})
    base = METHODS[method][1](**BASE.get(method, {}) | special)
    bias = BIAS if special.get("threshold") == SAID else None
    start = {"bias": bias, "head_scale": 8.0 if (method, setting) in LARGE_HEAD else 0.0}
    reference = weights_after(base, make_classifier, **start)
    others = [dataclasses.replace(base, **{setting: value}) for value in alternatives(setting, getattr(base, setting))]
    assert same(reference, weights_after(base, make_classifier, **start))
    assert any(not same(reference, weights_after(other, make_classifier, **start)) for other in others)


def test_a_method_is_found_by_its_settings(make_classifier: MakeClassifier) -> None:
    for name, (method, schema) in METHODS.items():
        assert method_name(schema()) == name
        assert type(ready(schema(), make_classifier())) is method


# ---------------------------------------------------------------------------------------------------------------------
# ERM


def test_supervised_loss_is_a_weighted_mean_of_minus_log_probabilities() -> None:
    torch.manual_seed(0)
    weak, strong = torch.randn(2, 5, NUM_CLASSES)
    target, weight = torch.tensor([0, 3, 1, 1, 2]), torch.tensor([1.0, 1.0, 0.5, 0.0, 2.0])
    expected = 0.0
    for i in range(5):
        for logits, share in ((weak[i], 1.0), (strong[i], 0.1)):
            expected -= share * weight[i].item() * logits.softmax(0)[target[i]].log().item() / 5
    assert supervised_loss(weak, strong, target, weight, 0.1).item() == pytest.approx(expected, rel=1e-5)


def test_erm_without_strong_weight_makes_no_pass_over_strong_views(make_classifier: MakeClassifier) -> None:
    passes: list[Tensor] = []
    model = make_classifier()
    model.register_forward_pre_hook(lambda module, inputs: passes.append(inputs[0]))
    labeled = random_labeled(0)
    ERM(ERMSettings(strong_weight=0.0))(model, labeled, None, 0.0)
    assert len(passes) == 1 and passes[0] is labeled.weak


# ---------------------------------------------------------------------------------------------------------------------
# FixMatch


@pytest.mark.parametrize("strict", [False, True])
def test_pseudo_label_loss_equals_a_loop_over_images(strict: bool) -> None:
    torch.manual_seed(0)
    logits_strong, logits_weak = 3 * torch.randn(2, 40, NUM_CLASSES, dtype=torch.float64)
    logits_weak[7] = 0.0
    logits_weak[8] = torch.tensor([1.0, 1.0, 0.0, 0.0]).log().clamp(min=-1e4)  # confidence 1/2 exactly
    total, kept = 0.0, 0
    for strong, weak in zip(logits_strong, logits_weak, strict=True):
        confidence = weak.softmax(0).max().item()
        if confidence > 0.5 or (confidence == 0.5 and not strict):
            kept += 1
            total -= strong.log_softmax(0)[weak.argmax()].item()
    assert 0 < kept < 40
    loss = pseudo_label_loss(logits_strong, logits_weak, 0.5, strict)
    assert loss.item() == pytest.approx(total / 40, rel=1e-12)


def test_strict_decides_exactly_at_the_threshold() -> None:
    even = torch.zeros(1, 4)
    assert pseudo_label_loss(torch.randn(1, 4), even, 0.25).item() > 0
    assert pseudo_label_loss(torch.randn(1, 4), even, 0.25, strict=True).item() == 0


def test_no_gradient_reaches_the_weak_logits() -> None:
    weak, strong = torch.randn(2, 6, 4).unbind()
    weak.requires_grad_()
    strong.requires_grad_()
    pseudo_label_loss(strong, weak, 0.0).backward()
    assert weak.grad is None
    assert strong.grad is not None and strong.grad.abs().sum() > 0


@pytest.mark.parametrize("passes", ["joint", "separate"])
def test_fixmatch_with_nothing_confident_equals_erm(passes: str, make_classifier: MakeClassifier) -> None:
    fixmatch = FixMatch(FixMatchSettings(threshold=1.0, strict=True, strong_weight=0.1, passes=passes))
    erm = ERM(ERMSettings(strong_weight=0.1))
    gradients = []
    for method in (fixmatch, erm):
        model = make_classifier(batch_norm=False)
        output = method(model, random_labeled(0), random_unlabeled(0), 0.0)
        torch.stack(list(output.losses.values())).sum().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


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


@pytest.mark.parametrize(
    ("schema", "wrong"),
    [
        (ERMSettings, {"strong_weight": -0.1}),
        (FixMatchSettings, {"threshold": 1.5}),
        (FixMatchSettings, {"unlabeled_weight": 0.0}),
        (FixMatchSettings, {"strong_weight": -1.0}),
        (FixMatchSettings, {"passes": "both"}),
    ],
)
def test_a_wrong_value_names_its_setting(schema: type, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"method.{next(iter(wrong))}="):
        schema(**wrong)


def test_the_equation_can_be_imported_with_torch_alone() -> None:
    script = (
        "import sys; from benchmarks.methods.fixmatch import pseudo_label_loss;"
        "print([n for n in ('timm', 'torchvision', 'hydra', 'omegaconf', 'PIL', 'ssl_aug') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
