"""FreeMatch: thresholds that follow the model's own confidence, and fairness among the classes.

Source: Wang et al., "FreeMatch", arXiv:2205.07246: global threshold Eq. 5, class expectations Eq. 6, self-adaptive
threshold Eq. 7, unlabeled loss Eq. 8, fairness Eq. 9 to 12. It is not in the published benchmark;
`protocol=benchmark` gives it the benchmark's passes and labeled strong views. **Deviations:** none in the loss. The
paper's own inequality differs: > in the unlabeled loss (Eq. 8), >= in the fairness term (Eq. 9). Here one mask serves
both, so that the fairness term looks at the images that the loss learns from: `strict` says which.

The fairness term compares how often classes are predicted within one batch. Where there are many more classes than
images in it, most of them get none and count log 1e-12 whatever the model does: the term is then nearly constant, and
its gradient says little.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.methods.base import Classifier, Labeled, Method, StepOutput, Unlabeled
from benchmarks.methods.erm import supervised_term
from benchmarks.methods.fixmatch import confidence_report, masked_pseudo_label_loss, reaches
from benchmarks.methods.passes import Passes, step_logits
from benchmarks.methods.ranges import Below1, Weight, WeightOrERM, check

_TINY = 1e-12  # keeps logarithms of classes that nothing was given to finite


@dataclass(frozen=True)
class FreeMatchSettings:
    """Defaults are the paper's."""

    decay: Below1 = 0.999  # lambda of the moving averages, 0 to below 1; paper: 0.999
    unlabeled_weight: WeightOrERM = 1.0  # w_u, above 0; paper: 1
    fairness_weight: Weight = 0.01  # w_f, 0 or more; paper: 0.01 with few labels, else 0.05; USB: 0.001
    strict: bool = True  # confidence > threshold (paper, Eq. 8); false: >= (its Eq. 9)
    strong_weight: Weight = 0.0  # weight of cross-entropy on labeled strong views, 0 or more; benchmark: 0.1
    passes: Passes = "joint"  # joint: one BatchNorm batch of all views; grouped: each its own; benchmark: separate

    def __post_init__(self) -> None:
        check(self, "method.")


def self_adaptive_thresholds(confidence: Tensor, expectation: Tensor) -> Tensor:
    """tau_t(c) = p~_t(c) / max_c p~_t * tau_t, (c,) (Eq. 7).

    Args:
        confidence: tau_t, () moving mean of the largest probability. expectation: p~_t, (c,) of all probabilities.
    """
    return expectation / expectation.max() * confidence


def fairness_loss(logits_strong: Tensor, mask: Tensor, expectation: Tensor, histogram: Tensor) -> Tensor:
    """L_f = sum_c SumNorm(p~ / h~)_c log SumNorm(p_bar / h_bar)_c, to be minimized (Eq. 11 and 12).

    p_bar is the mean of softmax(logits_strong) over the images in the mask, h_bar the histogram of their argmax; 0
    where the mask is empty.

    Args:
        logits_strong: (u, c). mask: (u,) images above their threshold. expectation, histogram: p~ and h~, (c,).
    """
    kept = mask.nonzero()[:, 0]  # the one thing that waits for a GPU: a sum over all rows would round otherwise
    if not len(kept):
        return logits_strong.sum() * 0.0
    probabilities = logits_strong[kept].softmax(1)
    share = _shares(probabilities.argmax(1), probabilities.shape[1])
    return (_balanced(expectation, histogram) * (_balanced(probabilities.mean(0), share) + _TINY).log()).sum()


def _shares(label: Tensor, num_classes: int) -> Tensor:
    """(c,) share of the images of each class; `torch.bincount` waits for a GPU."""
    one = torch.ones(len(label), device=label.device)
    return torch.zeros(num_classes, device=label.device).index_add_(0, label, one) / len(label)


def _balanced(probabilities: Tensor, histogram: Tensor) -> Tensor:
    """SumNorm(p / h); a class that was never predicted gets 0."""
    ratio = torch.where(histogram > 0, probabilities / histogram.clamp(min=_TINY), 0.0)
    return ratio / ratio.sum().clamp(min=_TINY)


class FreeMatch(Method):
    """Pseudo-labels under self-adaptive thresholds; owns the moving averages behind them."""

    confidence: Tensor
    expectation: Tensor
    histogram: Tensor

    def __init__(self, settings: FreeMatchSettings):
        super().__init__()
        self.settings = settings

    def prepare(self, model: Classifier, num_labeled: int, num_unlabeled: int) -> None:
        """All start at 1/C (Eq. 5, 6 and 10 at t = 0)."""
        self.register_buffer("confidence", torch.tensor(1 / model.num_classes))
        self.register_buffer("expectation", torch.full((model.num_classes,), 1 / model.num_classes))
        self.register_buffer("histogram", torch.full((model.num_classes,), 1 / model.num_classes))

    def caveats(self, num_classes: int, unlabeled_batch_size: int) -> list[str]:
        """Says where the fairness term is nearly constant."""
        if num_classes <= unlabeled_batch_size or not self.settings.fairness_weight:
            return []
        return [
            f"method=freematch with {num_classes} classes and train.unlabeled_batch_size={unlabeled_batch_size}: most "
            "classes have no image in a batch, so that the fairness term hardly changes; give larger batches, or "
            "method.fairness_weight=0"
        ]

    def forward(self, model: Classifier, labeled: Labeled, unlabeled: Unlabeled | None, progress: float) -> StepOutput:
        settings = self.settings
        logits = step_logits(model, labeled, unlabeled, settings.passes, settings.strong_weight)
        supervised = supervised_term(logits, labeled, settings.strong_weight)
        probabilities = logits.weak.softmax(1)
        confidence, pseudo_label = probabilities.max(1)
        self._follow(probabilities, confidence, pseudo_label)
        own = self_adaptive_thresholds(self.confidence, self.expectation)[pseudo_label]
        mask = reaches(confidence, own, settings.strict)
        losses = {
            "supervised": supervised,
            "unlabeled": settings.unlabeled_weight * masked_pseudo_label_loss(logits.strong, pseudo_label, mask),
        }
        if settings.fairness_weight > 0:
            fairness = fairness_loss(logits.strong, mask, self.expectation, self.histogram)
            losses["fairness"] = settings.fairness_weight * fairness
        report = confidence_report(logits.labeled_weak, labeled.target, mask)
        return StepOutput(losses, {**report, "threshold": own.mean()})

    @torch.no_grad()
    def _follow(self, probabilities: Tensor, confidence: Tensor, pseudo_label: Tensor) -> None:
        """The moving averages of Eq. 5, 6 and 10."""
        share = _shares(pseudo_label, len(self.histogram))
        for average, seen in (
            (self.confidence, confidence.mean()),
            (self.expectation, probabilities.mean(0)),
            (self.histogram, share),
        ):
            average.lerp_(seen, 1 - self.settings.decay)
