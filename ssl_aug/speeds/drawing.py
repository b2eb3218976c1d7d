"""The steps of drawing: the product's own call beside diffusers' UNet and solver as they come."""

from __future__ import annotations

from copy import deepcopy
from functools import partial

import torch
from torch import Tensor

from generators.anl import fold_single_token
from generators.anl_ldm import ANLLatentDiffusion
from generators.ldm import LatentDiffusion
from generators.sampling import guided, make_solver
from generators.seeded_noise import seeded_noise
from generators.settings import SamplingSettings
from ssl_aug.drawing.generator import placed
from ssl_aug.freed_memory import keep_freed_memory
from ssl_aug.runtime import Placement
from ssl_aug.speeds.machine import operations_of
from ssl_aug.speeds.networks import latents_alone, size_of
from ssl_aug.speeds.parts import Call, Part


def drawing_part(name: str, places: dict[str, Placement], batch: int | None, with_compiled: bool) -> Part:
    """All steps of one chunk of images.

    Args:
        name: one of NETWORKS.
        places: where and how precisely our ways compute, by precision; the first is float32.
        batch: images at once; None: as many as suit the network and the device.
        with_compiled: whether torch.compile is another way in each precision.
    """
    size = size_of(name)
    on_gpu = next(iter(places.values())).device.type == "cuda"
    batch = batch or (8 * size.batch if on_gpu else size.batch)
    model = latents_alone(size)
    seeds = list(range(batch))
    reference = torch.zeros(batch, 3, size.latent_side, size.latent_side)
    settings = SamplingSettings(mask_rate=0.0, sampler="ddim", steps=size.steps, guidance=size.guidance)
    device = next(iter(places.values())).device
    plain_model = deepcopy(model).to(device).eval()
    plain = partial(draw_plainly, plain_model, settings, reference.to(device), seeds)
    ours: dict[str, tuple[Call, str]] = {}
    for precision, place in places.items():
        own = deepcopy(model)
        fold_single_token(own.unet)
        generator = ANLLatentDiffusion(placed(own, place), settings, size.latent_side)
        ours[precision] = (partial(draw_as_we_do, generator, place, reference.to(device), seeds), precision)
        if with_compiled:
            compiled = partial(draw_as_we_do, generator.compiled(), place, reference.to(device), seeds)
            ours[f"{precision}, compiled"] = (compiled, precision)
    first = next(iter(ours.values()))[0]
    passes = 2 if size.guidance != 1 else 1
    return Part(
        f"drawing, {name} ({millions(model)} M)",
        f"{batch} images, {size.steps} steps of {passes} evaluation{'s' if passes > 1 else ''} each",
        plain,
        ours,
        operations_of(first),
        batch,
    )


@torch.no_grad()
def draw_plainly(model: LatentDiffusion, settings: SamplingSettings, reference: Tensor, seeds: list[int]) -> Tensor:
    """(b, c, h, w) latents by diffusers' UNet in float32, both guided passes as one batch, as its pipelines do it."""
    keep_freed_memory(False)
    tokens = model.clip.embed_images(reference)
    null_tokens = model.null_tokens(len(seeds), tokens.shape[1])
    solver = make_solver(settings.sampler, model.facts.schedule)
    solver.set_timesteps(settings.steps)
    latents = seeded_noise(seeds, model.latent_shape).to(reference.device)
    is_guided = settings.guidance != 1
    condition = torch.cat([null_tokens, tokens]) if is_guided else tokens
    for timestep in solver.timesteps:
        several = torch.cat([latents, latents]) if is_guided else latents
        predicted: Tensor = model.unet(several, timestep, encoder_hidden_states=condition).sample
        if is_guided:
            unconditional, conditional = predicted.chunk(2)
            predicted = guided(conditional, unconditional, settings.guidance)
        latents = solver.step(predicted, timestep, latents).prev_sample
    return latents.clamp(-1, 1)  # as the product's decoding leaves it


def draw_as_we_do(generator: ANLLatentDiffusion, place: Placement, reference: Tensor, seeds: list[int]) -> Tensor:
    """The same by the product's own call."""
    keep_freed_memory()
    with torch.no_grad(), place.autocast():
        return generator(reference, [""] * len(seeds), seeds)


def millions(model: LatentDiffusion) -> str:
    """The UNet's parameters."""
    count = sum(parameter.numel() for parameter in model.unet.parameters()) / 1e6
    return f"{count:.1f}"
