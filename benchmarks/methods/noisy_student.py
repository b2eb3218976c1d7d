"""Noisy Student: a trained network labels the unlabeled images for a new one that is trained under noise, and again.

Source: Xie et al., "Self-training with Noisy Student improves ImageNet classification", arXiv:1911.04252: Algorithm 1
and section 2; filter of section 3.1. The published benchmark (TLlib noisy_student.py) keeps all images and divides
logits by a temperature; it has no figure on StanfordCars. **Deviations:** teacher and students share one training's
steps, in rounds; each student is as large as its teacher and starts from the weights of the start, with its own
schedule. The teacher looks at an image's first weak view of a round, not at the whole image (as in the benchmark); its
labels are not balanced over classes. Noise is what the run has: RandAugment, dropout, and stochastic depth where
`model.arguments` ask for it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.classifier import Classifier
from benchmarks.methods.adamatch import TARGETS
from benchmarks.methods.base import Labeled, Method, StepOutput, Unlabeled
from benchmarks.methods.erm import supervised_loss
from benchmarks.methods.fixmatch import confidence_report, reaches
from benchmarks.methods.flexmatch import last_of_each
from benchmarks.methods.passes import Passes, forward_views
from benchmarks.methods.ranges import Above0, AtLeast1, Confidence, OneOf, Range, Weight, WeightOrERM, check


@dataclass(frozen=True)
class NoisyStudentSettings:
    """Defaults are the paper's."""

    students: AtLeast1 = 3  # one after another, each the next one's teacher, 1 or more; paper: 3
    # share of the training of the first teacher; the students share the rest alike; paper: as long as each
    teacher_share: Annotated[float, Range(0, 1, above=True, below=True)] = 0.25
    threshold: Confidence = 0.3  # an image whose label is not more confident is left out, 0 to 1; paper: 0.3
    temperature: Above0 = 1.0  # of both networks' logits in the loss, above 0; paper: none; benchmark: 0.5
    targets: Annotated[str, OneOf(TARGETS)] = "soft"  # soft: the teacher's probabilities (paper); hard: its class
    labels_once: bool = True  # the teacher labels an image once in a round (paper); false: each view that comes
    unlabeled_weight: WeightOrERM = 1.0  # of unlabeled images in the loss, above 0; paper: 1
    strong_weight: Weight = 0.0  # weight of cross-entropy on labeled strong views, 0 or more; benchmark: 0.1
    passes: Passes = "joint"  # joint: one BatchNorm batch of all views; grouped: each its own; benchmark: separate

    def __post_init__(self) -> None:
        check(self, "method.")


def teacher_loss(
    logits_strong: Tensor, teacher: Tensor, threshold: float, temperature: float, targets: str
) -> tuple[Tensor, Tensor]:
    """Mean of H(p_teacher, p_student) over the images whose label is confident, and which these are, (u,).

    Args:
        logits_strong, teacher: (u, c) logits; p = softmax(logits / temperature). threshold: of softmax(teacher).
        targets: "soft", or "hard", the teacher's likeliest class.
    """
    confidence, label = teacher.softmax(1).max(1)
    mask = reaches(confidence, threshold, strict=True)
    target = (teacher / temperature).softmax(1) if targets == "soft" else label
    losses = F.cross_entropy(logits_strong / temperature, target, reduction="none")
    return (mask * losses).sum() / mask.sum().clamp(min=1), mask


def _forget(method: NoisyStudent, _: object) -> None:
    """What was read of a state is not the loaded one's."""
    method._is_taught = None


class NoisyStudent(Method):
    """Cross-entropy on labels and on a teacher's; owns the teacher, the weights of the start, and what it has said."""

    has_teacher: Tensor
    answers: Tensor
    answered: Tensor

    def __init__(self, settings: NoisyStudentSettings):
        super().__init__()
        self.settings = settings
        self._is_taught: bool | None = None  # has_teacher, read once: in every step it would wait for a GPU
        self.register_load_state_dict_post_hook(_forget)
        first = settings.teacher_share
        self.rounds = tuple(first + i * (1 - first) / settings.students for i in range(settings.students))

    def prepare(self, model: Classifier, num_labeled: int, num_unlabeled: int) -> None:
        """Two copies of the model: what every student starts from, and the teacher that is to come."""
        self.start = copy.deepcopy(model).requires_grad_(False)
        self.teacher = copy.deepcopy(model).requires_grad_(False)
        self.register_buffer("has_teacher", torch.tensor(False))
        kept = num_unlabeled if self.settings.labels_once else 0
        self.register_buffer("answers", torch.zeros(kept, model.num_classes))
        self.register_buffer("answered", torch.zeros(kept, dtype=torch.bool))

    def begin_round(self, model: Classifier) -> None:
        """What was trained becomes the teacher, and the student starts anew."""
        self.teacher.load_state_dict(model.state_dict())
        model.load_state_dict(self.start.state_dict())
        self.has_teacher.fill_(True)
        self._is_taught = True
        self.answered.fill_(False)

    def forward(self, model: Classifier, labeled: Labeled, unlabeled: Unlabeled | None, progress: float) -> StepOutput:
        assert unlabeled is not None
        settings = self.settings
        if self._is_taught is None:
            self._is_taught = bool(self.has_teacher)
        labeled_views = [labeled.weak, labeled.strong if settings.strong_weight > 0 else None]
        views = [*labeled_views, unlabeled.strong if self._is_taught else None]
        labeled_weak, labeled_strong, strong = forward_views(model, views, settings.passes)
        assert labeled_weak is not None
        losses = {
            "supervised": supervised_loss(
                labeled_weak, labeled_strong, labeled.target, labeled.weight, settings.strong_weight
            )
        }
        mask = torch.zeros_like(unlabeled.index)
        if strong is not None:
            teacher = self.labels_of(unlabeled)
            loss, mask = teacher_loss(strong, teacher, settings.threshold, settings.temperature, settings.targets)
            losses["unlabeled"] = settings.unlabeled_weight * loss
        return StepOutput(losses, confidence_report(labeled_weak, labeled.target, mask))

    @torch.no_grad()
    def labels_of(self, unlabeled: Unlabeled) -> Tensor:
        """The teacher's logits, (u, c), without noise; where they are kept, of an image's first view in a round."""
        self.teacher.eval()
        if not self.settings.labels_once:
            return self.teacher(unlabeled.weak)
        # waits for a GPU: what it waits for is mostly that the teacher, a whole network, need not look again
        new = ~self.answered[unlabeled.index] & last_of_each(unlabeled.index)
        if new.any():
            index = unlabeled.index[new]
            self.answers[index], self.answered[index] = self.teacher(unlabeled.weak[new]), True
        return self.answers[unlabeled.index]
