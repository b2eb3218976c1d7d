"""How much a run would draw and how long that would take, measured on a few references."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from generators.anl_ldm import ANLLatentDiffusion
from generators.base import Generator
from generators.build import build_generator
from generators.settings import SamplingSettings
from ssl_aug.data.base import LabeledSet
from ssl_aug.drawing.compiling import SECONDS, Chunks, Work, evaluations, gain, is_wanted
from ssl_aug.drawing.generator import draw, encode_png, placed, with_checkpoint
from ssl_aug.runtime import Placement, is_task_of_array, placement, shard
from ssl_aug.settings import Settings
from ssl_aug.synthetic import Request, begun_compiled
from ssl_aug.tuning.clip_check import what_clip_tells
from ssl_aug.tuning.encodings import read_batch
from ssl_aug.tuning.loop import steps_done
from ssl_aug.tuning.plan import TuningPlan

NUM_PROBES = 3  # one where a probe takes longer than this:
LONG = 10.0  # seconds
FEW, MANY = 1, 3  # steps of a probe's two drawings
SLACK = 1.5  # of the slowest probe: a machine that draws for long gets warm, and images are scored and saved too


@dataclass(frozen=True)
class Cost:
    """Seconds that an image takes."""

    once: float  # to read it, to embed and to decode it
    evaluation: float  # of the network, each time

    def of(self, images: float, evaluations: float) -> float:
        """Seconds of so many images and, in all, evaluations."""
        return self.once * images + self.evaluation * evaluations


def cost(few: float, many: float) -> Cost:
    """From the seconds that one image took in `FEW` and in `MANY` evaluations.

    Where the clock says nothing of what comes once, every evaluation takes its share of the longer drawing.
    """
    evaluation = (many - few) / (MANY - FEW)
    once = few - FEW * evaluation
    return Cost(once, evaluation) if once >= 0 and evaluation > 0 else Cost(0.0, many / MANY)


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
        steps=MANY,
        condition=sampling.condition if sampling.names_class else "image",
        class_prompt=sampling.class_prompt,
    )
    generator = build_generator(
        with_checkpoint(settings.generator, plan),
        quick,
        None,
        lambda module: placed(module, place),
    )
    images, costs = _probed(generator, probe, labeled, place)
    # PNG sizes: smooth untuned drawings would be too small a guess, so the references' own pixels count
    size = max(len(encode_png(image)) for image in (*images, *references(probe, generator.image_size)))
    work = Work(generator, sampling, chunks, labeled, place, settings.generator.name, _num_shards(settings))
    drawing = _drawing(settings, folder, work, unfinished, costs)
    lines = [
        f"disk: about {size * total / 1e6:.1f} MB",
        f"time to draw on {place.device}: about {drawing}, as fast as the machine is now",
    ]
    if plan is not None:
        lines.append(_tuning(settings, plan, costs))
    if isinstance(generator, ANLLatentDiffusion):
        said = what_clip_tells(generator.model.clip, labeled, generator.image_size, place)
        lines += [] if said is None else [said]
    return lines


def _probed(
    generator: Generator, probe: Sequence[Request], labeled: LabeledSet, place: Placement
) -> tuple[Tensor, list[Cost]]:
    """(b, 3, s, s) drawings of these requests in `MANY` steps, and what one image took, each time that it was tried."""

    def seconds(drawing: Generator) -> tuple[Tensor, float]:
        start = time.perf_counter()
        images = draw(drawing, probe, labeled, place)
        return images, (time.perf_counter() - start) / len(probe)

    # of other generators it is not known what they do once, so that every step counts alike
    shorter = generator.in_steps(FEW) if isinstance(generator, ANLLatentDiffusion) else None
    seconds(shorter or generator)  # the first call also sets up kernels
    costs: list[Cost] = []
    began = time.perf_counter()
    while not costs or (len(costs) < NUM_PROBES and time.perf_counter() - began < LONG):
        images, many = seconds(generator)
        costs.append(Cost(0.0, many / MANY) if shorter is None else cost(seconds(shorter)[1], many))
    return images, costs


def _tuning(settings: Settings, plan: TuningPlan, costs: Sequence[Cost]) -> str:
    """What comes before drawing."""
    if plan.steps == 0:
        return "untuned: tune.steps=0"
    if plan.adapter.is_file():
        return f"tuned weights are there: {plan.adapter}"
    # forward and backward cost about three evaluations
    done = steps_done(plan.folder / "checkpoint.pt")
    passes = 3 * max(0, settings.tune.steps - done) * settings.tune.batch_size
    of_rest = f", from step {done}" if 0 < done < settings.tune.steps else ""
    return f"before that, tuning on {len(plan.images)} images{of_rest}: about {_range(costs, 0, passes)}"


def _drawing(settings: Settings, folder: Path, work: Work, unfinished: Chunks, costs: Sequence[Cost]) -> str:
    """`4 to 7 min`, and whether the network is compiled for it.

    Args:
        costs: of an image with the network as it is.
    """
    passes, images = evaluations(work.sampling), sum(len(chunk) for chunk in unfinished)
    as_it_is = _range(costs, images, passes * images)
    if not isinstance(work.generator, ANLLatentDiffusion):
        return as_it_is
    if not is_wanted(settings.compile, begun_compiled(folder), work):
        return f"{as_it_is}, not compiled"
    faster = gain(work.place)
    filled_up = work.rows * len(unfinished)
    compiled = _range([Cost(each.once, each.evaluation / faster) for each in costs], filled_up, passes * filled_up)
    return f"{compiled}, compiled ({faster:g} times as fast is expected; compiling takes up to {SECONDS:.0f} s more)"


def _num_shards(settings: Settings) -> int:
    """How many processes share the set; 1 where an array is asked for and this is none of its tasks."""
    return 1 if settings.shard == "slurm" and not is_task_of_array() else shard(settings.shard)[1]


def references(chunk: Sequence[Request], image_size: int) -> Tensor:
    """The labeled images of some requests, as the generator sees them."""
    return read_batch([request.source.path for request in chunk], image_size)


def _range(costs: Sequence[Cost], images: int, passes: int) -> str:
    """`4 to 7 min`: from the fastest probe to the slowest with some slack."""
    seconds = [each.of(images, passes) for each in costs]
    low, high = min(seconds), SLACK * max(seconds)
    unit, length = ("s", 1) if high < 90 else ("min", 60) if high < 5400 else ("h", 3600)
    digits = 1 if unit == "h" else 0
    first, last = f"{low / length:.{digits}f}", f"{high / length:.{digits}f}"
    return f"{last} {unit}" if first == last else f"{first} to {last} {unit}"
