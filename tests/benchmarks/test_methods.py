"""The contract that every registered method keeps; what each one's equation means is tested in methods/."""

from __future__ import annotations

import copy
import dataclasses
import functools
import re
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.methods import METHODS, method_name
from benchmarks.methods.base import Classifier, Method, bounds_of_round
from tests.benchmarks.conftest import NUM_CLASSES, MakeClassifier, batch_for, methods_with, ready

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
    "simmatch": {"threshold": 0.25, "window": 4},
    "remixmatch": {"num_strong": 2, "window": 4, "ramp_end": 0.5},
    "noisy_student": {"temperature": 0.5},
    "self_tuning": {"queue_size": 4, "momentum": 0.9, "projection_width": 8},
}
CHOICES = {
    "passes": ("joint", "separate", "grouped"),
    "temperature_on": ("target", "student"),
    "mean_over": ("all", "kept"),
    "annealing": ("none", "linear", "log", "exp"),
    "mapping": ("convex", "linear", "concave"),
    "statistics_of": ("raw", "aligned"),
    "average_start": ("uniform", "first_batch"),
    "averaged_over": ("images_and_classes", "images", "nothing"),
    "consistency_on": ("all", "unlabeled"),
    "targets": ("soft", "hard"),
}
# A head whose weights are zero says the same of every image: with this bias, class 0 with this confidence exactly.
BIAS = torch.tensor([1.0, 0.0, 0.0, 0.0])
SAID = BIAS.softmax(0)[0].item()
# Where a setting needs more than BASE to show; a bias is the head's.
SPECIAL: dict[tuple[str, str], dict[str, Any]] = {
    ("pseudo_label", "strict"): {"ramp_start": 0.0, "ramp_end": 0.0},
    ("uda", "strict"): {"threshold": SAID},
    ("uda", "mean_over"): {"threshold": 0.35},
    ("adamatch", "strict"): {"threshold": 1.0, "ramp_end": 0.0, "targets": "hard"},
}
# Where images have to differ from the first step on: a head that is larger than at the start of a training.
LARGE_HEAD = {("flexmatch", "threshold"), ("flexmatch", "warmup"), ("flexmatch", "mapping")} | {
    ("freematch", "fairness_weight"),
    ("softmatch", "average_start"),
}
# Shown by tests of their own in methods/: by chance no confidence is a threshold exactly.
SHOWN_APART = {("flexmatch", "strict"), ("simmatch", "strict")}
OF_LOADING = ("clip", "clip_checkpoint")  # decide what is trained on; methods/test_clip_probe.py
# Where rounding decides which side of its threshold an image is on.
ROUNDED = {"adamatch": {"threshold": 0.5}}
BELOW_ONE = ("decay", "bank_momentum", "momentum", "early_momentum", "dropout")


STEPS = 12


def take_steps(method: Method, model: Classifier, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        if step == bounds_of_round(method.rounds, step, STEPS)[0] > 0:
            method.begin_round(model)
        torch.manual_seed(step)  # dropout, as the trainer does
        output = method(model, *batch_for(method, step), progress=step / STEPS)
        if method.has_gradient:
            optimizer.zero_grad()
            torch.stack(list(output.losses.values())).sum().backward()
            optimizer.step()


def weights_after(
    settings: Any,
    make_classifier: MakeClassifier,
    steps: int = STEPS,
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


@pytest.mark.parametrize("name", METHODS)
def test_losses_are_finite_scalars_and_the_report_has_no_graph(name: str, make_classifier: MakeClassifier) -> None:
    model = make_classifier()
    method = ready(METHODS[name][1](), model)
    output = method(model, *batch_for(method, 0), progress=0.5)
    assert output.losses
    for loss in output.losses.values():
        assert loss.shape == () and torch.isfinite(loss)
    assert any(loss.requires_grad for loss in output.losses.values()) == method.has_gradient
    for value in output.report.values():
        assert value.shape == () and not value.requires_grad


@pytest.mark.parametrize("name", [name for name, (kind, _) in METHODS.items() if kind.has_gradient])
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
        if (name, field.name) not in SHOWN_APART and field.name not in OF_LOADING
    ],
)
def test_every_setting_changes_the_trajectory(method: str, setting: str, make_classifier: MakeClassifier) -> None:
    special = SPECIAL.get((method, setting), {})
    base = METHODS[method][1](**BASE.get(method, {}) | special)
    bias = BIAS if special.get("threshold") == SAID else None
    head_scale = 8.0 if (method, setting) in LARGE_HEAD else 0.0
    after = functools.partial(weights_after, make_classifier=make_classifier, bias=bias, head_scale=head_scale)
    reference = after(base)
    others = [dataclasses.replace(base, **{setting: value}) for value in alternatives(setting, getattr(base, setting))]
    assert same(reference, after(base))
    assert any(not same(reference, after(other)) for other in others)


def test_a_method_is_found_by_its_settings(make_classifier: MakeClassifier) -> None:
    for name, (method, schema) in METHODS.items():
        assert method_name(schema()) == name
        assert type(ready(schema(), make_classifier())) is method


@pytest.mark.parametrize("name", METHODS)
def test_under_autocast_every_loss_is_that_of_float32_features(name: str, make_classifier: MakeClassifier) -> None:
    losses = []
    for dtype in (torch.float32, torch.bfloat16):
        model = make_classifier()
        method = ready(METHODS[name][1](**ROUNDED.get(name, {})), model)
        torch.manual_seed(0)
        with torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
            output = method(model, *batch_for(method, 0), 0.5)
        for loss in output.losses.values():
            assert loss.dtype == torch.float32
        losses.append({key: value.item() for key, value in output.losses.items()})
    for key, value in losses[0].items():  # only the backbone and bottleneck round
        assert losses[1][key] == pytest.approx(value, rel=0.05, abs=0.05)


