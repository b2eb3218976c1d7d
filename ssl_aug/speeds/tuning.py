"""A step of tuning: encodings made once and few weights trained, beside a loop that encodes each batch anew."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from torch import Tensor

from generators import anl
from generators.ldm import LatentDiffusion
from generators.losses import training_loss
from generators.sampling import alphas_cumprod
from ssl_aug.runtime import Placement, accelerator_of, keep_frozen_weights_low
from ssl_aug.speeds.drawing import millions
from ssl_aug.speeds.machine import operations_of
from ssl_aug.speeds.networks import whole
from ssl_aug.speeds.parts import Call, Part
from ssl_aug.tuning.encodings import Encodings
from ssl_aug.tuning.loop import make_loss, prepare
from ssl_aug.tuning.settings import TuneSettings

LEARNING_RATE = 1e-6
BATCHES = {"embedded": 8, "medium": 4, "full": 1}  # on a CPU; on a GPU the paper's 8


def tuning_parts(name: str, places: dict[str, Placement], on_gpu: bool) -> list[Part]:
    """The step from encodings, and the same with a fresh encoding of its images.

    Args:
        name: one of NETWORKS.
        places: where and how precisely our ways compute, by precision.
    """
    model, batch = whole(name), 8 if on_gpu else BATCHES[name]
    device = next(iter(places.values())).device
    side = model.facts.image_size
    images = torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1
    plain_model = deepcopy(model).to(device).train()
    encodings = encoded(plain_model, images.to(device))
    ours: dict[str, tuple[Call, str]] = {
        precision: (our_step(deepcopy(model), encodings, place, batch), precision)
        for precision, place in places.items()
    }
    words = f"{batch} image{'s' if batch > 1 else ''} of {side} pixels"
    label = f"{name} ({millions(model)} M)"
    from_encodings, anew = plain_steps(plain_model, encodings, images.to(device))
    operations = operations_of(from_encodings)
    return [
        Part(f"tuning, {label}", words, from_encodings, ours, operations, batch),
        Part(f"tuning, {label}, with its encoders", words, anew, ours, operations, batch),
    ]


@torch.no_grad()
def encoded(model: LatentDiffusion, images: Tensor) -> Encodings:
    """Latents and tokens of the images, and once more in the mirrored images' place."""
    latents, tokens = model.encode(images).cpu().numpy(), model.clip.embed_images(images).cpu().numpy()
    return Encodings(np.concatenate([latents, latents]), np.concatenate([tokens, tokens]))


def plain_steps(model: LatentDiffusion, encodings: Encodings, images: Tensor) -> tuple[Call, Call]:
    """ANL's step in float32 with all of the modules' weights, and the same behind both encoders."""
    parameters = anl.set_trainable(model.unet, anl.anl_names(model.unet))
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE)
    alpha_bar = alphas_cumprod(model.facts.schedule).to(images.device)
    loss = training_loss(model.facts.schedule)

    def step(latents: Tensor, tokens: Tensor) -> None:
        timesteps = torch.randint(0, len(alpha_bar), (len(latents),), device=images.device)
        value = loss(model.predict, latents, tokens, torch.randn_like(latents), timesteps, alpha_bar)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        value.item()

    def from_encodings() -> None:
        latents, tokens = encodings.rows(torch.arange(len(images)))
        step(latents.to(images.device), tokens.to(images.device))

    def anew() -> None:
        step(model.encode(images), model.clip.embed_images(images).detach())

    return from_encodings, anew


def our_step(model: LatentDiffusion, encodings: Encodings, place: Placement, batch: int) -> Call:
    """A step as `ssl_aug.tuning.loop` takes it."""
    options = TuneSettings(batch_size=batch)
    model.to(place.device, memory_format=torch.channels_last)
    accelerator = accelerator_of(place)
    parameters = anl.set_trainable(model.unet, prepare(model, options, fold=True, num_tokens=1))
    keep_frozen_weights_low(model.unet, place.dtype)
    model.train()
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE)
    unet, prepared = accelerator.prepare(model.unet, optimizer)
    loss_of_part = make_loss(model, unet, encodings, options, accelerator)
    return partial(_take, loss_of_part, accelerator, prepared)


def _take(
    loss_of_part: Callable[[int, int], Tensor], accelerator: Accelerator, optimizer: AcceleratedOptimizer
) -> None:
    loss = loss_of_part(0, 0)
    accelerator.backward(loss)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    loss.item()
