"""The tuning loop (paper 3.2, Eq. 10): one process or several, resumable at any step, with reports on the way.

A step's batch, timesteps and noise are drawn whole from (seed, step), then cut into parts: the processes and, within
each, the accumulation take their share. So neither their number nor a stop on the way moves the result, but for
rounding.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from torch import Tensor, nn

from generators import anl, lora
from generators.kept_weights import read_state, refuse_non_finite, write_state
from generators.ldm import LatentDiffusion, zero_initialize
from generators.losses import training_loss
from generators.sampling import alphas_cumprod
from generators.settings import TUNING, deciding
from ssl_aug.files import written_atomically
from ssl_aug.interrupts import interrupts_deferred
from ssl_aug.runtime import derived_seed, dtype_of, keep_frozen_weights_low, progress_bar
from ssl_aug.tuning.batches import pass_after_pass
from ssl_aug.tuning.encodings import Encodings
from ssl_aug.tuning.reports import write_rows
from ssl_aug.tuning.settings import TuneSettings

TRY_INSTEAD = "lower tune.base_learning_rate, or use precision=fp32"


@dataclass
class State:
    """What a checkpoint holds beside the optimizer."""

    losses: list[float]
    reports: list[dict[str, float]]


def tune_unet(
    model: LatentDiffusion,
    encodings: Encodings,
    options: TuneSettings,
    fold: bool,
    accelerator: Accelerator,
    checkpoint: Path,
    report: Callable[[int], dict[str, float]],
) -> tuple[dict[str, Tensor], State]:
    """Tunes the model's UNet in place.

    Args:
        encodings: latents and tokens of the tuning images; with flips, the mirrored ones behind.
        fold: leave out of the cross-attention what one condition token cannot use.
        checkpoint: file to go on from, and to save to; figures are put beside it.
        report: figures of the weights as they are after so many steps, called every tune.report_every steps.

    Returns:
        The tuned weights by name (averaged ones with tune.ema_decay), and losses and reports.

    Raises:
        ValueError: a batch that cannot be cut into equal parts, a checkpoint of other settings, a loss or weights that
            are not finite; what was saved before stays.
        KeyboardInterrupt: Ctrl-C or SIGTERM, after saving the last finished step; with several processes at the end
            of the step.
    """
    parts = accelerator.num_processes * options.accumulation
    if options.batch_size % parts:
        raise ValueError(
            f"tune.batch_size={options.batch_size} cannot be cut into {parts} equal parts "
            f"({accelerator.num_processes} processes x tune.accumulation={options.accumulation}): give a multiple"
        )
    names = prepare(model, options, fold, encodings.num_tokens)
    parameters = anl.set_trainable(model.unet, names)
    keep_frozen_weights_low(model.unet, dtype_of(accelerator))
    if options.gradient_checkpointing:
        model.unet.enable_gradient_checkpointing()
    model.train()
    optimizer = torch.optim.AdamW(
        parameters, lr=options.base_learning_rate * options.batch_size, weight_decay=options.weight_decay
    )
    average = EMAModel(parameters, decay=options.ema_decay) if options.ema_decay else None
    state = _resume(parameters, optimizer, average, accelerator, options, checkpoint)
    unet, prepared = accelerator.prepare(model.unet, optimizer)
    loss_of_part = make_loss(model, unet, encodings, options, accelerator)
    label = f"tuning ({options.approach})"
    shown = progress_bar(
        options.steps, label, initial=len(state.losses), hidden=not accelerator.is_main_process, unit="step"
    )
    folder, is_alone = checkpoint.parent, accelerator.num_processes == 1
    save = partial(_save, parameters, optimizer, average, accelerator, options, checkpoint, state)
    with shown as bar, interrupts_deferred() as interrupted:
        while True:
            step = len(state.losses)
            try:  # what changes no weight may end at any time: a step of a large model takes minutes on a CPU
                with interrupted.at_once(is_alone):
                    if accelerator.is_main_process and is_report_due(options, state):
                        with averaged(average, parameters):  # of the weights that would be saved
                            state.reports.append(report(step))
                        write_rows(folder / "reports.csv", state.reports)
                    if step == options.steps:
                        break
                    value = torch.zeros((), device=accelerator.device)
                    for part in range(options.accumulation):
                        is_last = part == options.accumulation - 1
                        with contextlib.nullcontext() if is_last else accelerator.no_sync(unet):
                            loss = loss_of_part(step, part) / options.accumulation
                            accelerator.backward(loss)
                        value += loss.detach()
            except KeyboardInterrupt:
                if step:
                    save()
                raise
            # the one time in a step that a GPU is waited for: before the weights are moved
            loss_of_step = accelerator.reduce(value, "mean").item()
            if not math.isfinite(loss_of_step):
                raise ValueError(f"{label}: the loss is {loss_of_step} at step {step}: {TRY_INSTEAD}")
            if options.gradient_clip:
                accelerator.clip_grad_norm_(parameters, options.gradient_clip)
            prepared.step()
            prepared.zero_grad(set_to_none=True)
            if average is not None and not accelerator.optimizer_step_was_skipped:
                average.step(parameters)
            state.losses.append(loss_of_step)
            bar.update()
            bar.set_postfix(loss=f"{sum(state.losses[-50:]) / len(state.losses[-50:]):.4f}", refresh=False)
            done = len(state.losses)
            stop = interrupted()
            if not is_alone:  # all look at the same time, else one would wait for gradients of another that has stopped
                stop = bool(accelerator.reduce(torch.tensor(float(stop), device=accelerator.device), "sum"))
            if accelerator.is_main_process and (stop or done % options.save_every == 0 or done == options.steps):
                save()
            if stop:
                raise KeyboardInterrupt
    if average is not None:
        average.copy_to(parameters)
    if accelerator.is_main_process:
        write_rows(folder / "losses.csv", [{"step": step, "loss": loss} for step, loss in enumerate(state.losses)])
    adapter_state = anl.adapter_state if options.rank is None else lora.adapter_state
    return adapter_state(model.unet, names), state


def is_report_due(options: TuneSettings, state: State) -> bool:
    """Whether figures of the weights as they are now are wanted and not there yet."""
    done = len(state.losses)
    is_there = bool(state.reports) and state.reports[-1]["step"] == done
    return bool(options.report_every) and done > 0 and done % options.report_every == 0 and not is_there


def prepare(model: LatentDiffusion, options: TuneSettings, fold: bool, num_tokens: int) -> list[str]:
    """Makes the UNet what the approach trains; returns the names of the weights that are given to the optimizer."""
    if options.approach == "scratch":
        reinitialize(model, options.seed)
    if options.approach == "anl_unconditional":
        anl.make_unconditional(model.unet)
        model.is_unconditional = True
    elif fold and num_tokens == 1:
        anl.fold_single_token(model.unet)
    if options.rank is not None:
        return lora.add(model.unet, options.rank, num_tokens, partial(derived_seed, "lora_A", options.seed))
    return anl.trained_names(model.unet, options.approach, num_tokens)


def reinitialize(model: LatentDiffusion, seed: int) -> None:
    """Random UNet weights, zero where CompVis starts from zero (ScratchDiff)."""
    torch.manual_seed(derived_seed("scratch", seed))
    for module in model.unet.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.GroupNorm | nn.LayerNorm):
            module.reset_parameters()
    zero_initialize(model.unet)


def make_loss(
    model: LatentDiffusion, unet: nn.Module, encodings: Encodings, options: TuneSettings, accelerator: Accelerator
) -> Any:
    """(step, part) -> Eq. 10, or its like for v, on this process's part of the step's batch.

    Args:
        unet: the model's, as the accelerator wrapped it.
    """
    alpha_bar = alphas_cumprod(model.facts.schedule).to(accelerator.device)
    loss = training_loss(model.facts.schedule)
    num_images = len(encodings) // 2 if options.flip else len(encodings)
    size = options.batch_size // (accelerator.num_processes * options.accumulation)
    predict = partial(model.predict, unet=unet)
    null = encodings.null(model.null_token.cpu())

    def loss_of_part(step: int, part: int) -> Tensor:
        first = size * (accelerator.process_index * options.accumulation + part)
        mine = slice(first, first + size)
        # the whole batch is drawn, on the CPU, so that every device and every number of processes sees the same noise
        torch.manual_seed(derived_seed(options.seed, step))
        rows = pass_after_pass(num_images, options.batch_size, step, options.seed)
        if options.flip:
            rows = rows + num_images * torch.randint(0, 2, rows.shape)
        t = torch.randint(0, len(alpha_bar), (len(rows),))
        eps = torch.randn(len(rows), *encodings.latents.shape[1:])
        dropped = torch.rand(len(rows)) < options.condition_dropout
        latents, tokens = encodings.rows(rows[mine])
        tokens = torch.where(dropped[mine, None, None], null, tokens)
        z, c, eps, t = (tensor.to(accelerator.device) for tensor in (latents, tokens, eps[mine], t[mine]))
        return loss(predict, z, c, eps, t, alpha_bar)

    return loss_of_part


# ---------------------------------------------------------------------------------------------------------------------
# checkpoints


def _save(
    parameters: Sequence[Tensor],
    optimizer: torch.optim.Optimizer,
    average: EMAModel | None,
    accelerator: Accelerator,
    options: TuneSettings,
    checkpoint: Path,
    state: State,
) -> None:
    refuse_non_finite(
        {f"tensor {i}": one for i, one in enumerate(parameters)},
        f"weights after {len(state.losses)} steps",
        TRY_INSTEAD,
    )
    content: dict[str, Any] = {
        "settings": _identity(options),
        "losses": torch.tensor(state.losses, dtype=torch.float64),
        "reports": state.reports,
        "parameters": [parameter.detach() for parameter in parameters],
        "optimizer": optimizer.state_dict(),
        "average": average.state_dict() if average is not None else None,
        "scaler": accelerator.scaler.state_dict() if accelerator.scaler is not None else None,
    }
    with written_atomically(checkpoint) as part:
        write_state(content, part)


def steps_done(checkpoint: Path) -> int:
    """How far a checkpoint has got; 0 where there is none."""
    if not checkpoint.is_file():
        return 0
    return len(read_checkpoint(checkpoint)["losses"])


def read_checkpoint(checkpoint: Path) -> dict[str, Any]:
    """What `_save` wrote.

    Raises:
        ValueError: a damaged file.
    """
    return read_state(checkpoint, "remove it, and the tuning begins again")


@contextlib.contextmanager
def averaged(average: EMAModel | None, parameters: Sequence[Tensor]) -> Iterator[None]:
    """Inside, the parameters are their average, where one is kept."""
    if average is None:
        yield
        return
    average.store(parameters)
    average.copy_to(parameters)
    try:
        yield
    finally:
        average.restore(parameters)


def _resume(
    parameters: Sequence[Tensor],
    optimizer: torch.optim.Optimizer,
    average: EMAModel | None,
    accelerator: Accelerator,
    options: TuneSettings,
    checkpoint: Path,
) -> State:
    if not checkpoint.is_file():
        return State([], [])
    content = read_checkpoint(checkpoint)
    if content["settings"] != _identity(options):
        raise ValueError(f"{checkpoint} is of a run with other settings: remove it, or go on with the old settings")
    with torch.no_grad():
        for parameter, saved in zip(parameters, content["parameters"], strict=True):
            parameter.copy_(saved)
    optimizer.load_state_dict(content["optimizer"])
    if average is not None:
        average.load_state_dict(content["average"])
        average.to(parameters[0].device)
    if accelerator.scaler is not None and content["scaler"] is not None:
        accelerator.scaler.load_state_dict(content["scaler"])
    return State(content["losses"].tolist(), content["reports"])


def _identity(options: TuneSettings) -> dict[str, Any]:
    """The settings that decide the trajectory up to any step: not how far it goes, nor what only costs memory."""
    return deciding(options, TUNING, unless_said=[TUNING])
