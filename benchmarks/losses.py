"""A step's losses as numbers: read from the device where something hangs on them, which does not wait for that."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from benchmarks.methods.base import StepOutput
from benchmarks.state import TRY_INSTEAD


def scalars(output: StepOutput) -> dict[str, float]:
    """Losses and report as numbers, under `loss/` and `report/`; waits for the device, once."""
    named = {f"loss/{name}": loss for name, loss in output.losses.items()}
    named |= {f"report/{name}": value for name, value in output.report.items()}
    return dict(zip(named, _stacked(named.values()).tolist(), strict=True))


def _stacked(scalars: Iterable[Tensor]) -> Tensor:
    """(n,) in float64, which holds every digit of each."""
    return torch.stack([each.detach().double() for each in scalars])


@dataclass(frozen=True)
class _Unread:
    """Losses of a step on their way to the CPU."""

    step: int
    names: tuple[str, ...]
    values: Tensor
    arrived: torch.cuda.Event | None  # None: they are there


@dataclass
class LossCheck:
    """Stops a training at a loss that is not finite: one bad step spoils the weights, and no later one repairs them.

    Losses on a GPU are read when the next step is queued there, so that it never waits for the CPU. By then a bad one
    has moved the weights in memory: `read_all` stands before whatever logs, tests or saves them.
    """

    is_late: bool  # whether the last step's losses may be unread
    unread: list[_Unread] = field(default_factory=list)

    def add(self, output: StepOutput, step: int) -> None:
        """Takes the losses of a step.

        Raises:
            ValueError: one that is not finite, of this step or where `is_late` of the one before; it names both.
        """
        values = _stacked(output.losses.values())
        arrived = torch.cuda.Event() if values.is_cuda else None
        values = values.to("cpu", non_blocking=True)
        if arrived is not None:
            arrived.record()
        self.unread.append(_Unread(step, tuple(output.losses), values, arrived))
        self._read(all_but=1 if self.is_late else 0)

    def read_all(self) -> None:
        """Looks at what `add` left unread; raises as it."""
        self._read(all_but=0)

    def _read(self, all_but: int) -> None:
        while len(self.unread) > all_but:
            losses = self.unread.pop(0)
            if losses.arrived is not None:
                losses.arrived.synchronize()
            for name, value in zip(losses.names, losses.values.tolist(), strict=True):
                if not math.isfinite(value):
                    raise ValueError(f"loss {name!r} is {value} at step {losses.step}: {TRY_INSTEAD}")
