"""How much a run would draw and how long it would take, measured on a few references."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from generators.anl_ldm import ANLLatentDiffusion
from generators.build import build_generator
from generators.settings import SamplingSettings
from ssl_aug.data.base import LabeledSet
from ssl_aug.drawing.generator import draw, encode_png, placed, with_checkpoint
from ssl_aug.runtime import Placement
from ssl_aug.settings import Settings
from ssl_aug.synthetic import Request
from ssl_aug.tuning.clip_check import what_clip_tells
from ssl_aug.tuning.encodings import read_batch
from ssl_aug.tuning.plan import TuningPlan


def estimate(
    settings: Settings,
    plan: TuningPlan | None,
    folder: Path,
    labeled: LabeledSet,
    chunks: Sequence[Sequence[Request]],
    place: Placement,
) -> str:
    """What a run would draw, in images, bytes and seconds, measured on a few references with the untuned weights."""
    total = sum(len(chunk) for chunk in chunks)
    probe = chunks[0][:8]
    sampling = settings.sampling()
    quick = SamplingSettings(
        mask_rate=sampling.mask_rate,
        sampler=sampling.sampler,
        steps=2,
        condition=sampling.condition if sampling.names_class else "image",
        class_prompt=sampling.class_prompt,
    )
    generator = build_generator(
        with_checkpoint(settings.generator, plan),
        quick,
        None,
        lambda module: placed(module, place),
    )
    draw(generator, probe, labeled, place)  # the first call also sets up kernels
    start = time.perf_counter()
    images = draw(generator, probe, labeled, place)
    evaluation = (time.perf_counter() - start) / 2 / len(probe)  # of the network, per image
    seconds = evaluation * settings.steps * total * (1 if sampling.guidance == 1 else 2)
    # PNG sizes: smooth untuned drawings would be too small a guess, so the references' own pixels count
    size = max(len(encode_png(image)) for image in (*images, *references(probe, generator.image_size)))
    lines = [
        f"would draw {total} images ({settings.per_sample} for each of {len(labeled)} labeled ones) into {folder}",
        f"disk: about {size * total / 1e6:.1f} MB",
        f"time to draw on {place.device}: about {_duration(seconds)}, as fast as the machine is now",
    ]
    if plan is not None and plan.steps == 0:
        lines.append("untuned: tune.steps=0")
    elif plan is not None and not plan.adapter.is_file():
        # forward and backward cost about three evaluations
        tuning = 3 * evaluation * settings.tune.steps * settings.tune.batch_size
        lines.append(f"before that, tuning on {len(plan.images)} images: about {_duration(tuning)}")
    elif plan is not None:
        lines.append(f"tuned weights are there: {plan.adapter}")
    if isinstance(generator, ANLLatentDiffusion):
        said = what_clip_tells(generator.model.clip, labeled, generator.image_size, place)
        lines += [] if said is None else [said]
    return "\n".join(lines)


def references(chunk: Sequence[Request], image_size: int) -> Tensor:
    """The labeled images of some requests, as the generator sees them."""
    return read_batch([request.source.path for request in chunk], image_size)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
