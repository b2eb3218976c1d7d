"""From settings to a generator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn

from generators import ldm
from generators.anl import fold_single_token, load_adapter
from generators.anl_ldm import ANLLatentDiffusion
from generators.base import Generator
from generators.config import GeneratorSettings, SamplingSettings
from generators.control import NoisyReference

Place = Callable[[nn.Module], nn.Module]  # puts a module where it shall run
Builder = Callable[[GeneratorSettings, SamplingSettings, dict[str, Tensor] | None, Place], Generator]


def build_latent_diffusion(
    settings: GeneratorSettings, sampling: SamplingSettings, adapter: dict[str, Tensor] | None, place: Place
) -> ANLLatentDiffusion:
    """The model of `settings.checkpoint` with the adapter's weights in it."""
    if settings.checkpoint is None:
        raise ValueError(
            f"generator={settings.name} needs generator.checkpoint=FOLDER: "
            "a latent diffusion model's folder, or the published model.ckpt"
        )
    model = ldm.load(Path(settings.checkpoint), settings.clip_checkpoint)
    if adapter is not None:
        load_adapter(model.unet, adapter)
    if settings.fold:
        fold_single_token(model.unet)
    place(model)
    return ANLLatentDiffusion(model, sampling, settings.image_size or model.facts.image_size)


def build_control(
    settings: GeneratorSettings, sampling: SamplingSettings, adapter: dict[str, Tensor] | None, place: Place
) -> NoisyReference:
    """The control takes no weights and nothing to tune."""
    if settings.checkpoint is not None or adapter is not None:
        raise ValueError("generator=noise has no weights: generator.checkpoint and an adapter have no effect on it")
    return NoisyReference(settings.image_size or 64)


GENERATORS: dict[str, Builder] = {
    "embedded": build_latent_diffusion,
    "ldm": build_latent_diffusion,
    "noise": build_control,
}
NEEDS_TUNING = ("embedded", "ldm")


def build_generator(
    settings: GeneratorSettings,
    sampling: SamplingSettings,
    adapter: dict[str, Tensor] | None = None,
    place: Place = lambda module: module,
) -> Generator:
    """The generator that `settings.name` names, with the tuned weights of `adapter` in it.

    Raises:
        ValueError: an unknown name, or settings that do not fit together.
        FileNotFoundError: a checkpoint that is not there.
    """
    if settings.name not in GENERATORS:
        raise ValueError(f"generator={settings.name}: choose one of {', '.join(GENERATORS)}")
    return GENERATORS[settings.name](settings, sampling, adapter, place)
