"""The labeled images that drawings with condition=borrowed take paint, place and all else but the class from."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from generators.anl_ldm import ANLLatentDiffusion
from ssl_aug.data.base import Example, LabeledSet
from ssl_aug.data.contents import contents_of
from ssl_aug.runtime import Placement
from ssl_aug.tuning.adapter import encodings_of
from ssl_aug.tuning.encodings import read_batch
from ssl_aug.tuning.plan import TuningPlan


def lenders_of(labeled: LabeledSet) -> list[Example]:
    """The labeled images in an order that is the labeled set's own, however its list was made."""
    return sorted(labeled.examples, key=lambda example: (example.label, example.key))


def copies(paths: Sequence[Path], known: Sequence[Path]) -> list[bool]:
    """Which files are one of the known ones, or have its content."""
    contents = set(contents_of(known))
    return [content in contents for content in contents_of(paths)]


def tell_of_labeled(
    generator: ANLLatentDiffusion,
    labeled: LabeledSet,
    plan: TuningPlan,
    class_means: str | None,
    flip: bool,
    batch_size: int,
    place: Placement,
) -> None:
    """Tells the generator how the labeled images differ from their classes.

    Args:
        class_means: train or labeled (`SamplingSettings.class_means`).
        flip: whether the tuning images were encoded mirrored as well.
        batch_size: labeled images embedded at once.
    """
    lenders, tokens = lenders_of(labeled), []
    with torch.no_grad(), place.autocast():
        for first in range(0, len(lenders), batch_size):
            paths = [one.path for one in lenders[first : first + batch_size]]
            batch = read_batch(paths, generator.image_size).to(place.device)
            tokens.append(generator.model.clip.embed_images(batch)[:, 0].float())
    unlabeled = None
    if class_means == "train":
        rows = [row for row, is_known in enumerate(copies(plan.images, labeled.paths)) if not is_known]
        if not rows:
            print("class_means=train: every tuning image is labeled, so there are no others to take", file=sys.stderr)
        everything = encodings_of(plan, generator.model, generator.image_size, flip, place).tokens
        unlabeled = torch.from_numpy(everything[rows, 0]).to(place.device)
    names = [labeled.class_names[one.label] for one in lenders]
    generator.remember(torch.cat(tokens), names, unlabeled)
