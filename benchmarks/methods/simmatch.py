"""SimMatch: an unlabeled image is to be as similar to each labeled one in its strong as in its weak view.

Source: Zheng et al., "SimMatch", arXiv:2203.06915: semantic and instance similarity, unfolding and aggregation of
section 3, with the bank of moving averages that the paper has for small data ("temporal ensemble") in place of a
teacher. It is not in the published benchmark; `protocol=benchmark` gives it the benchmark's passes and labeled strong
views. What the paper leaves open of distribution alignment is the authors' (mingkai-zheng/SimMatch): the mean of 256
batches. **Deviations:** the bank takes in a step's labeled images before it is asked, so that it is never empty; images
that it has not seen yet do not count, where the authors' code starts with random vectors and skips an epoch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.classifier import Classifier, in_full_precision
from benchmarks.methods.alignment import RecentMean, aligned
from benchmarks.methods.base import Labeled, Method, StepOutput, Unlabeled
from benchmarks.methods.erm import supervised_loss
from benchmarks.methods.fixmatch import confidence_report, masked_pseudo_label_loss, reaches
from benchmarks.methods.flexmatch import last_of_each
from benchmarks.methods.passes import Passes, forward_views
from benchmarks.methods.ranges import Above0, AtLeast1, Below1, Confidence, Fraction, Weight, WeightOrERM, check

UNSEEN = -1  # label of an image that the bank has not taken in yet


@dataclass(frozen=True)
class SimMatchSettings:
    """Defaults are the paper's (CIFAR)."""

    threshold: Confidence = 0.95  # tau, least confidence of a pseudo-label, 0 to 1; paper: 0.95 (0.7 on ImageNet)
    smoothing: Fraction = 0.9  # alpha, share of the semantic similarity in the target, 0 to 1; paper: 0.9
    temperature: Above0 = 0.1  # t of the instance similarity, above 0; paper: 0.1
    unlabeled_weight: WeightOrERM = 1.0  # lambda_u, above 0; paper: 1 (10 on ImageNet)
    instance_weight: Weight = 1.0  # lambda_in, 0 or more; paper: 1 (5 on ImageNet)
    bank_momentum: Below1 = 0.7  # m of an image's vector in the bank, 0 to below 1; paper: 0.7
    width: AtLeast1 = 128  # of the compared vectors; authors: 128
    window: AtLeast1 = 256  # batches in the average of predictions, 1 or more; authors: 256
    strict: bool = True  # confidence > tau (paper); false: >= (authors' code)
    strong_weight: Weight = 0.0  # weight of cross-entropy on labeled strong views, 0 or more; benchmark: 0.1
    passes: Passes = "joint"  # joint: one BatchNorm batch of all views; grouped: each its own; benchmark: separate

    def __post_init__(self) -> None:
        check(self, "method.")


def unfolded(instance: Tensor, semantic: Tensor, label: Tensor) -> Tensor:
    """Normalize(q_i p_class(i)), (u, k): the similarity to labeled images, corrected by that to their classes.

    Args:
        instance: q, (u, k) similarities to labeled images. semantic: p, (u, c). label: class(i), (k,).
    """
    scaled = instance * semantic[:, label]
    return scaled / scaled.sum(1, keepdim=True).clamp(min=1e-12)


def aggregated(instance: Tensor, label: Tensor, num_classes: int) -> Tensor:
    """sum over the images of a class of q_i, (u, c)."""
    return torch.zeros(len(instance), num_classes, dtype=instance.dtype, device=instance.device).index_add(
        1, label, instance
    )


def instance_loss(strong: Tensor, weak: Tensor, semantic: Tensor, bank: Tensor, label: Tensor, t: float) -> Tensor:
    """1/U sum_u H(unfolded q^w, q^s), q = softmax(z bank / t); gradient reaches `strong` alone.

    Args:
        strong, weak: z, (u, d) of unit length. semantic: p^w, (u, c). bank: (k, d) of unit length. label: (k,).
    """
    target = unfolded((weak @ bank.T / t).softmax(1), semantic, label).detach()
    return F.cross_entropy(strong @ bank.T / t, target)


class SimMatch(Method):
    """Pseudo-labels that labeled neighbors have a say in; owns the projector and a vector of each labeled image."""

    bank: Tensor
    labels: Tensor

    def __init__(self, settings: SimMatchSettings):
        super().__init__()
        self.settings = settings

    def prepare(self, model: Classifier, num_labeled: int, num_unlabeled: int) -> None:
        """A projector of two layers, and an empty bank."""
        settings, width = self.settings, model.num_features
        self.projector = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, settings.width))
        self.register_buffer("bank", torch.zeros(num_labeled, settings.width))
        self.register_buffer("labels", torch.full((num_labeled,), UNSEEN))
        self.recent = RecentMean(model.num_classes, settings.window, 0.0)

    def forward(self, model: Classifier, labeled: Labeled, unlabeled: Unlabeled | None, progress: float) -> StepOutput:
        assert unlabeled is not None
        settings = self.settings
        views = [labeled.weak, labeled.strong if settings.strong_weight > 0 else None, unlabeled.weak, unlabeled.strong]
        features = forward_views(model, views, settings.passes, without_gradient=[2], function=model.features)
        labeled_weak, labeled_strong, weak, strong = (None if one is None else model.logits(one) for one in features)
        assert labeled_weak is not None and weak is not None and strong is not None
        supervised = supervised_loss(
            labeled_weak, labeled_strong, labeled.target, labeled.weight, settings.strong_weight
        )
        with torch.no_grad():
            self.take_in(labeled, self._embedded(features[0]))
        semantic = self._semantic(weak)
        of_weak, of_strong = self._embedded(features[2]).detach(), self._embedded(features[3])
        seen = self.labels != UNSEEN
        bank, label = self.bank[seen], self.labels[seen]
        near = aggregated((of_weak @ bank.T / settings.temperature).softmax(1), label, model.num_classes)
        target = settings.smoothing * semantic + (1 - settings.smoothing) * near
        mask = reaches(target.max(1).values, settings.threshold, settings.strict)
        losses = {
            "supervised": supervised,
            "unlabeled": settings.unlabeled_weight * masked_pseudo_label_loss(strong, target, mask),
        }
        if settings.instance_weight > 0:
            instance = instance_loss(of_strong, of_weak, semantic, bank, label, settings.temperature)
            losses["instance"] = settings.instance_weight * instance
        return StepOutput(losses, confidence_report(labeled_weak, labeled.target, mask))

    def _embedded(self, features: Tensor | None) -> Tensor:
        assert features is not None
        return F.normalize(in_full_precision(self.projector, features), dim=1)

    def _semantic(self, logits_weak: Tensor) -> Tensor:
        """p^w, (u, c), as if all classes were predicted equally often."""
        probabilities = logits_weak.softmax(1)
        self.recent.add(probabilities.mean(0))
        average = self.recent.mean()
        return aligned(probabilities, torch.full_like(average, 1 / len(average)), average)

    def take_in(self, labeled: Labeled, embedded: Tensor) -> None:
        """z_i <- Normalize(m z_i + (1 - m) z); the first one as it is, and of an image that comes twice the later."""
        final = last_of_each(labeled.index)
        index, m = labeled.index[final], self.settings.bank_momentum
        self.bank[index] = F.normalize(m * self.bank[index] + (1 - m) * embedded[final], dim=1)
        self.labels[index] = labeled.target[final]
