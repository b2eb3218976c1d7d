"""ReMixMatch: MixUp of labeled and unlabeled images, strong views anchored to weak ones, and a head that sees rotation.

Source: Berthelot et al., "ReMixMatch", arXiv:1911.09785: distribution alignment section 3.1, augmentation anchoring
3.2, the whole loss 3.3 and Algorithm 1. It is not in the published benchmark; `protocol=benchmark` gives it two strong
views in place of eight, for its time. **Deviations:** none in the loss. CTAugment is not here (strong views are the
benchmark's RandAugment); p(y) is the mean of the last labeled batches, as in the authors' code where it is not known;
joint passes are two, of what is not mixed and of what is, and EMA and weight decay are `train.*` settings.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.classifier import Classifier, in_full_precision
from benchmarks.methods.alignment import RecentMean, aligned
from benchmarks.methods.base import Labeled, Method, StepOutput, Unlabeled, ViewKinds, accuracy
from benchmarks.methods.passes import Passes, forward_views
from benchmarks.methods.ranges import Above0, AtLeast1, Fraction, Weight, WeightOrERM, check


@dataclass(frozen=True)
class ReMixMatchSettings:
    """Defaults are the paper's."""

    num_strong: AtLeast1 = 8  # K, strong views of each unlabeled image, 1 or more; paper: 8
    temperature: Above0 = 0.5  # T, of the guessed labels, above 0; paper: 0.5
    mixing: Above0 = 0.75  # alpha of MixUp's Beta distribution, above 0; paper: 0.75
    unlabeled_weight: WeightOrERM = 1.5  # lambda_U, of mixed unlabeled images, above 0; paper: 1.5
    unmixed_weight: Weight = 0.5  # lambda_U1, of a strong view that is not mixed, 0 or more; paper: 0.5
    rotation_weight: Weight = 0.5  # lambda_r, 0 or more; paper: 0.5
    ramp_end: Fraction = 0.0156  # share of the training from which lambda_U and lambda_U1 are full; authors: 1/64
    window: AtLeast1 = 128  # batches in the averages of predictions and of labels, 1 or more; paper: 128
    passes: Passes = "joint"  # joint: a BatchNorm batch before and one after mixing; grouped, separate: a view its own

    def __post_init__(self) -> None:
        check(self, "method.")


def sharpened(probabilities: Tensor, temperature: float) -> Tensor:
    """Normalize(p^(1/T)), (u, c)."""
    powers = probabilities ** (1 / temperature)
    return powers / powers.sum(1, keepdim=True).clamp(min=1e-12)


def mixed(values: Tensor, order: Tensor, share: Tensor) -> Tensor:
    """lambda' x + (1 - lambda') x[order] with lambda' = max(lambda, 1 - lambda): each stays nearer to itself.

    Args:
        values: (n, ...) images or targets. order: (n,) a permutation. share: lambda, (n,) in [0, 1].
    """
    own = torch.maximum(share, 1 - share).view(-1, *[1] * (values.ndim - 1))
    return own * values + (1 - own) * values[order]


def turned(images: Tensor, quarters: Tensor) -> Tensor:
    """Each image by its number of quarter turns, (u, 3, s, s). quarters: (u,) 0 to 3."""
    found = images.clone()
    for quarter in (1, 2, 3):
        found[quarters == quarter] = images[quarters == quarter].rot90(quarter, (-2, -1))
    return found


class ReMixMatch(Method):
    """Cross-entropy on mixed images of both halves; owns the rotation head and the averages of the alignment."""

    def __init__(self, settings: ReMixMatchSettings):
        super().__init__()
        self.settings = settings
        self.view_kinds = ViewKinds(unlabeled=("weak", *["strong"] * settings.num_strong))

    def prepare(self, model: Classifier, num_labeled: int, num_unlabeled: int) -> None:
        """A head for four rotations; both averages start at 1/C."""
        count, window = model.num_classes, self.settings.window
        self.rotation_head = nn.Linear(model.num_features, 4)
        self.recent, self.recent_labels = (RecentMean(count, window, 1 / count) for _ in range(2))

    def forward(self, model: Classifier, labeled: Labeled, unlabeled: Unlabeled | None, progress: float) -> StepOutput:
        assert unlabeled is not None
        settings = self.settings
        ramp = min(1.0, progress / settings.ramp_end) if settings.ramp_end > 0 else 1.0
        label = F.one_hot(labeled.target, model.num_classes).float()
        self.recent_labels.add(label.mean(0))

        quarters = torch.randint(4, (len(unlabeled.strong),), device=unlabeled.index.device)
        weak, strong, rotated = forward_views(
            model,
            [
                unlabeled.weak,
                unlabeled.strong if settings.unmixed_weight > 0 else None,
                turned(unlabeled.strong, quarters) if settings.rotation_weight > 0 else None,
            ],
            settings.passes,
            without_gradient=[0],
            function=model.features,
        )
        assert weak is not None
        guess = self._guessed(model.logits(weak).detach().softmax(1))
        losses = self._mixed_losses(model, labeled, unlabeled, label, guess)
        logits, losses["unlabeled"] = losses.pop("logits"), ramp * losses["unlabeled"]
        if strong is not None:
            losses["unmixed"] = ramp * settings.unmixed_weight * F.cross_entropy(model.logits(strong), guess)
        if rotated is not None:
            rotation = F.cross_entropy(in_full_precision(self.rotation_head, rotated), quarters)
            losses["rotation"] = settings.rotation_weight * rotation
        return StepOutput(losses, {"labeled_accuracy": accuracy(logits, labeled.target)})

    def _guessed(self, probabilities: Tensor) -> Tensor:
        """q, (u, c): aligned to the labels by the batches before this one, and sharpened."""
        guess = aligned(probabilities, self.recent_labels.mean(), self.recent.mean())
        self.recent.add(probabilities.mean(0))
        return sharpened(guess, self.settings.temperature)

    def _mixed_losses(
        self, model: Classifier, labeled: Labeled, unlabeled: Unlabeled, label: Tensor, guess: Tensor
    ) -> dict[str, Tensor]:
        """H of mixed labeled and of mixed unlabeled images, and the logits of the former."""
        settings, count = self.settings, len(labeled.strong)
        images = torch.cat([labeled.strong, unlabeled.weak, unlabeled.strong, *unlabeled.more])
        targets = torch.cat([label, guess.repeat(settings.num_strong + 1, 1)])
        mixing = torch.full((len(images),), settings.mixing, device=images.device)
        share = torch.distributions.Beta(mixing, mixing).sample()
        order = torch.randperm(len(images), device=images.device)
        images, targets = mixed(images, order, share), mixed(targets, order, share)
        views = [images[:count], *images[count:].split(len(unlabeled.weak))]
        logits, *of_unlabeled = (one for one in forward_views(model, views, settings.passes) if one is not None)
        supervised = (labeled.weight * F.cross_entropy(logits, targets[:count], reduction="none")).mean()
        mixed_loss = settings.unlabeled_weight * F.cross_entropy(torch.cat(of_unlabeled), targets[count:])
        return {"supervised": supervised, "unlabeled": mixed_loss, "logits": logits}
