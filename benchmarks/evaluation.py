"""Accuracy of a classifier on the test set."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.loaders import TestBatches, test_batches
from benchmarks.model import Inputs, normalized
from ssl_aug.runtime import Placement


@dataclass(frozen=True)
class Accuracy:
    """In percent. `mean_class` is the mean over classes of each class's own accuracy."""

    top1: float
    mean_class: float


@torch.no_grad()
def evaluate(model: nn.Module, test: TestBatches, inputs: Inputs, placement: Placement, num_workers: int) -> Accuracy:
    """Accuracy on the test set in eval mode (running BatchNorm statistics, no dropout); leaves `model` in its mode."""
    was_training = model.training
    model.eval()
    predictions, targets = [], []
    for views, target in test_batches(test, num_workers):
        with placement.autocast():
            logits = model(normalized(views.to(placement.device), inputs))
        predictions.append(logits.argmax(1).cpu())
        targets.append(target)
    model.train(was_training)
    return accuracy(torch.cat(predictions), torch.cat(targets))


def accuracy(predictions: Tensor, targets: Tensor) -> Accuracy:
    """Both accuracies of predicted against true class indices, (n,); classes without test images do not count."""
    correct = (predictions == targets).double()
    count = torch.bincount(targets)
    per_class = (torch.bincount(targets, correct) / count)[count > 0]
    return Accuracy(100 * correct.mean().item(), 100 * per_class.mean().item())
