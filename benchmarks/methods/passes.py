"""From views to logits: how the views of a step share forward passes and BatchNorm statistics. Torch alone.

The published benchmark passes each view on its own, in train mode: every view has its own BatchNorm statistics, and
the running ones move view by view. Papers' own codes pass all views as one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import torch
from torch import Tensor, nn

from benchmarks.classifier import Classifier
from benchmarks.methods.base import Labeled, Unlabeled
from benchmarks.methods.ranges import OneOf

PASSES = ("joint", "separate", "grouped")


Passes = Annotated[str, OneOf(PASSES)]


@dataclass(frozen=True)
class StepLogits:
    """What the model says of a step's views: (b, c) of labeled and (u, c) of unlabeled images."""

    labeled_weak: Tensor
    labeled_strong: Tensor | None  # None where these views have no weight, and so were not passed
    weak: Tensor  # targets, without gradient
    strong: Tensor


def step_logits(
    model: Classifier, labeled: Labeled, unlabeled: Unlabeled | None, passes: str, strong_weight: float
) -> StepLogits:
    """Passes the views in the published benchmark's order: labeled weak and strong, unlabeled weak and strong.

    Args:
        model: in train mode.
        unlabeled: as `Method.forward` takes it; the methods that call this have unlabeled images.
        passes: one of PASSES, see `forward_views`.
        strong_weight: of the labeled strong views in the loss; with 0 they are not passed.
    """
    assert unlabeled is not None
    views = [labeled.weak, labeled.strong if strong_weight > 0 else None, unlabeled.weak, unlabeled.strong]
    labeled_weak, labeled_strong, weak, strong = forward_views(model, views, passes, without_gradient=[2])
    assert labeled_weak is not None and weak is not None and strong is not None
    return StepLogits(labeled_weak, labeled_strong, weak, strong)


def forward_views(
    model: Classifier,
    views: Sequence[Tensor | None],
    passes: str,
    without_gradient: Sequence[int] = (),
    function: Callable[[Tensor], Tensor] | None = None,
) -> list[Tensor | None]:
    """Logits of every view, or what `function` says of it, None for a view that is None.

    Args:
        model: in train mode.
        views: (b_i, 3, s, s) each, in the order in which BatchNorm's running statistics see them.
        passes: separate: a pass per view. joint: one pass, common BatchNorm statistics. grouped: one pass, statistics
            per view; equal to separate, but that dropout draws other masks.
        without_gradient: positions of views whose logits are targets. They are passed in train mode all the same, as
            in the benchmark: dropout makes them noisy and the running statistics move.
        function: `model.features` in place of the model.
    """
    call = model if function is None else function
    if passes == "separate":
        return [
            None if view is None else _passed(call, view, has_gradient=position not in without_gradient)
            for position, view in enumerate(views)
        ]
    present = [view for view in views if view is not None]
    sizes = [len(view) for view in present]
    if passes == "grouped":
        with batch_norm_per_group(model, sizes):
            parts = iter(call(torch.cat(present)).split(sizes))
    else:
        parts = iter(call(torch.cat(present)).split(sizes))
    found = [None if view is None else next(parts) for view in views]
    return [
        one.detach() if one is not None and position in without_gradient else one for position, one in enumerate(found)
    ]


def _passed(call: Callable[[Tensor], Tensor], view: Tensor, has_gradient: bool) -> Tensor:
    with torch.set_grad_enabled(has_gradient and torch.is_grad_enabled()):
        return call(view)


@contextmanager
def batch_norm_unmoved(model: nn.Module) -> Iterator[None]:
    """Inside, BatchNorm layers normalize by the batch as ever, and leave their running statistics as they are."""
    layers = [layer for layer in _batch_norms(model) if layer.track_running_stats]
    for layer in layers:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in layers:
            layer.track_running_stats = True


def _batch_norms(model: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    return [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]


@contextmanager
def batch_norm_per_group(model: nn.Module, sizes: Sequence[int]) -> Iterator[None]:
    """Inside, BatchNorm layers take a batch as groups of `sizes`: each is normalized by itself and moves the running
    statistics in its turn, as if it had come alone. The mathematics of separate passes in one pass.
    """
    layers = _batch_norms(model)
    for layer in layers:
        layer.forward = partial(_normalized_by_group, type(layer).forward, layer, list(sizes))
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _normalized_by_group(
    forward: Callable[[nn.Module, Tensor], Tensor], layer: nn.Module, sizes: list[int], features: Tensor
) -> Tensor:
    return torch.cat([forward(layer, group) for group in features.split(sizes)])
