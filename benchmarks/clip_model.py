"""The classifier of methods that train a head on a frozen CLIP. Its libraries take seconds to load."""

from __future__ import annotations

from torch import nn

from benchmarks.classifier import Classifier
from benchmarks.model import Inputs
from ssl_aug.frozen_clip import frozen_clip


def build_on_frozen_clip(clip: str, checkpoint: str | None, num_classes: int) -> tuple[Classifier, Inputs]:
    """A CLIP that does not learn, no bottleneck, and a new head drawn from torch's generator.

    Raises:
        ValueError, FileNotFoundError: as `frozen_clip`.
    """
    backbone = frozen_clip(clip, checkpoint)
    half = (0.5, 0.5, 0.5)  # images in [-1, 1]: CLIP normalizes them itself
    model = Classifier(backbone, nn.Identity(), nn.Linear(backbone.width, num_classes))
    return model, Inputs(backbone.image_size, half, half)
