"""Scores of synthetic images by the generator's own CLIP, and which images to keep by them.

Scores use the labeled images and a frozen CLIP only: no label beyond the split's, no test image.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ssl_aug.synthetic import SCORES, Request, SyntheticSet

if TYPE_CHECKING:
    from torch import Tensor

    from generators.conditioning import ClipEncoder
    from ssl_aug.data.base import LabeledSet
    from ssl_aug.runtime import Placement

BATCH_SIZE = 64
DIGITS = 3  # written; further ones depend on batch and device


class Scorer:
    """Compares drawings with the labeled images in CLIP's space."""

    def __init__(self, clip: ClipEncoder, labeled: LabeledSet, image_size: int, place: Placement):
        import torch

        from ssl_aug.encodings import read_batch

        self.clip, self.place = clip, place
        paths = labeled.paths
        parts = [
            self._directions(read_batch(paths[first : first + BATCH_SIZE], image_size))
            for first in range(0, len(paths), BATCH_SIZE)
        ]
        names = ((example.label, example.key) for example in labeled.examples)
        self.sources = dict(zip(names, torch.cat(parts), strict=True))
        labels = torch.tensor(labeled.labels)
        means = [torch.cat(parts)[labels == label].mean(dim=0) for label in range(len(labeled.class_names))]
        self.prototypes = torch.nn.functional.normalize(torch.stack(means), dim=-1)

    def scores(self, images: Tensor, chunk: Sequence[Request]) -> list[dict[str, str]]:
        """The manifest's score columns of drawn images (b, 3, s, s) in [-1, 1], one dict per request.

        source_score is the cosine of drawing and labeled image; class_score how probable the class is by the nearest
        class prototype (the mean direction of its labeled images), as CLIP's zero-shot classifier has it with texts.
        """
        import torch

        directions = self._directions(images)
        sources = torch.stack([self.sources[request.source.label, request.source.key] for request in chunk])
        similarity = (directions * sources).sum(dim=-1)
        probability = prototype_probabilities(directions, self.prototypes, float(self.clip.model.logit_scale.exp()))
        own = probability[torch.arange(len(chunk)), [request.source.label for request in chunk]]
        return [
            {"source_score": f"{cosine:.{DIGITS}f}", "class_score": f"{share:.{DIGITS}f}"}
            for cosine, share in zip(similarity.tolist(), own.tolist(), strict=True)
        ]

    def _directions(self, images: Tensor) -> Tensor:
        import torch

        with torch.no_grad():
            embedding = self.clip.embed_images(images.to(self.place.device))[:, 0].cpu()
        return torch.nn.functional.normalize(embedding, dim=-1)


def prototype_probabilities(directions: Tensor, prototypes: Tensor, scale: float) -> Tensor:
    """softmax over classes of scale * cosine (CLIP, arXiv:2103.00020, section 3.1.2, images in place of texts).

    Args:
        directions: (b, d) of unit length.
        prototypes: (c, d) of unit length.
        scale: inverse temperature.
    """
    return (scale * directions @ prototypes.T).softmax(dim=-1)


def score_of(row: dict[str, str], name: str) -> float:
    """A score of a manifest's row.

    Raises:
        ValueError: the row has none, because the set was imported or drawn by a generator without CLIP.
    """
    if name not in SCORES:
        raise ValueError(f"{name} is no score: choose one of {', '.join(SCORES)}")
    if not row.get(name):
        raise ValueError(
            f"{row['path']} has no {name}: sets of a generator without CLIP, imported ones and ones drawn before "
            "there were scores have none; leave mix.weight_by and mix.keep_share out, or draw another set with "
            "python -m ssl_aug.generate --out DIR"
        )
    return float(row[name])


def weights_of(synthetic: SyntheticSet, weight: float, score: str | None) -> list[float]:
    """The weight of each image in the supervised loss: `weight`, times a score (0 at least) where one is named."""
    if score is None:
        return [weight] * len(synthetic)
    return [weight * max(0.0, score_of(row, score)) for row in synthetic.rows]


def best_of_each_class(synthetic: SyntheticSet, share: float) -> SyntheticSet:
    """The share (above 0 to 1) of each class's images with the highest class_score, in the set's order.

    At least one image of a class stays; equal scores stay in the order of the set.
    """
    by_class: dict[str, list[int]] = defaultdict(list)
    for position, row in enumerate(synthetic.rows):
        by_class[row["label"]].append(position)
    kept: set[int] = set()
    for positions in by_class.values():
        ranked = sorted(positions, key=lambda position: -score_of(synthetic.rows[position], "class_score"))
        kept.update(ranked[: max(1, math.ceil(share * len(ranked) - 1e-9))])
    return replace(synthetic, rows=tuple(row for position, row in enumerate(synthetic.rows) if position in kept))