@pytest.mark.parametrize(
    ("method", "setting"),
    [
        (name, field.name)
        for name, (_, schema) in METHODS.items()
        for field in dataclasses.fields(schema)
        if not isinstance(field.default, bool) and field.name not in OF_LOADING
    ],
)
def test_every_setting_refuses_what_is_out_of_range_and_says_what_to_give(method: str, setting: str) -> None:
    schema = METHODS[method][1]
    wrong = "nonsense" if isinstance(getattr(schema(), setting), str) else -1
    with pytest.raises(ValueError, match=rf"^method\..*\b{setting}={wrong}: .*(give|choose one of) "):
        schema(**{setting: wrong})


@pytest.mark.parametrize(
    ("method", "wrong", "message"),
    [
        ("erm", {"strong_weight": -0.1}, "method.strong_weight=-0.1: give 0 or more"),
        ("fixmatch", {"threshold": 1.5}, "method.threshold=1.5: give 0 to 1"),
        (
            "fixmatch",
            {"unlabeled_weight": 0.0},
            "method.unlabeled_weight=0.0: give above 0, or for none method=erm",
        ),
        ("fixmatch", {"strong_weight": -1.0}, "method.strong_weight=-1.0: give 0 or more"),
        ("fixmatch", {"passes": "both"}, "method.passes=both: choose one of joint, separate, grouped"),
        ("debiasmatch", {"debias": 0.0}, "method.debias=0.0: give above 0, or for none method=fixmatch"),
        ("softmatch", {"num_sigmas": 0.0}, "method.num_sigmas=0.0: give above 0"),
        ("softmatch", {"decay": 1.0}, "method.decay=1.0: give 0 to below 1"),
    ],
)
def test_a_wrong_value_is_named_with_what_to_give(method: str, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        METHODS[method][1](**wrong)


@pytest.mark.parametrize("name", methods_with("threshold"))
def test_a_threshold_may_be_0_and_1_and_nothing_beyond(name: str) -> None:
    for threshold in (0.0, 1.0):
        assert METHODS[name][1](threshold=threshold).threshold == threshold
    with pytest.raises(ValueError, match="give 0 to 1"):
        METHODS[name][1](threshold=1.001)


def test_rounds_begin_at_the_first_step_of_their_share() -> None:
    assert [bounds_of_round((), step, 7) for step in (0, 6)] == [(0, 7)] * 2
    found = [bounds_of_round((0.25, 0.5), step, 10) for step in range(10)]
    assert found == [(0, 3)] * 3 + [(3, 5)] * 2 + [(5, 10)] * 5
    assert bounds_of_round((0.1 + 0.2,), 3, 10) == (3, 10)  # 0.30000000000000004


def test_equations_can_be_imported_with_torch_alone() -> None:
    """Another codebase carries a method's equation away without what the project needs elsewhere."""
    others = (
        "timm", "torchvision", "hydra", "omegaconf", "PIL", "diffusers", "open_clip", "sklearn", "scipy", "accelerate",
        "safetensors", "torchmetrics", "rich", "matplotlib", "tensorboard",
    )  # fmt: skip
    script = (  # the package's own import brings all; torch takes tqdm where it is there
        "import sys; sys.modules['tqdm'] = None;"
        "from benchmarks.methods.fixmatch import pseudo_label_loss;"
        "from benchmarks.methods.flexmatch import flexible_thresholds;"
        f"print([n for n in {others} if n in sys.modules],"
        "sorted(n for n in sys.modules if n.startswith(('ssl_aug.', 'generators'))))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (
        done.stdout.strip() == "[] ['generators', 'generators.allowed', 'ssl_aug.allowed', 'ssl_aug.interrupts']"
    )  # which need Python alone


# What waits until a GPU has done all that it was given, by torch's names.
READS = {"_local_scalar_dense", "nonzero", "masked_select", "bincount", "_unique2", "repeat_interleave"}
# How often a step of a method waits; where it is not named it never does. A number of steps, a row of a mask.
WAITS = {
    "self_tuning": 8, "flexmatch": 2, "dst": 1, "freematch": 1, "simmatch": 5, "remixmatch": 11, "mean_teacher": 1,
    "noisy_student": 1, "clip_means": 2,
}  # fmt: skip


class CountReads(TorchDispatchMode):
    """Counts what reads a tensor's values: READS, and what is indexed by a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, operation: Any, types: Any, arguments: tuple[Any, ...] = (), named: dict[str, Any] | None = None
    ) -> Any:
        name = operation.overloadpacket.__name__
        indices = arguments[1] if name.startswith("index") and isinstance(arguments[1], list | tuple) else ()
        by_mask = any(index is not None and index.dtype == torch.bool for index in indices)
        self.count += by_mask or name in READS
        return operation(*arguments, **(named or {}))


@pytest.mark.parametrize("name", METHODS)
def test_a_step_waits_for_a_gpu_no_more_often_than_it_must(name: str, make_classifier: MakeClassifier) -> None:
    model = make_classifier()
    method = ready(METHODS[name][1](**BASE.get(name, {})), model)
    if method.rounds:
        method.begin_round(model)
    method(model, *batch_for(method, 0), progress=0.5)
    with CountReads() as reads:
        method(model, *batch_for(method, 1), progress=0.6)
    assert reads.count == WAITS.get(name, 0)
