"""CLIP with a linear probe: a linear classifier on the frozen features of a CLIP, what one would try first.

Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", arXiv:2103.00020,
section 3.2 (linear probes). It is not in the published benchmark. **Deviations:** the classifier is trained by the
benchmark's SGD on weak views, with `train.weight_decay`, where the paper fits it to whole images by L-BFGS; features
are scaled to a mean square of 1, so that the benchmark's learning rates suit them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from benchmarks.classifier import Classifier
from benchmarks.methods.base import Labeled, Method, StepOutput, Unlabeled, accuracy, supervised_cross_entropy
from benchmarks.methods.ranges import PathText, check


@dataclass(frozen=True)
class ClipProbeSettings:
    """Which CLIP."""

    # embedded, open_clip's name of a model (ViT-B-32-quickgelu), or a generator's checkpoint, whose CLIP it is
    clip: PathText = "embedded"
    clip_checkpoint: PathText | None = None  # weights of a named model: a file, folder or open_clip tag; null: OpenAI's

    def __post_init__(self) -> None:
        check(self, "method.")


class ClipProbe(Method):
    """Cross-entropy of a head on frozen features."""

    uses_unlabeled: ClassVar[bool] = False
    on_frozen_clip: ClassVar[bool] = True

    def __init__(self, settings: ClipProbeSettings):
        super().__init__()
        self.settings = settings

    def forward(self, model: Classifier, labeled: Labeled, unlabeled: Unlabeled | None, progress: float) -> StepOutput:
        logits = model(labeled.weak)
        loss = supervised_cross_entropy(logits, labeled.target, labeled.weight)
        return StepOutput({"supervised": loss}, {"labeled_accuracy": accuracy(logits, labeled.target)})
