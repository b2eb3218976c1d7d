"""CLIP with class means: an image is of the class whose labeled images are nearest in the frozen features of a CLIP.

Source: the nearest class mean of Mensink et al., "Metric Learning for Large Scale Image Classification", ECCV 2012, by
angles, as features of CLIP are compared. It is not in the published benchmark. **Deviations:** a class's mean is over
all weak views of its images that have come, weighted as in a loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.classifier import Classifier
from benchmarks.methods.base import Labeled, Method, StepOutput, Unlabeled, accuracy, supervised_cross_entropy
from benchmarks.methods.ranges import PathText, check


@dataclass(frozen=True)
class ClipMeansSettings:
    """Which CLIP."""

    # embedded, open_clip's name of a model (ViT-B-32-quickgelu), or a generator's checkpoint, whose CLIP it is
    clip: PathText = "embedded"
    clip_checkpoint: PathText | None = None  # weights of a named model: a file, folder or open_clip tag; null: OpenAI's

    def __post_init__(self) -> None:
        check(self, "method.")


def class_sums(features: Tensor, target: Tensor, weight: Tensor, num_classes: int) -> Tensor:
    """sum_b weight_b f_b / |f_b| over the images of each class, (c, d).

    Args:
        features: f, (b, d). target: (b,) classes. weight: (b,) of the images.
    """
    of_class = F.one_hot(target, num_classes).float() * weight[:, None]
    return of_class.T @ F.normalize(features.float(), dim=1)


class ClipMeans(Method):
    """Means in place of a head's weights; owns their sums. Nothing is learned by gradient."""

    uses_unlabeled: ClassVar[bool] = False
    on_frozen_clip: ClassVar[bool] = True
    has_gradient: ClassVar[bool] = False
    sums: Tensor

    def __init__(self, settings: ClipMeansSettings):
        super().__init__()
        self.settings = settings

    def prepare(self, model: Classifier, num_labeled: int, num_unlabeled: int) -> None:
        """No image has come yet; the model does not learn."""
        model.requires_grad_(False)
        self.register_buffer("sums", torch.zeros(model.num_classes, model.num_features))

    @torch.no_grad()
    def forward(self, model: Classifier, labeled: Labeled, unlabeled: Unlabeled | None, progress: float) -> StepOutput:
        features = model.features(labeled.weak)
        self.sums += class_sums(features, labeled.target, labeled.weight, model.num_classes)
        model.head.weight.copy_(F.normalize(self.sums, dim=1))
        model.head.bias.zero_()
        logits = model.logits(features)
        loss = supervised_cross_entropy(logits, labeled.target, labeled.weight)
        return StepOutput({"supervised": loss}, {"labeled_accuracy": accuracy(logits, labeled.target)})
