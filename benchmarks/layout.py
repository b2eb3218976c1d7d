"""In which precision and memory order a classifier is computed where the settings leave that open: what is faster.

Seconds of a step of 32 images at 128 pixels on a CPU with bfloat16 matrix units (AMX), alone on the machine:

| network | float32 | float32, channels last | bfloat16 | bfloat16, channels last |
|---|---|---|---|---|
| ResNet-50 | 1.61 | 1.51 | 0.94 | 0.61 |
| ResNet-18 | 0.51 | 0.48 | 0.28 | 0.22 |
| EfficientNet-Lite0, a third of whose convolutions are depthwise | 0.72 | 0.55 | 0.70 | 0.75 |

So half precision goes with channels last, and a network with depthwise convolutions stays in float32 on a CPU, with
channels last. Any other in float32 is computed as PyTorch lays it out, for the sake of the same digits as ever.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.settings import BenchmarkSettings
from ssl_aug.results.result import RunResult
from ssl_aug.runtime import Placement, placement

_ASKED_AS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


@dataclass(frozen=True)
class Layout:
    """Device and type that a network is computed in, and whether its images and weights lie channels last."""

    place: Placement
    channels_last: bool

    @property
    def precision(self) -> str:
        """As result.json has it."""
        return str(self.place.dtype).removeprefix("torch.")

    @property
    def told(self) -> str:
        """In words."""
        return self.precision + (", channels last" if self.channels_last else "")


def layout_for(model: nn.Module, settings: BenchmarkSettings, begun: RunResult | None = None) -> Layout:
    """What the settings say, and where they leave it open what is faster for this network on this machine.

    Args:
        begun: what a run that is gone on with says of itself; what the settings leave open stays as it was begun.

    Raises:
        ValueError: as `placement`.
    """
    precision, channels_last = settings.precision, settings.train.channels_last
    if begun is not None and begun.precision is not None:
        if precision == "auto":
            precision = _ASKED_AS[begun.precision]
        if channels_last is None:
            channels_last = bool(begun.channels_last)  # there was no choice once, and it was not
    place = placement(settings.device, "fp32" if precision == "auto" else precision)
    is_slow_in_half = place.device.type == "cpu" and has_depthwise_convolutions(model)
    if precision == "auto" and not is_slow_in_half:
        place = placement(settings.device, "auto")
    if channels_last is None:
        channels_last = place.dtype != torch.float32 or is_slow_in_half
    return Layout(place, channels_last)


def has_depthwise_convolutions(model: nn.Module) -> bool:
    """Whether some convolution filters each channel by itself."""
    return any(layer.groups == layer.in_channels > 1 for layer in model.modules() if isinstance(layer, nn.Conv2d))
