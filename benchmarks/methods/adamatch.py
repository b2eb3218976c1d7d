"""AdaMatch: FixMatch whose threshold follows the confidence on labeled images, and whose pseudo-labels come as often.

Source: Berthelot et al., "AdaMatch", arXiv:2106.04732, section 3: random logit interpolation, distribution alignment,
relative confidence threshold, loss with warm-up. It is not in the published benchmark; `protocol=benchmark` gives it
the benchmark's weight of labeled strong views. Where the paper leaves open how its expectations are taken, the authors'
code (google-research/adamatch) is followed: a moving average of labeled predictions, the last 128 batches of unlabeled
ones. That code takes the likeliest class as target (`targets=hard`) where the paper's loss takes all probabilities, and
half the supervised term. **Deviations:** none in the loss; EMA and schedule are `train.*` settings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from torch import Tensor

from benchmarks.classifier import Classifier
from benchmarks.methods.alignment import RecentMean, aligned
from benchmarks.methods.base import Labeled, Method, StepOutput, Unlabeled
from benchmarks.methods.erm import supervised_term
from benchmarks.methods.fixmatch import confidence_report, masked_pseudo_label_loss, reaches
from benchmarks.methods.passes import StepLogits, batch_norm_unmoved, step_logits
from benchmarks.methods.ranges import AtLeast1, Below1, Confidence, Fraction, OneOf, Weight, WeightOrERM, check

TARGETS = ("soft", "hard")


@dataclass(frozen=True)
class AdaMatchSettings:
    """Defaults are the paper's."""

    threshold: Confidence = 0.9  # tau, least confidence over the labeled images' mean one, 0 to 1; paper: 0.9
    relative: bool = True  # that way (paper); false: tau is the least confidence itself
    interpolation: bool = True  # labeled logits between those of a joint pass and of a pass of their own; paper: true
    alignment: bool = True  # pseudo-labels come as often as labeled predictions; paper: true
    decay: Below1 = 0.999  # of the average of labeled predictions, 0 to below 1; authors: 0.999
    window: AtLeast1 = 128  # batches in the average of unlabeled predictions, 1 or more; authors: 128
    # soft: all probabilities (paper); hard: the likeliest class (authors' code)
    targets: Annotated[str, OneOf(TARGETS)] = "soft"
    unlabeled_weight: WeightOrERM = 1.0  # mu at the end of the ramp, above 0; paper: 1
    ramp_end: Fraction = 0.5  # share of the training from which it is full; paper: 0.5
    strict: bool = False  # confidence > threshold; false: >=, as the paper
    strong_weight: Weight = 1.0  # weight of cross-entropy on labeled strong views, 0 or more; paper: 1; benchmark: 0.1

    def __post_init__(self) -> None:
        check(self, "method.")


def interpolated(logits: Tensor, logits_alone: Tensor) -> Tensor:
    """Z = lambda Z' + (1 - lambda) Z'', lambda uniform in 0 to 1, another one for each logit."""
    return torch.lerp(logits, logits_alone, torch.rand_like(logits))


def relative_threshold(labeled_logits: Tensor, threshold: float) -> Tensor:
    """c_tau = tau 1/n sum_i max_c softmax(Z_i)_c, () without gradient, of labeled weak views."""
    return threshold * labeled_logits.detach().softmax(1).max(1).values.mean()


def warm_up(progress: float, end: float) -> float:
    """mu(t) = 1/2 - cos(min(pi, pi t / end)) / 2: from 0 to 1 at `end`; 0: no ramp."""
    return 0.5 - math.cos(math.pi * progress / end) / 2 if progress < end else 1.0


class AdaMatch(Method):
    """Pseudo-labels above a relative threshold; owns the averages of labeled and unlabeled predictions."""

    labeled_average: Tensor

    def __init__(self, settings: AdaMatchSettings):
        super().__init__()
        self.settings = settings

    def prepare(self, model: Classifier, num_labeled: int, num_unlabeled: int) -> None:
        """Both averages start at 1/C."""
        self.register_buffer("labeled_average", torch.full((model.num_classes,), 1 / model.num_classes))
        self.recent = RecentMean(model.num_classes, self.settings.window, 1 / model.num_classes)

    def forward(self, model: Classifier, labeled: Labeled, unlabeled: Unlabeled | None, progress: float) -> StepOutput:
        settings = self.settings
        logits = self._logits(model, labeled, unlabeled)
        target = logits.weak.softmax(1)
        if settings.alignment:
            seen = logits.labeled_weak.detach().softmax(1).mean(0)
            self.labeled_average.lerp_(seen, 1 - settings.decay)
            self.recent.add(target.mean(0))
            target = aligned(target, self.labeled_average, self.recent.mean())
        confidence, pseudo_label = target.max(1)
        least = relative_threshold(logits.labeled_weak, settings.threshold)
        if not settings.relative:
            least = torch.full_like(least, settings.threshold)
        mask = reaches(confidence, least, settings.strict)
        pseudo = masked_pseudo_label_loss(logits.strong, target if settings.targets == "soft" else pseudo_label, mask)
        weight = settings.unlabeled_weight * warm_up(progress, settings.ramp_end)
        return StepOutput(
            {"supervised": supervised_term(logits, labeled, settings.strong_weight), "unlabeled": weight * pseudo},
            {**confidence_report(logits.labeled_weak, labeled.target, mask), "threshold": least},
        )

    def _logits(self, model: Classifier, labeled: Labeled, unlabeled: Unlabeled | None) -> StepLogits:
        """Of one joint pass; the labeled ones interpolated with those of a pass that leaves statistics alone."""
        settings, alone = self.settings, None
        if settings.interpolation:
            views = [labeled.weak, labeled.strong] if settings.strong_weight > 0 else [labeled.weak]
            with batch_norm_unmoved(model):
                alone = model(torch.cat(views)).split(len(labeled.weak))
        joint = step_logits(model, labeled, unlabeled, "joint", settings.strong_weight)
        if alone is None:
            return joint
        weak = interpolated(joint.labeled_weak, alone[0])
        strong = None if joint.labeled_strong is None else interpolated(joint.labeled_strong, alone[1])
        return replace(joint, labeled_weak=weak, labeled_strong=strong)
