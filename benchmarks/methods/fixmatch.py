"""FixMatch: confident predictions on weak views are the targets of strong views.

Source: Sohn et al., "FixMatch", arXiv:2001.07685: supervised term Eq. 3, unlabeled term Eq. 4, confidence
test ">=" as there. The published benchmark of Jiang et al. (TLlib) computes a step otherwise;
`protocol=benchmark` (default) sets what it does, `protocol=paper` what the paper does. **Deviations:** none
in the loss. Of the paper's surroundings, CTAugment and Cutout are not here (the strong view is the
benchmark's RandAugment), and ratio of batch sizes, EMA and schedule are `train.*` settings, which a protocol
does not touch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.methods.base import Classifier, Labeled, Method, StepOutput, Unlabeled
from benchmarks.methods.erm import supervised_loss

PASSES = ("joint", "separate")


@dataclass
class FixMatchSettings:
    """Defaults are the paper's."""

    threshold: float = 0.95  # tau, least confidence of a pseudo-label, 0 to 1; paper: 0.95 (0.7 on ImageNet)
    unlabeled_weight: float = 1.0  # lambda_u, above 0; paper: 1
    strict: bool = False  # confidence > tau; false: >= tau, as the paper; benchmark: true
    strong_weight: float = 0.0  # weight of cross-entropy on labeled strong views, 0 or more; benchmark: 0.1
    passes: str = "joint"  # joint: one forward pass of all views, one BatchNorm batch; benchmark: separate

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"method.threshold={self.threshold}: a confidence, give 0 to 1")
        if self.unlabeled_weight <= 0:
            raise ValueError(f"method.unlabeled_weight={self.unlabeled_weight}: give above 0; without it, method=erm")
        if self.strong_weight < 0:
            raise ValueError(f"method.strong_weight={self.strong_weight}: give 0 or more")
        if self.passes not in PASSES:
            raise ValueError(f"method.passes={self.passes!r}: choose one of {', '.join(PASSES)}")


def confident(logits_weak: Tensor, threshold: float, strict: bool = False) -> tuple[Tensor, Tensor]:
    """Pseudo-labels argmax_c p_c, (u,), and whether max_c p_c >= tau (strict: >), (u,), with p = softmax(logits)."""
    confidence, pseudo_label = logits_weak.softmax(1).max(1)
    return pseudo_label, confidence > threshold if strict else confidence >= threshold


def pseudo_label_loss(logits_strong: Tensor, logits_weak: Tensor, threshold: float, strict: bool = False) -> Tensor:
    """1/U sum_u 1[max_c q_u >= tau] H(argmax_c q_u, p(y | A(u))), FixMatch Eq. 4.

    The mean is over all U images: one that is not confident counts as zero. No gradient reaches
    `logits_weak`.

    Args:
        logits_strong: (u, c) of the strong views A(u).
        logits_weak: (u, c) of the weak views, q_u = softmax(logits_weak).
        threshold: tau, 0 to 1.
        strict: the test is > tau, as in the benchmark.
    """
    pseudo_label, mask = confident(logits_weak.detach(), threshold, strict)
    losses = torch.nn.functional.cross_entropy(logits_strong, pseudo_label, reduction="none")  # (u,)
    return (mask * losses).mean()


class FixMatch(Method):
    """Supervised cross-entropy and pseudo-labels above one fixed threshold."""

    def __init__(self, settings: FixMatchSettings):
        super().__init__()
        self.settings = settings

    def forward(self, model: Classifier, labeled: Labeled, unlabeled: Unlabeled | None, progress: float) -> StepOutput:
        assert unlabeled is not None
        settings = self.settings
        passes = _separate_passes if settings.passes == "separate" else _joint_pass
        labeled_weak, labeled_strong, weak, strong = passes(model, labeled, unlabeled, settings.strong_weight > 0)
        supervised = supervised_loss(
            labeled_weak, labeled_strong, labeled.target, labeled.weight, settings.strong_weight
        )
        pseudo = pseudo_label_loss(strong, weak, settings.threshold, settings.strict)
        _, mask = confident(weak.detach(), settings.threshold, settings.strict)
        correct = (labeled_weak.detach().argmax(1) == labeled.target).float().mean()
        return StepOutput(
            {"supervised": supervised, "unlabeled": settings.unlabeled_weight * pseudo},
            {"labeled_accuracy": correct, "confident_share": mask.float().mean()},
        )


Logits = tuple[Tensor, Tensor | None, Tensor, Tensor]


def _separate_passes(model: Classifier, labeled: Labeled, unlabeled: Unlabeled, with_strong: bool) -> Logits:
    """Four passes in the benchmark's order l_w, l_s, u_w, u_s: each view has its own BatchNorm statistics."""
    labeled_weak = model(labeled.weak)
    labeled_strong = model(labeled.strong) if with_strong else None
    with torch.no_grad():
        # Still in train mode, as in the benchmark: dropout makes the targets noisy, running statistics move.
        weak = model(unlabeled.weak)
    return labeled_weak, labeled_strong, weak, model(unlabeled.strong)


def _joint_pass(model: Classifier, labeled: Labeled, unlabeled: Unlabeled, with_strong: bool) -> Logits:
    """All views in one batch with common BatchNorm statistics, as the paper's own code interleaves them."""
    views = [labeled.weak, *([labeled.strong] if with_strong else []), unlabeled.weak, unlabeled.strong]
    logits = model(torch.cat(views)).split([len(view) for view in views])
    return logits[0], logits[1] if with_strong else None, logits[-2].detach(), logits[-1]
