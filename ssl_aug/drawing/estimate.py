"""What a run would do, how much it would draw and how long that would take, measured on a few references."""

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
from ssl_aug.drawing.record import identity
from ssl_aug.runtime import Placement
from ssl_aug.settings import Settings
from ssl_aug.synthetic import Request, SyntheticSet, images_done, is_finished, refuse_folder
from ssl_aug.tuning.clip_check import what_clip_tells
from ssl_aug.tuning.encodings import read_batch
from ssl_aug.tuning.loop import steps_done
from ssl_aug.tuning.plan import TuningPlan

NUM_PROBES = 3
SLACK = 1.5  # of the slowest probe: a machine that draws for long gets warm, and images are scored and saved too


def foretell(
    settings: Settings,
    plan: TuningPlan | None,
    folder: Path,
    labeled: LabeledSet,
    chunks: Sequence[Sequence[Request]],
    place: Placement,
) -> str:
    """What a run would do; where something is left to draw, how much in images, bytes and time.

    Raises:
        FileExistsError, ValueError, OSError: what the run itself would be refused with.
    """
    refuse_folder(folder, {"labeled_set_id": labeled.id, **identity(settings, plan)})
    done, asked = images_done(folder, settings.synthetic.refill), [request for chunk in chunks for request in chunk]
    left = [request for request in asked if request.path not in done]
    if is_finished(folder) and not settings.synthetic.refill:
        synthetic = SyntheticSet.open(folder)
        more = f"; {synthetic.left_out}" if synthetic.left_out else ""
        if not left:
            return f"{folder} is finished already: {len(synthetic)} images are there, nothing would be drawn{more}"
    if not left:
        return f"{folder}: every image is there, nothing would be drawn but the list written"
    of_each = f"{settings.per_sample} for each of {len(labeled)} labeled ones"
    if len(left) == len(asked):
        first = f"would draw {len(asked)} images ({of_each}) into {folder}"
    else:
        first = f"would go on: {len(left)} of {len(asked)} images ({of_each}) are left to draw in {folder}"
    unfinished = [chunk for chunk in chunks if any(request.path not in done for request in chunk)]  # drawn whole
    return "\n".join([first, *estimate(settings, plan, labeled, unfinished, place)])


def estimate(
    settings: Settings,
    plan: TuningPlan | None,
    labeled: LabeledSet,
    chunks: Sequence[Sequence[Request]],
    place: Placement,
) -> list[str]:
    """Bytes and time that chunks take to draw, measured on a few references with the untuned weights."""
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
    evaluations = []  # seconds of the network, per image
    for _ in range(NUM_PROBES):
        start = time.perf_counter()
        images = draw(generator, probe, labeled, place)
        evaluations.append((time.perf_counter() - start) / 2 / len(probe))
    passes = settings.steps * total * (1 if sampling.guidance == 1 else 2)
    # PNG sizes: smooth untuned drawings would be too small a guess, so the references' own pixels count
    size = max(len(encode_png(image)) for image in (*images, *references(probe, generator.image_size)))
    lines = [
        f"disk: about {size * total / 1e6:.1f} MB",
        f"time to draw on {place.device}: about {_range(evaluations, passes)}, as fast as the machine is now",
    ]
    if plan is not None and plan.steps == 0:
        lines.append("untuned: tune.steps=0")
    elif plan is not None and not plan.adapter.is_file():
        # forward and backward cost about three evaluations
        done = steps_done(plan.folder / "checkpoint.pt")
        passes = 3 * max(0, settings.tune.steps - done) * settings.tune.batch_size
        of_rest = f", from step {done}" if 0 < done < settings.tune.steps else ""
        lines.append(f"before that, tuning on {len(plan.images)} images{of_rest}: about {_range(evaluations, passes)}")
    elif plan is not None:
        lines.append(f"tuned weights are there: {plan.adapter}")
    if isinstance(generator, ANLLatentDiffusion):
        said = what_clip_tells(generator.model.clip, labeled, generator.image_size, place)
        lines += [] if said is None else [said]
    return lines


def references(chunk: Sequence[Request], image_size: int) -> Tensor:
    """The labeled images of some requests, as the generator sees them."""
    return read_batch([request.source.path for request in chunk], image_size)


def _range(evaluations: Sequence[float], passes: int) -> str:
    """`4 to 7 min`: from the fastest probe to the slowest with some slack."""
    low, high = min(evaluations) * passes, SLACK * max(evaluations) * passes
    unit, seconds = ("s", 1) if high < 90 else ("min", 60) if high < 5400 else ("h", 3600)
    digits = 1 if unit == "h" else 0
    first, last = f"{low / seconds:.{digits}f}", f"{high / seconds:.{digits}f}"
    return f"{last} {unit}" if first == last else f"{first} to {last} {unit}"
