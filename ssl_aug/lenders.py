"""The labeled images that drawings with condition=borrowed take paint, place and all else but the class from."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ssl_aug.data.base import Example, LabeledSet
from ssl_aug.settings import Settings
from ssl_aug.tune import TuningPlan, encodings_of

if TYPE_CHECKING:
    from generators.anl_ldm import ANLLatentDiffusion
    from ssl_aug.runtime import Placement

TOLD_ENOUGH = 0.5  # share of labeled images whose class CLIP tells, below which borrowing is doubtful


def lenders_of(labeled: LabeledSet) -> list[Example]:
    """The labeled images in an order that is the labeled set's own, however its list was made."""
    return sorted(labeled.examples, key=lambda example: (example.label, example.key))


def remember(
    generator: ANLLatentDiffusion, settings: Settings, plan: TuningPlan, labeled: LabeledSet, place: Placement
) -> None:
    """Tells the generator how the labeled images differ from their classes; says where CLIP cannot know that."""
    import torch

    from generators.borrowing import told_apart
    from ssl_aug.encodings import read_batch

    lenders, tokens = lenders_of(labeled), []
    with torch.no_grad(), place.autocast():
        for first in range(0, len(lenders), settings.batch_size):
            paths = [one.path for one in lenders[first : first + settings.batch_size]]
            batch = read_batch(paths, generator.image_size).to(place.device)
            tokens.append(generator.model.clip.embed_images(batch)[:, 0].float())
    unlabeled = None
    if settings.class_means == "train":
        known = set(labeled.paths)
        rows = [row for row, path in enumerate(plan.images) if path not in known]
        everything = encodings_of(settings, plan, generator.model, place).tokens
        unlabeled = torch.from_numpy(everything[rows, 0]).to(place.device)
    names = [labeled.class_names[one.label] for one in lenders]
    generator.remember(torch.cat(tokens), names, unlabeled)
    share = told_apart(torch.cat(tokens), names)
    if share < TOLD_ENOUGH:
        print(
            f"warning: CLIP takes {1 - share:.0%} of the labeled images for another class, and with condition=borrowed "
            "drawings show what it takes for the class: mask_rate=0.5 (the paper's masked sampling) keeps to the image",
            file=sys.stderr,
        )
