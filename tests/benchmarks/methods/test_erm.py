"""ERM: cross-entropy on the labeled images, and no pass that it does not use."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmarks.methods.erm import ERM, ERMSettings, supervised_loss
from tests.benchmarks.conftest import NUM_CLASSES, MakeClassifier, random_labeled


def test_supervised_loss_is_a_weighted_mean_of_minus_log_probabilities() -> None:
    torch.manual_seed(0)
    weak, strong = torch.randn(2, 5, NUM_CLASSES)
    target, weight = torch.tensor([0, 3, 1, 1, 2]), torch.tensor([1.0, 1.0, 0.5, 0.0, 2.0])
    expected = 0.0
    for i in range(5):
        for logits, share in ((weak[i], 1.0), (strong[i], 0.1)):
            expected -= share * weight[i].item() * logits.softmax(0)[target[i]].log().item() / 5
    assert supervised_loss(weak, strong, target, weight, 0.1).item() == pytest.approx(expected, rel=1e-5)


def test_erm_without_strong_weight_makes_no_pass_over_strong_views(make_classifier: MakeClassifier) -> None:
    passes: list[Tensor] = []
    model = make_classifier()
    model.register_forward_pre_hook(lambda module, inputs: passes.append(inputs[0]))
    labeled = random_labeled(0)
    ERM(ERMSettings(strong_weight=0.0))(model, labeled, None, 0.0)
    assert len(passes) == 1 and passes[0] is labeled.weak
