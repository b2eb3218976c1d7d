"""Scores of drawings by the generator's own CLIP.

They use the labeled images and a frozen CLIP only: no label beyond the split's, no test image.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from generators.conditioning import ClipEncoder
from ssl_aug.data.base import LabeledSet
from ssl_aug.runtime import Placement
from ssl_aug.synthetic import Request
from ssl_aug.tuning.encodings import read_batch

BATCH_SIZE = 64
DIGITS = 3  # written; further ones depend on batch and device


class Scorer:
    """Compares drawings with the labeled images in CLIP's space."""

    def __init__(self, clip: ClipEncoder, labeled: LabeledSet, image_size: int, place: Placement):
        self.clip, self.place = clip, place
        paths = labeled.paths
        directions = torch.cat([
            self._directions(read_batch(paths[first : first + BATCH_SIZE], image_size))
            for first in range(0, len(paths), BATCH_SIZE)
        ])  # fmt: skip
        names = ((example.label, example.key) for example in labeled.examples)
        self.sources = dict(zip(names, directions, strict=True))
        self.prototypes = prototypes(directions, torch.tensor(labeled.labels), len(labeled.class_names))

    def scores(self, images: Tensor, chunk: Sequence[Request]) -> list[dict[str, str]]:
        """The manifest's score columns of drawn images (b, 3, s, s) in [-1, 1], one dict per request.

        source_score is the cosine of drawing and labeled image; class_score how probable the class is by the nearest
        class prototype (the mean direction of its labeled images), as CLIP's zero-shot classifier has it with texts.
        """
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
        with torch.no_grad():
            embedding = self.clip.embed_images(images.to(self.place.device))[:, 0].cpu()
        return torch.nn.functional.normalize(embedding, dim=-1)


def prototypes(directions: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """(c, d) the mean direction of each class, of unit length.

    Args:
        directions: (n, d) of unit length.
        labels: (n,)
    """
    of_classes = directions[labels.argsort(stable=True)].split(torch.bincount(labels, minlength=num_classes).tolist())
    return torch.nn.functional.normalize(torch.stack([one.mean(dim=0) for one in of_classes]), dim=-1)


def prototype_probabilities(directions: Tensor, prototypes: Tensor, scale: float) -> Tensor:
    """softmax over classes of scale * cosine (CLIP, arXiv:2103.00020, section 3.1.2, images in place of texts).

    Args:
        directions: (b, d) of unit length.
        prototypes: (c, d) of unit length.
        scale: inverse temperature.
    """
    return (scale * directions @ prototypes.T).softmax(dim=-1)
