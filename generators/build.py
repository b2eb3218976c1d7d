"""From settings to a generator."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points

from torch import nn

from generators.anl import Adapter, fold_single_token, load_adapter, make_unconditional
from generators.anl_ldm import ANLLatentDiffusion
from generators.base import Generator
from generators.checkpoints import locate, open_checkpoint
from generators.lora import merge
from generators.noisy_reference import NoisyReference
from generators.settings import ENTRY_POINTS, GeneratorSettings, SamplingSettings

ToDevice = Callable[[nn.Module], nn.Module]  # puts a module where it shall run
Builder = Callable[[GeneratorSettings, SamplingSettings, Adapter | None, ToDevice], Generator]


def build_latent_diffusion(
    settings: GeneratorSettings,
    sampling: SamplingSettings,
    adapter: Adapter | None,
    to_device: ToDevice,
) -> ANLLatentDiffusion:
    """The model of `settings.checkpoint` with the adapter's weights in it."""
    if settings.checkpoint is None:
        raise ValueError(
            f"generator={settings.name} needs generator.checkpoint=FOLDER: a latent diffusion model's folder, "
            "a diffusers pipeline's or its name on the hub, or the published model.ckpt"
        )
    model = open_checkpoint(locate(settings.checkpoint)[0], settings.clip_checkpoint, sampling.names_class)
    model.clip.tokens = settings.tokens
    if adapter is not None:
        if adapter.is_unconditional:
            make_unconditional(model.unet)
            model.is_unconditional = True
        put = merge if adapter.is_low_rank else load_adapter
        put(model.unet, adapter.weights)
        if model.clip.image_norm is None:
            model.clip.image_norm = adapter.clip_image_norm
    has_one_token = settings.tokens == "pooled" and not sampling.names_class
    if settings.fold and has_one_token and not model.is_unconditional:
        fold_single_token(model.unet)
    to_device(model)
    return ANLLatentDiffusion(model, sampling, settings.image_size or model.facts.image_size)


def build_noisy_reference(
    settings: GeneratorSettings,
    sampling: SamplingSettings,
    adapter: Adapter | None,
    to_device: ToDevice,
) -> NoisyReference:
    """The control takes no weights and nothing to tune."""
    if settings.checkpoint is not None or adapter is not None:
        raise ValueError("generator=noise has no weights: generator.checkpoint and an adapter have no effect on it")
    return NoisyReference(settings.image_size or 64)


GENERATORS: dict[str, Builder] = {
    "embedded": build_latent_diffusion,
    "ldm": build_latent_diffusion,
    "noise": build_noisy_reference,
}


def build_generator(
    settings: GeneratorSettings,
    sampling: SamplingSettings,
    adapter: Adapter | None = None,
    to_device: ToDevice = lambda module: module,
) -> Generator:
    """The generator that `settings.name` names, with what `adapter` was tuned to in it.

    Other packages register builders under the entry point group `ssl_aug.generators`.

    Raises:
        ValueError: an unknown name, or settings that do not fit together.
        FileNotFoundError: a checkpoint that is not there.
    """
    if settings.name in GENERATORS:
        return GENERATORS[settings.name](settings, sampling, adapter, to_device)
    registered = entry_points(group=ENTRY_POINTS)
    if settings.name not in registered.names:
        names = (*GENERATORS, *sorted(registered.names))
        raise ValueError(f"generator={settings.name}: choose one of {', '.join(names)}")
    point = registered[settings.name]
    try:
        builder: Builder = point.load()
    except (ImportError, AttributeError) as error:
        raise ValueError(f"generator={settings.name}: {point.value} cannot be imported ({error})") from error
    return builder(settings, sampling, adapter, to_device)
