"""What a method is given and what it returns. Torch alone."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Labeled:
    """Views of labeled images, normalised with the model's mean and deviation, (b, 3, s, s)."""

    weak: Tensor
    strong: Tensor
    target: Tensor  # (b,) class indices
    index: Tensor  # (b,) positions in the labeled set
    weight: Tensor  # (b,) weights of the images in the loss, 1 by default


@dataclass(frozen=True)
class Unlabeled:
    """Views of unlabeled images, normalised likewise, (u, 3, s, s)."""

    weak: Tensor
    strong: Tensor
    index: Tensor  # (u,) positions in the unlabeled set


@dataclass(frozen=True)
class StepOutput:
    """Weighted scalar losses whose sum is minimised, and scalars that are only logged (without a graph)."""

    losses: dict[str, Tensor]
    report: dict[str, Tensor] = field(default_factory=dict)


class Classifier(nn.Module):
    """backbone (b, 3, s, s) -> (b, f), bottleneck -> (b, d), head -> logits (b, c)."""

    def __init__(self, backbone: nn.Module, bottleneck: nn.Module, head: nn.Module):
        super().__init__()
        self.backbone = backbone
        self.bottleneck = bottleneck
        self.head = head

    def features(self, images: Tensor) -> Tensor:
        """What the head sees, (b, d)."""
        return self.bottleneck(self.backbone(images))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (b, c), in float32 whatever the layers compute in: losses and confidences need its digits."""
        return self.head(self.features(images)).float()


class Method(nn.Module):
    """A loss that is given the model and owns only its own state: registered buffers and submodules.

    State that is registered is saved and restored with the run; nothing else is.
    """

    uses_unlabeled: ClassVar[bool] = True

    @abstractmethod
    def forward(self, model: Classifier, labeled: Labeled, unlabeled: Unlabeled | None, progress: float) -> StepOutput:
        """The losses of one step.

        Args:
            model: in train mode. Every call moves its BatchNorm statistics, also without gradient.
            unlabeled: None exactly when `uses_unlabeled` is False.
            progress: share of the training that is done, 0 to below 1.
        """


def supervised_cross_entropy(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """1/B sum_b weight_b H(target_b, softmax(logits_b)).

    Args:
        logits: (b, c). target: (b,) class indices. weight: (b,), 1 for an image that counts once.
    """
    losses = torch.nn.functional.cross_entropy(logits, target, reduction="none")  # (b,)
    return (weight * losses).mean()
