"""How much a run would draw and how long that would take, measured on a few references."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from generators.anl_ldm import ANLLatentDiffusion
from generators.build import build_generator
from generators.settings import SamplingSettings
from ssl_aug.data.base import LabeledSet
from ssl_aug.drawing.compiling import SECONDS, Chunks, Work, evaluations, gain, is_wanted
from ssl_aug.drawing.generator import draw, encode_png, placed, with_checkpoint
from ssl_aug.runtime import is_task_of_array, placement, shard
from ssl_aug.settings import Settings
from ssl_aug.synthetic import Request, begun_compiled
from ssl_aug.tuning.clip_check import what_clip_tells
from ssl_aug.tuning.encodings import read_batch
from ssl_aug.tuning.loop import steps_done
from ssl_aug.tuning.plan import TuningPlan

NUM_PROBES = 3
SLACK = 1.5  # of the slowest probe: a machine that draws for long gets warm, and images are scored and saved too


def estimate(
    settings: Settings,
    plan: TuningPlan | None,
    folder: Path,
    labeled: LabeledSet,
    chunks: Chunks,
    unfinished: Chunks,
) -> list[str]:
    """Bytes and time that drawing takes, measured on a few references with the untuned weights.

    Args:
        folder: of the set.
        chunks: all of the set.
        unfinished: those that are left to draw.

    Raises:
        ValueError: a way of `compile` that the set was not begun in.
    """
    place = placement(settings.device, settings.precision)
    total = sum(len(chunk) for chunk in unfinished)
    probe = unfinished[0][:8]
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
    seconds = []  # of an evaluation of the network, per image
    for _ in range(NUM_PROBES):
        start = time.perf_counter()
        images = draw(generator, probe, labeled, place)
        seconds.append((time.perf_counter() - start) / 2 / len(probe))
    # PNG sizes: smooth untuned drawings would be too small a guess, so the references' own pixels count
    size = max(len(encode_png(image)) for image in (*images, *references(probe, generator.image_size)))
    work = Work(generator, sampling, chunks, labeled, place, settings.generator.name, _num_shards(settings))
    drawing = _drawing(settings, folder, work, unfinished, seconds)
    lines = [
        f"disk: about {size * total / 1e6:.1f} MB",
        f"time to draw on {place.device}: about {drawing}, as fast as the machine is now",
    ]
    if plan is not None:
        lines.append(_tuning(settings, plan, seconds))
    if isinstance(generator, ANLLatentDiffusion):
        said = what_clip_tells(generator.model.clip, labeled, generator.image_size, place)
        lines += [] if said is None else [said]
    return lines


def _tuning(settings: Settings, plan: TuningPlan, seconds: Sequence[float]) -> str:
    """What comes before drawing."""
    if plan.steps == 0:
        return "untuned: tune.steps=0"
    if plan.adapter.is_file():
        return f"tuned weights are there: {plan.adapter}"
    # forward and backward cost about three evaluations
    done = steps_done(plan.folder / "checkpoint.pt")
    passes = 3 * max(0, settings.tune.steps - done) * settings.tune.batch_size
    of_rest = f", from step {done}" if 0 < done < settings.tune.steps else ""
    return f"before that, tuning on {len(plan.images)} images{of_rest}: about {_range(seconds, passes)}"


def _drawing(settings: Settings, folder: Path, work: Work, unfinished: Chunks, seconds: Sequence[float]) -> str:
    """`4 to 7 min`, and whether the network is compiled for it.

    Args:
        seconds: of an evaluation of the network as it is, for one image.
    """
    passes = evaluations(work.sampling)
    as_it_is = _range(seconds, passes * sum(len(chunk) for chunk in unfinished))
    if not isinstance(work.generator, ANLLatentDiffusion):
        return as_it_is
    if not is_wanted(settings.compile, begun_compiled(folder), work):
        return f"{as_it_is}, not compiled"
    faster = gain(work.place)
    filled_up = passes * work.rows * len(unfinished)
    compiled = _range([each / faster for each in seconds], filled_up)
    return f"{compiled}, compiled ({faster:g} times as fast is expected; compiling takes up to {SECONDS:.0f} s more)"


def _num_shards(settings: Settings) -> int:
    """How many processes share the set; 1 where an array is asked for and this is none of its tasks."""
    return 1 if settings.shard == "slurm" and not is_task_of_array() else shard(settings.shard)[1]


def references(chunk: Sequence[Request], image_size: int) -> Tensor:
    """The labeled images of some requests, as the generator sees them."""
    return read_batch([request.source.path for request in chunk], image_size)


def _range(seconds: Sequence[float], passes: int) -> str:
    """`4 to 7 min`: from the fastest probe to the slowest with some slack."""
    low, high = min(seconds) * passes, SLACK * max(seconds) * passes
    unit, length = ("s", 1) if high < 90 else ("min", 60) if high < 5400 else ("h", 3600)
    digits = 1 if unit == "h" else 0
    first, last = f"{low / length:.{digits}f}", f"{high / length:.{digits}f}"
    return f"{last} {unit}" if first == last else f"{first} to {last} {unit}"
