"""The tuned weights: made where they are not there yet, and read."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from generators.anl import Adapter
from generators.checkpoints import open_checkpoint
from generators.kept_weights import write_weights
from generators.ldm import LatentDiffusion
from generators.weights import read_weights
from ssl_aug.data.build import load_and_tell
from ssl_aug.files import write_json, written_atomically
from ssl_aug.lock import forget_dead, locked
from ssl_aug.made_by import command_of, write_command
from ssl_aug.records import read_record
from ssl_aug.runtime import Placement, accelerator_of, placement
from ssl_aug.settings import Settings
from ssl_aug.tuning.clip_check import what_clip_tells
from ssl_aug.tuning.encodings import Encodings, encode, read_batch, with_prompts
from ssl_aug.tuning.foretold import refuse_untuned
from ssl_aug.tuning.loop import TRY_INSTEAD, steps_done, tune_unet
from ssl_aug.tuning.plan import TuningPlan, plan_tuning
from ssl_aug.tuning.reports import report, without_labels
from ssl_aug.versions import versions


def tune_as_asked(settings: Settings) -> str:
    """Tunes unless that is done; returns a line that says which.

    Raises:
        ValueError, OSError: bad settings or data, or weights that are not there.
    """
    refuse_untuned(settings)
    place = placement(settings.device, settings.precision)
    dataset, split = load_and_tell(settings.data)
    plan = plan_tuning(settings, dataset, split)
    is_there = plan.adapter.is_file()
    adapter = tune(settings, plan, place)
    return f"{adapter} is already there" if is_there else f"tuned weights: {adapter}"


def tune(settings: Settings, plan: TuningPlan, place: Placement) -> Path:
    """Tunes, or goes on tuning, and writes the adapter; returns its file.

    Where the adapter is already there nothing is done; where another process makes it, that is waited for. A tuning of
    fewer steps that is otherwise the same is gone on with.

    Raises:
        ValueError: settings that do not fit together, or an image that cannot be read.
    """
    if plan.adapter.is_file():
        forget_dead(plan.folder)
        return plan.adapter
    if place.dtype == torch.float16 and place.device.type == "cpu":
        raise ValueError("precision=fp16: a CPU does not compute in it; use bf16 or fp32")
    accelerator = accelerator_of(place)
    is_alone = accelerator.num_processes == 1  # of several, the others would wait for the first one till they give up
    held = locked(plan.folder, "tuning", wait=is_alone) if accelerator.is_main_process else nullcontext()
    with held:
        if not (is_alone and plan.adapter.is_file()):  # made by the process that was waited for
            _tune(settings, plan, place, accelerator)
        accelerator.wait_for_everyone()  # nobody goes on before the file is there
        accelerator.free_memory()
    return plan.adapter


def _tune(settings: Settings, plan: TuningPlan, place: Placement, accelerator: Accelerator) -> None:
    generator, sampling = settings.generator, settings.sampling()
    model = open_checkpoint(plan.checkpoint, generator.clip_checkpoint, sampling.names_class)
    model.clip.tokens = generator.tokens
    model.to(place.device, memory_format=torch.channels_last)
    image_size = generator.image_size or model.facts.image_size
    with accelerator.main_process_first():  # the others read what it wrote
        encodings = encodings_of(plan, model, image_size, settings.tune.flip, place)
    if model.clip.image_norm is None:
        model.clip.image_norm = float(torch.from_numpy(encodings.tokens[:, 0].copy()).norm(dim=1).mean())
    said = what_clip_tells(model.clip, plan.labeled, image_size, place)
    if said is not None and accelerator.is_main_process:
        print(said, file=sys.stderr, flush=True)
    if plan.classes is not None:
        encodings = with_prompts(encodings, model, plan.classes, sampling.class_prompt or "", sampling.sees_image)
    shown = list(range(len(plan.images)))[:: max(1, len(plan.images) // 8)][:8]
    references = read_batch([plan.images[row] for row in shown], image_size)
    names = [plan.classes[row] if plan.classes else "" for row in shown]
    checkpoint = plan.folder / "checkpoint.pt"
    if steps_done(checkpoint) > settings.tune.steps:  # there is no way back: from the beginning, beside it
        checkpoint = plan.folder / f"checkpoint_{settings.tune.steps:06d}.pt"
    if not settings.tune.report_every:  # reports draw
        model.release_encoders()
    reporting = partial(
        report,
        model,
        encodings,
        settings.tune,
        without_labels(sampling),
        accelerator,
        references,
        names,
        plan.folder,
    )
    adapter, state = tune_unet(model, encodings, settings.tune, generator.fold, accelerator, checkpoint, reporting)
    if accelerator.is_main_process:
        line = command_of("ssl_aug.tune", "tune", settings, Settings, unsaid=("per_sample", "synthetic.root"))
        write_command(plan.folder, line)
        write_json(plan.adapter.with_suffix(".json"), _facts(settings, plan, model, adapter, state.losses))
        with written_atomically(plan.adapter) as part:
            write_weights(adapter, part, TRY_INSTEAD)
        if checkpoint.name != "checkpoint.pt":
            checkpoint.unlink(missing_ok=True)


def encodings_of(plan: TuningPlan, model: LatentDiffusion, image_size: int, flip: bool, place: Placement) -> Encodings:
    """Latents and tokens of the tuning images, made once; row i is image i, mirrored ones come after all others."""
    tokens = model.clip.tokens
    encoders = plan.model_id if tokens == "pooled" else f"{plan.model_id}-{tokens}"
    return encode(plan.images, model, encoders, image_size, flip, place)


FACTS = {"approach": (str,), "clip_image_norm": (float,)}  # of an adapter, that drawing relies on


def read_adapter(path: Path) -> Adapter:
    """A tuning's weights, with the facts beside them."""
    way_out = f"remove {path}, and the same tuning makes it again from its checkpoint"
    beside = path.with_suffix(".json")
    if not beside.is_file():
        raise FileNotFoundError(f"{beside} is missing beside the tuned weights: {way_out}")
    facts = read_record(beside, FACTS, way_out, FACTS)
    approach, weights = facts["approach"], read_weights(path, way_out)
    return Adapter(weights, approach == "anl_unconditional", facts["clip_image_norm"], approach == "anl_lora")


def _facts(
    settings: Settings, plan: TuningPlan, model: LatentDiffusion, adapter: dict[str, Tensor], losses: list[float]
) -> dict[str, Any]:
    num_tuned = sum(tensor.numel() for tensor in adapter.values())
    num_added = 0 if settings.tune.rank is None else num_tuned
    return {
        "approach": settings.tune.approach,
        "num_tuned_tensors": len(adapter),
        "num_tuned_parameters": num_tuned,
        "num_unet_parameters": sum(parameter.numel() for parameter in model.unet.parameters()) - num_added,
        "num_images": len(plan.images),
        "images_id": plan.images_id,
        "model_id": plan.model_id,
        "clip_image_norm": model.clip.image_norm,
        "loss_of_last_50_steps": sum(losses[-50:]) / len(losses[-50:]),
        "tune": asdict(settings.tune),
        "versions": versions(),
    }
