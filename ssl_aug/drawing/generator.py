"""The generator that the settings name, tuned and told of the labeled images, and the drawing of one chunk with it."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import replace

import torch
from PIL import Image
from torch import Tensor, nn

from generators.anl_ldm import ANLLatentDiffusion, Draw
from generators.base import Generator
from generators.build import build_generator
from generators.ldm import LatentDiffusion
from generators.settings import GeneratorSettings, SamplingSettings
from ssl_aug.data.base import Example, LabeledSet
from ssl_aug.drawing.lenders import tell_of_labeled
from ssl_aug.drawing.scores import Scorer
from ssl_aug.runtime import Placement, keep_frozen_weights_low
from ssl_aug.settings import Settings
from ssl_aug.synthetic import Request
from ssl_aug.tuning.adapter import read_adapter, tune
from ssl_aug.tuning.clip_check import what_clip_tells
from ssl_aug.tuning.encodings import read_batch
from ssl_aug.tuning.plan import TuningPlan


def make_generator(settings: Settings, plan: TuningPlan | None, labeled: LabeledSet, place: Placement) -> Generator:
    """The generator, tuned first where it has not been: by one of several processes, which the others wait for."""
    adapter, is_checked = None, False
    if plan is not None and plan.steps > 0:
        is_checked = not plan.adapter.is_file()  # then the tuning says what CLIP tells
        adapter = read_adapter(tune(settings, plan, place))
    sampling = settings.sampling()
    generator = build_generator(
        with_checkpoint(settings.generator, plan),
        sampling,
        adapter,
        lambda module: placed(module, place),
    )
    if isinstance(generator, ANLLatentDiffusion) and not is_checked:
        said = what_clip_tells(generator.model.clip, labeled, generator.image_size, place)
        if said is not None:
            print(said, file=sys.stderr, flush=True)
    if sampling.condition == "borrowed":
        assert isinstance(generator, ANLLatentDiffusion) and plan is not None  # the settings refuse others
        tell_of_labeled(generator, labeled, plan, sampling.class_means, settings.tune.flip, settings.batch_size, place)
    return generator


def placed(model: nn.Module, place: Placement) -> nn.Module:
    """A model where it draws, its network's weights in the type that they are computed in."""
    if isinstance(model, LatentDiffusion):
        keep_frozen_weights_low(model.unet.requires_grad_(False), place.dtype)
    return model.to(place.device, memory_format=torch.channels_last)


def with_checkpoint(generator: GeneratorSettings, plan: TuningPlan | None) -> GeneratorSettings:
    """The generator's settings with its weights named, also where they come with the package."""
    return generator if plan is None else replace(generator, checkpoint=str(plan.checkpoint))


def make_scorer(generator: Generator, labeled: LabeledSet, place: Placement) -> Scorer | None:
    """What scores this generator's drawings; None for a generator without CLIP."""
    if not isinstance(generator, ANLLatentDiffusion):
        return None
    return Scorer(generator.model.clip, labeled, generator.image_size, place)


def draw(
    generator: Generator, chunk: Sequence[Request], labeled: LabeledSet, place: Placement, fewest: int = 0
) -> Tensor:
    """(b, 3, s, s) images in [-1, 1] on the CPU, one per request.

    Args:
        fewest: rows that are drawn at least: requests are repeated, and what is drawn of them is left out.

    Raises:
        ValueError: an image that is not finite, named.
    """
    rows = [chunk[row % len(chunk)] for row in range(max(fewest, len(chunk)))]
    reference = read_batch([request.source.path for request in rows], generator.image_size).to(place.device)
    names = [labeled.class_names[request.source.label] for request in rows]
    with torch.no_grad(), place.autocast():
        images: Tensor = generator(reference, names, [request.seed for request in rows])
    images = images[: len(chunk)].float().cpu()
    for image, request in zip(images, chunk, strict=True):
        if not torch.isfinite(image).all():  # a PNG file would hold black in its place
            raise ValueError(
                f"{request.path}: the generator drew numbers that are not finite (nan or inf): use precision=fp32, or "
                "less guidance"
            )
    return images


def encode_png(image: Tensor) -> bytes:
    """A (3, s, s) image in [-1, 1] as a PNG file's bytes."""
    pixels = ((image + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def facts_of(
    chunk: Sequence[Request], sampling: SamplingSettings, lenders: Sequence[Example], generator: Generator
) -> list[dict[str, str]]:
    """The manifest's columns on how each image was drawn.

    Args:
        lenders: as `lenders_of` orders them.
    """
    same = {"sampler": sampling.sampler, "steps": str(sampling.steps), "guidance": str(sampling.guidance)}
    facts = []
    for request in chunk:
        drawn = generator.draw_of(request.seed) if isinstance(generator, ANLLatentDiffusion) else Draw()
        own = {
            "mask_rate": str(0.0 if drawn.mask_box is None else sampling.mask_rate),
            "mask_box": " ".join(map(str, drawn.mask_box or ())),
            "lender": "" if drawn.lender is None else lenders[drawn.lender].key,
        }
        facts.append({**same, **own})
    return facts
