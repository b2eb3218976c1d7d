"""What a tuning says of itself on the way: loss at fixed noise, drawn images, early warning of copying."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from PIL import Image
from torch import Tensor

from generators.anl_ldm import ANLLatentDiffusion
from generators.ldm import LatentDiffusion
from generators.losses import training_loss
from generators.sampling import alphas_cumprod
from generators.settings import SamplingSettings
from ssl_aug.evaluation.measures import near_copy_rate
from ssl_aug.files import written_atomically
from ssl_aug.runtime import derived_seed
from ssl_aug.tuning.encodings import Encodings
from ssl_aug.tuning.settings import TuneSettings

REPORT_BATCH = 8  # images at once: a report must fit beside the training's memory
COPY_WARNING = 0.2  # share of near-copies among drawn images from which a warning is printed


@torch.no_grad()
def report(
    model: LatentDiffusion,
    encodings: Encodings,
    options: TuneSettings,
    sampling: SamplingSettings,
    accelerator: Accelerator,
    references: Tensor,
    class_names: Sequence[str],
    folder: Path,
    step: int,
) -> dict[str, float]:
    """Loss at fixed noise, share of near-copies among drawn images, and a grid of references above what is drawn.

    The training loss says little: most of its variance is the timesteps'. Drawn images that lie nearer to a training
    image than training images to each other say that the tuning copies.
    """
    model.eval()
    row = {"step": float(step), "fixed_noise_loss": fixed_noise_loss(model, encodings, accelerator)}
    generator = ANLLatentDiffusion(model, sampling, references.shape[-1])
    seeds = [derived_seed("report", options.seed, place) for place in range(len(references))]
    with accelerator.autocast():
        drawn = generator(references.to(accelerator.device), class_names, seeds).float().cpu()
    count = len(encodings) // 2 if options.flip else len(encodings)  # an image's mirrored self is no neighbor
    pooled = torch.from_numpy(encodings.tokens[:count, 0].copy())
    row["near_copy_rate"] = near_copy_rate(pooled, _pooled(model, drawn, accelerator))
    save_grid(torch.stack([references.cpu(), drawn]), folder / f"samples_{step:06d}.png")
    model.train()
    if row["near_copy_rate"] > COPY_WARNING:
        print(
            f"step {step}: {row['near_copy_rate']:.0%} of the drawn images are nearer to a training image than "
            "training images are to each other: fewer tune.steps, or a larger mask_rate, copy less",
            file=sys.stderr,
        )
    return row


def without_labels(sampling: SamplingSettings) -> SamplingSettings:
    """The same drawing for a tuning, which does without the labels that condition=borrowed takes."""
    if sampling.condition != "borrowed":
        return sampling
    return replace(sampling, condition="image", class_means=None)


def fixed_noise_loss(model: LatentDiffusion, encodings: Encodings, accelerator: Accelerator) -> float:
    """The training loss on the same images, timesteps (evenly spread) and noise at every call."""
    alpha_bar = alphas_cumprod(model.facts.schedule).to(accelerator.device)
    count = min(64, len(encodings))
    generator = torch.Generator().manual_seed(0)
    rows = torch.linspace(0, len(encodings) - 1, count).long()
    latents, tokens = encodings.rows(rows)
    t = torch.linspace(10, len(alpha_bar) - 10, count).long()
    eps = torch.randn(latents.shape, generator=generator)

    loss = training_loss(model.facts.schedule)
    parts = []
    for place in range(0, count, REPORT_BATCH):
        part = slice(place, place + REPORT_BATCH)
        with accelerator.autocast():
            z, c, e, s = (tensor[part].to(accelerator.device) for tensor in (latents, tokens, eps, t))
            parts.append(len(z) * float(loss(model.predict, z, c, e, s, alpha_bar)))
    return sum(parts) / count


def _pooled(model: LatentDiffusion, images: Tensor, accelerator: Accelerator) -> Tensor:
    return model.clip.embed_images(images.to(accelerator.device))[:, 0].cpu()


def save_grid(images: Tensor, path: Path) -> None:
    """(rows, columns, 3, s, s) images in [-1, 1] as one PNG."""
    rows, columns, channels, height, width = images.shape
    pixels = ((images + 1) * 127.5).round().clamp(0, 255).byte()
    sheet = pixels.permute(0, 3, 1, 4, 2).reshape(rows * height, columns * width, channels)
    with written_atomically(path) as part:
        Image.fromarray(sheet.numpy()).save(part, "PNG")


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Rows of figures as CSV."""
    with written_atomically(path) as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
