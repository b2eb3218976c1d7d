"""How long the paper's run takes on this machine: each stage is measured on a few of its units, at full size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from diffusers import UNet2DConditionModel

from generators import compvis
from generators.anl import fold_single_token, trained_names
from generators.anl_ldm import ANLLatentDiffusion
from generators.ldm import LatentDiffusion
from generators.settings import SamplingSettings
from ssl_aug.command_line import compose
from ssl_aug.drawing.generator import placed
from ssl_aug.runtime import Placement, name_of_precision
from ssl_aug.settings import Settings
from ssl_aug.speeds.drawing import draw_as_we_do
from ssl_aug.speeds.networks import latents_alone, size_of, whole
from ssl_aug.speeds.parts import seconds_of
from ssl_aug.speeds.tuning import encoded, our_step
from ssl_aug.tuning.memory import TuningMemory, tuning_memory

CLASSES, TRAINING_IMAGES = 196, 8144  # StanfordCars (Krause et al. 2013)
FEW_STEPS = 25  # of DPM-Solver++, in place of DDIM's 200
TIMES = 2  # each stage's unit is timed, behind a first call that sets up kernels


@dataclass(frozen=True)
class Stage:
    """One stage of the run."""

    name: str
    unit: str
    count: float  # units in the run
    make: Callable[[], Callable[[], object]]  # networks are built when their stage is measured, and let go behind it
    units_per_call: float = 1


@dataclass(frozen=True)
class StageTime:
    """What a stage takes."""

    name: str
    unit: str
    count: float
    seconds_per_unit: float

    @property
    def hours(self) -> float:
        return self.count * self.seconds_per_unit / 3600


def stages_of_generation(place: Placement, on_gpu: bool) -> Iterator[Stage]:
    """Encoding, tuning and drawing as experiment=paper has them, with random weights of full size."""
    settings = compose("generate", ["experiment=paper", "data.root=unread", "generator.checkpoint=unread"], Settings)
    batch = settings.batch_size if on_gpu else 1
    drawn = CLASSES * (settings.data.labels_per_class or 1) * settings.per_sample
    views = 2 if settings.tune.flip else 1
    yield Stage("encoding", "image", TRAINING_IMAGES * views, partial(_encoding, place, batch), batch)
    tuned_at_once = settings.tune.batch_size // settings.tune.accumulation if on_gpu else 1
    yield Stage(
        "tuning",
        f"step of {settings.tune.batch_size} images",
        settings.tune.steps,
        partial(_tuning, place, tuned_at_once),
        tuned_at_once / settings.tune.batch_size,
    )
    evaluations = settings.steps * drawn
    name = f"drawing, {settings.sampler} in {settings.steps} steps"
    yield Stage(name, "evaluation of the UNet", evaluations, partial(_evaluating, place, batch), 2 * batch)
    yield Stage("decoding", "image", drawn, partial(_decoding, place, batch), batch)


def memory_of_tuning() -> dict[str, TuningMemory]:
    """What tuning at full size takes of a GPU's memory: 8 images at once as on the paper's cards of 11 GB, in words."""
    found = {}
    with torch.device("meta"):
        unet = UNet2DConditionModel(**compvis.UNET)
    fold_single_token(unet)
    side, width = size_of("full").latent_side, int(compvis.UNET["cross_attention_dim"])
    names = trained_names(unet, "anl")
    for dtype in (torch.float32, torch.bfloat16):
        for is_checkpointed in (False, True):
            words = f"tuning, 8 images at once in {name_of_precision(dtype)}"
            words += ", tune.gradient_checkpointing=true" if is_checkpointed else ""
            shape = (int(compvis.UNET["in_channels"]), side, side)
            found[words] = tuning_memory(unet, names, shape, (1, width), 8, dtype, is_checkpointed)
    return found


def time_of(stage: Stage, wait: Callable[[], None]) -> StageTime:
    """A stage's time by the best of a few calls."""
    call = stage.make()
    call()
    seconds = min(seconds_of(call, wait) for _ in range(TIMES))
    return StageTime(stage.name, stage.unit, stage.count, seconds / stage.units_per_call)


def _full(place: Placement) -> LatentDiffusion:
    model = whole("full")
    fold_single_token(model.unet)
    placed(model, place)
    return model


def _pictures(place: Placement, batch: int, side: int) -> torch.Tensor:
    return torch.rand(batch, 3, side, side, device=place.device) * 2 - 1


def _encoding(place: Placement, batch: int) -> Callable[[], object]:
    model = _full(place)
    images = _pictures(place, batch, model.facts.image_size)
    return partial(_in_precision, place, lambda: encoded(model, images))


def _tuning(place: Placement, batch: int) -> Callable[[], object]:
    model = whole("full")
    images = _pictures(place, batch, model.facts.image_size).cpu()
    return our_step(model, encoded(model, images), place, batch)


def _evaluating(place: Placement, batch: int) -> Callable[[], object]:
    size = size_of("full")
    model = latents_alone(size)
    fold_single_token(model.unet)
    settings = SamplingSettings(mask_rate=0.0, sampler="ddim", steps=2, guidance=1.0)
    placed(model, place)
    generator = ANLLatentDiffusion(model, settings, size.latent_side)
    reference = _pictures(place, batch, size.latent_side)
    return partial(draw_as_we_do, generator, place, reference, list(range(batch)))


def _decoding(place: Placement, batch: int) -> Callable[[], object]:
    model = _full(place)
    latents = torch.randn(batch, *model.latent_shape, device=place.device)
    return partial(_in_precision, place, lambda: model.decode(latents))


def _in_precision(place: Placement, call: Callable[[], object]) -> object:
    with torch.no_grad(), place.autocast():
        return call()
