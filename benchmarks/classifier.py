"""What every method is given to train. Torch alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Classifier(nn.Module):
    """backbone (b, 3, s, s) -> (b, f), bottleneck -> (b, d), head -> logits (b, c)."""

    def __init__(self, backbone: nn.Module, bottleneck: nn.Module, head: nn.Linear):
        super().__init__()
        self.backbone = backbone
        self.bottleneck = bottleneck
        self.head = head

    @property
    def num_features(self) -> int:
        """d, what the head sees."""
        return int(self.head.weight.shape[1])

    @property
    def num_classes(self) -> int:
        """c."""
        return int(self.head.weight.shape[0])

    def features(self, images: Tensor) -> Tensor:
        """What the head sees, (b, d)."""
        return self.bottleneck(self.backbone(images))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (b, c), in float32 whatever the layers compute in: losses and confidences need its digits."""
        return self.logits(self.features(images))

    def logits(self, features: Tensor) -> Tensor:
        """(b, d) -> (b, c) in float32."""
        return in_full_precision(self.head, features)


def in_full_precision(function: Callable[[Tensor], Tensor], features: Tensor) -> Tensor:
    """What a module or a function says of features, computed in float32 within any autocast."""
    with torch.autocast(features.device.type, enabled=False):
        return function(features.float())
