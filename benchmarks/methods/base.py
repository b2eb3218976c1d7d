"""What a method is given and what it returns. Torch alone."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import ClassVar

import torch
from torch import Tensor, nn

from benchmarks.classifier import Classifier


@dataclass(frozen=True)
class ViewKinds:
    """What stands in `weak`, `strong` and, from the third on, `more` of a batch: each "weak" or "strong"."""

    labeled: tuple[str, ...] = ("weak", "strong")
    unlabeled: tuple[str, ...] = ("weak", "strong")


def _none() -> Tensor:
    return torch.empty(0)


@dataclass(frozen=True)
class Labeled:
    """Views of labeled images, normalized with the model's mean and deviation, (b, 3, s, s)."""

    weak: Tensor
    strong: Tensor
    target: Tensor  # (b,) class indices
    index: Tensor  # (b,) positions in the labeled set
    weight: Tensor  # (b,) weights of the images in the loss, 1 by default
    more: Tensor = field(default_factory=_none)  # (k, b, 3, s, s) further views, where the method's `view_kinds` ask

    def pin_memory(self) -> Labeled:
        """What torch's DataLoader calls so that copies to a GPU need not wait."""
        return Labeled(**{each.name: getattr(self, each.name).pin_memory() for each in fields(self)})


@dataclass(frozen=True)
class Unlabeled:
    """Views of unlabeled images, normalized likewise, (u, 3, s, s)."""

    weak: Tensor
    strong: Tensor
    index: Tensor  # (u,) positions in the unlabeled set
    more: Tensor = field(default_factory=_none)  # (k, u, 3, s, s) likewise

    def pin_memory(self) -> Unlabeled:
        """Likewise."""
        return Unlabeled(**{each.name: getattr(self, each.name).pin_memory() for each in fields(self)})


@dataclass(frozen=True)
class StepOutput:
    """Weighted scalar losses whose sum is minimized, and scalars that are only logged (without a graph)."""

    losses: dict[str, Tensor]
    report: dict[str, Tensor] = field(default_factory=dict)


class Method(nn.Module):
    """A loss that is given the model and owns only its own state: registered buffers and submodules.

    State that is registered is saved and restored with the run; nothing else is.
    """

    uses_unlabeled: ClassVar[bool] = True
    learns_like_backbone: ClassVar[bool] = False  # its own parameters' rate is the backbone's, not the new layers'
    on_frozen_clip: ClassVar[bool] = False  # its settings' `clip` takes the place of the model
    has_gradient: ClassVar[bool] = True  # false: what it learns it writes into the model itself
    # of the settings as well: these two may be set in __init__
    view_kinds: ViewKinds = ViewKinds()
    rounds: tuple[float, ...] = ()  # shares of the training, above 0 and rising, at which a new round begins

    def prepare(self, model: Classifier, num_labeled: int, num_unlabeled: int) -> None:
        """Makes the state whose size the model or the data decide; called once, before a state is loaded.

        Args:
            num_labeled: images of the labeled set, synthetic ones included, which `Labeled.index` counts.
            num_unlabeled: images of the unlabeled set, which `Unlabeled.index` counts; 0 where it is not used.
        """

    def begin_round(self, model: Classifier) -> None:
        """What a new round changes in the method and the model. Momentum, schedule and averaged weights start anew."""

    def caveats(self, num_classes: int, unlabeled_batch_size: int) -> list[str]:
        """What a user should be warned of before the training, a line each."""
        return []

    @abstractmethod
    def forward(self, model: Classifier, labeled: Labeled, unlabeled: Unlabeled | None, progress: float) -> StepOutput:
        """The losses of one step.

        Args:
            model: in train mode. Every call moves its BatchNorm statistics, also without gradient.
            unlabeled: None exactly when `uses_unlabeled` is False.
            progress: share of the training that is done, 0 to below 1.
        """


def bounds_of_round(rounds: Sequence[float], step: int, steps: int) -> tuple[int, int]:
    """The first step of the round that `step` of `steps` belongs to, and the step after its last.

    Args:
        rounds: shares of the training at which a new round begins, as `Method.rounds`.
    """
    starts = [0, *(math.ceil(share * steps - 1e-9) for share in rounds), steps]
    return max(start for start in starts if start <= step), min(start for start in starts if start > step)


def accuracy(logits: Tensor, target: Tensor) -> Tensor:
    """Share of the images whose largest logit is that of their target, () without gradient.

    Args:
        logits: (b, c). target: (b,) class indices.
    """
    return (logits.detach().argmax(1) == target).float().mean()


def supervised_cross_entropy(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """1/B sum_b weight_b H(target_b, softmax(logits_b)).

    Args:
        logits: (b, c). target: (b,) class indices. weight: (b,), 1 for an image that counts once.
    """
    losses = torch.nn.functional.cross_entropy(logits, target, reduction="none")  # (b,)
    return (weight * losses).mean()
