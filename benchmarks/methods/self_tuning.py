"""Self-Tuning: labeled and pseudo-labeled images are drawn to the images of their class in a queue of keys.

Source: Wang et al., "Self-Tuning for Data-Efficient Deep Learning", arXiv:2102.12903: pseudo group contrast Eq. 4 to
6, overall loss Eq. 8; the published benchmark (TLlib self_tuning.py) for widths and the order of updates.
**Deviations:** the contrast is one matrix product instead of a loop over images; the numbers are the same. In
`protocol=paper` the momentum encoder moves once a step, in the benchmark twice.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.classifier import Classifier, in_full_precision
from benchmarks.methods.base import (
    Labeled,
    Method,
    StepOutput,
    Unlabeled,
    ViewKinds,
    accuracy,
    supervised_cross_entropy,
)
from benchmarks.methods.mean_teacher import follow
from benchmarks.methods.ranges import Above0, AtLeast1, Below1, Range, check


@dataclass(frozen=True)
class SelfTuningSettings:
    """Defaults are the paper's."""

    queue_size: AtLeast1 = 32  # D, keys kept of each class, 1 or more; paper: 32
    temperature: Above0 = 0.07  # tau, above 0; paper: 0.07
    momentum: Below1 = 0.999  # of the key encoder, 0 to below 1; paper: 0.999
    projection_width: AtLeast1 = 1024  # L, of the compared vectors; paper: 1024
    # of the key encoder in a step, 1 or 2; benchmark: 2, with the labeled and the unlabeled half
    updates: Annotated[int, Range(1, 2)] = 1

    def __post_init__(self) -> None:
        check(self, "method.")


def group_contrast(query: Tensor, key: Tensor, label: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """Pseudo group contrast: mean over images of log sum_j exp(s_j) - 1/(D+1) sum_{j in P} s_j - log(D+1).

    s_j are the query's similarities, over tau, to its own key and to all C D keys of the queue; P are its own key and
    the D keys of its class (Eq. 5 and 6, as the Kullback-Leibler divergence from the uniform distribution on P).

    Args:
        query, key: (b, d) of unit length. label: (b,) classes, given or predicted.
        queue: (c, D, d) of unit length, before this batch's keys are put in.
        temperature: tau.
    """
    num_classes, size, width = queue.shape
    own = (query * key).sum(1, keepdim=True) / temperature  # (b, 1)
    others = query @ queue.reshape(-1, width).T / temperature  # (b, c D)
    normalizer = torch.cat([own, others], dim=1).logsumexp(1)
    of_class = others.view(len(query), num_classes, size).gather(1, label[:, None, None].expand(-1, 1, size))[:, 0]
    positives = (own[:, 0] + of_class.sum(1)) / (size + 1)
    return (normalizer - positives - math.log(size + 1)).mean()


@torch.no_grad()
def enqueue(queue: Tensor, pointer: Tensor, key: Tensor, label: Tensor) -> None:
    """Writes each key to its class' next slot, in the batch's order; both tensors are changed in place.

    Args:
        queue: (c, D, d). pointer: (c,) next slot of each class. key: (b, d). label: (b,).
    """
    size = queue.shape[1]
    same = label[:, None] == label[None, :]
    earlier = same.tril(-1).sum(1)  # images of its class before it in the batch
    slot = (pointer[label] + earlier) % size
    is_last = ~((same & (slot[:, None] == slot[None, :])).triu(1).any(1))  # a class may fill its queue within a batch
    queue[label[is_last], slot[is_last]] = key[is_last]
    pointer += torch.bincount(label, minlength=len(pointer))
    pointer %= size


class SelfTuning(Method):
    """Cross-entropy and group contrast; owns the projector, the momentum encoder and the queue."""

    view_kinds = ViewKinds(("strong", "strong"), ("strong", "strong"))
    learns_like_backbone: ClassVar[bool] = True  # the projector (benchmark)
    queue: Tensor
    pointer: Tensor

    def __init__(self, settings: SelfTuningSettings):
        super().__init__()
        self.settings = settings

    def prepare(self, model: Classifier, num_labeled: int, num_unlabeled: int) -> None:
        """A projector, copies of it and of the model as momentum encoder, and a queue of random unit vectors."""
        settings = self.settings
        self.projector = nn.Linear(model.num_features, settings.projection_width)
        self.key_model = copy.deepcopy(model).requires_grad_(False)
        self.key_projector = copy.deepcopy(self.projector).requires_grad_(False)
        queue = torch.randn(model.num_classes, settings.queue_size, settings.projection_width)
        self.register_buffer("queue", F.normalize(queue, dim=2))
        self.register_buffer("pointer", torch.zeros(model.num_classes, dtype=torch.long))

    def forward(self, model: Classifier, labeled: Labeled, unlabeled: Unlabeled | None, progress: float) -> StepOutput:
        assert unlabeled is not None
        # both views of both halves are strong: `weak` is the second strong view (`view_kinds`)
        logits, contrast = self._half(model, labeled.strong, labeled.weak, labeled.target)
        supervised = supervised_cross_entropy(logits, labeled.target, labeled.weight)
        pseudo_label = model(unlabeled.strong).detach().argmax(1)  # a pass of its own, so another dropout mask
        _, unlabeled_contrast = self._half(
            model, unlabeled.strong, unlabeled.weak, pseudo_label, update=self.settings.updates == 2
        )
        return StepOutput(
            {"supervised": supervised, "labeled_contrast": contrast, "unlabeled_contrast": unlabeled_contrast},
            {"labeled_accuracy": accuracy(logits, labeled.target)},
        )

    def _half(
        self, model: Classifier, view: Tensor, other_view: Tensor, label: Tensor, update: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Logits of one view, and its contrast with the keys; the other view becomes a key."""
        features = model.features(view)
        query = F.normalize(in_full_precision(self.projector, features), dim=1)
        with torch.no_grad():
            if update:
                self._follow(model)
            key = F.normalize(in_full_precision(self.key_projector, self.key_model.features(other_view)), dim=1)
        snapshot, tau = self.queue.clone(), self.settings.temperature
        # similarities over 0.07 need float32's digits
        loss = in_full_precision(lambda unit: group_contrast(unit, key, label, snapshot, tau), query)
        enqueue(self.queue, self.pointer, key, label)
        return model.logits(features), loss

    def _follow(self, model: Classifier) -> None:
        for follower, leader in ((self.key_model, model), (self.key_projector, self.projector)):
            follow(follower, leader, self.settings.momentum)
