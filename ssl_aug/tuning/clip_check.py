"""Whether CLIP tells the classes apart, said before anything is tuned: drawings follow what it sees."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor

from generators.borrowing import differences
from generators.conditioning import ClipEncoder
from ssl_aug.data.base import LabeledSet
from ssl_aug.runtime import Placement
from ssl_aug.tuning.encodings import read_batch

BATCH_SIZE = 32


def embed_labeled(clip: ClipEncoder, labeled: LabeledSet, image_size: int, place: Placement) -> Tensor:
    """(n, d) CLIP embeddings of the labeled images, in their order."""
    paths, parts = labeled.paths, []
    with torch.no_grad(), place.autocast():
        for first in range(0, len(paths), BATCH_SIZE):
            batch = read_batch(paths[first : first + BATCH_SIZE], image_size).to(place.device)
            parts.append(clip.embed_images(batch)[:, 0].float())
    return torch.cat(parts)


def what_clip_tells(clip: ClipEncoder, labeled: LabeledSet, image_size: int, place: Placement) -> str | None:
    """How many labeled images CLIP takes for their class, in words; None where a class has a single one.

    An image counts where the mean of its class's others is the nearest mean.
    """
    if min(Counter(labeled.labels).values()) < 2:
        return None
    names = [labeled.class_names[label] for label in labeled.labels]
    return in_words(differences(embed_labeled(clip, labeled, image_size, place), names).told_apart, len(set(names)))


def in_words(told_apart: float, num_classes: int) -> str:
    """The share of labeled images whose class CLIP tells, with a warning where it is nearer to chance than to all."""
    told = f"CLIP tells the class of {told_apart:.0%} of the labeled images (by chance: {1 / num_classes:.0%})"
    if told_apart >= (1 + 1 / num_classes) / 2:
        return told
    return (
        f"warning: {told}: drawings of condition=borrowed show what it takes for the class, those of condition=image "
        "may show another one; condition=class does without it"
    )
