"""One resumable optimization loop, for tuning a generator and for pretraining the embedded models.

Batches and randomness are functions of (seed, step): a run that was stopped goes on bit for bit, from any checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from generators.kept_weights import read_state, refuse_non_finite, write_state
from ssl_aug.files import written_atomically
from ssl_aug.interrupts import interrupts_deferred
from ssl_aug.runtime import derived_seed, progress_bar

TRY_INSTEAD = "use precision=fp32, or lower the learning rate"


@dataclass(frozen=True)
class LoopSettings:
    """Optimizer and schedule of one training."""

    steps: int
    learning_rate: float  # AdamW's
    weight_decay: float = 0.01
    schedule: str = "constant"  # constant, or cosine to 0 after the warm-up
    warmup_steps: int = 0  # linear, from 0
    gradient_clip: float = 1.0  # largest gradient norm; 0: off
    save_every: int = 100  # steps between checkpoints
    seed: int = 0


def learning_rate_at(step: int, settings: LoopSettings) -> float:
    """The learning rate of step 0, 1, ... steps - 1."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    if settings.schedule == "constant":
        return settings.learning_rate
    share = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


def train(
    parameters: Sequence[nn.Parameter],
    loss_of_step: Callable[[int], Tensor],
    settings: LoopSettings,
    checkpoint: Path,
    label: str,
    buffers: Sequence[Tensor] = (),
) -> list[float]:
    """Minimizes `loss_of_step` with AdamW; goes on from `checkpoint` where there is one.

    Args:
        parameters: what is trained, in an order that is the same at every start.
        loss_of_step: step -> scalar; called with PyTorch's seed set from (seed, step).
        checkpoint: file for the trained weights, the optimizer and the losses so far.
        buffers: what else training changes in place, such as the running statistics of BatchNorm.

    Returns:
        The loss of each step, those before a resume included.

    Raises:
        ValueError: the checkpoint is of a run with other settings, or the loss is not finite.
        KeyboardInterrupt: at the end of the step in which Ctrl-C or SIGTERM came, after saving.
    """
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    kept = [*parameters, *buffers]
    losses = _resume(kept, optimizer, settings, checkpoint)
    with (
        progress_bar(settings.steps, label, initial=len(losses), unit="step") as bar,
        interrupts_deferred() as interrupted,
    ):
        for step in range(len(losses), settings.steps):
            torch.manual_seed(derived_seed(settings.seed, step))
            for group in optimizer.param_groups:
                group["lr"] = learning_rate_at(step, settings)
            loss = loss_of_step(step)
            value = loss.item()
            if not math.isfinite(value):
                raise ValueError(f"{label}: the loss is {value} at step {step}: {TRY_INSTEAD}")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if settings.gradient_clip:
                nn.utils.clip_grad_norm_(parameters, settings.gradient_clip)
            optimizer.step()
            losses.append(value)
            bar.update()
            bar.set_postfix(loss=f"{sum(losses[-50:]) / len(losses[-50:]):.4f}", refresh=False)
            stop = interrupted()
            if stop or len(losses) % settings.save_every == 0 or len(losses) == settings.steps:
                _save(kept, optimizer, settings, checkpoint, losses)
            if stop:
                raise KeyboardInterrupt
    return losses


def _save(
    tensors: Sequence[Tensor],
    optimizer: torch.optim.Optimizer,
    settings: LoopSettings,
    checkpoint: Path,
    losses: list[float],
) -> None:
    refuse_non_finite(
        {f"tensor {i}": one for i, one in enumerate(tensors)}, f"weights after {len(losses)} steps", TRY_INSTEAD
    )
    state: dict[str, Any] = {
        "settings": asdict(settings),
        "losses": torch.tensor(losses, dtype=torch.float64),
        "tensors": [tensor.detach() for tensor in tensors],
        "optimizer": optimizer.state_dict(),
    }
    with written_atomically(checkpoint) as part:
        write_state(state, part)


def _resume(
    tensors: Sequence[Tensor],
    optimizer: torch.optim.Optimizer,
    settings: LoopSettings,
    checkpoint: Path,
) -> list[float]:
    if not checkpoint.is_file():
        return []
    state = read_state(checkpoint, "remove it, and the training begins again")
    if {**state["settings"], "save_every": 0} != {**asdict(settings), "save_every": 0}:
        raise ValueError(f"{checkpoint} is of a run with other settings: remove it, or go on with the old settings")
    if [tensor.shape for tensor in tensors] != [saved.shape for saved in state["tensors"]]:
        raise ValueError(f"{checkpoint} is of another model: remove it, or name another folder")
    with torch.no_grad():
        for tensor, saved in zip(tensors, state["tensors"], strict=True):
            tensor.copy_(saved)
    optimizer.load_state_dict(state["optimizer"])
    losses: list[float] = state["losses"].tolist()
    return losses
