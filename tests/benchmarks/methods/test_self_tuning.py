"""Self-Tuning's contrast against a loop over images, its queue, and its key encoder."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from benchmarks.methods.self_tuning import SelfTuning, SelfTuningSettings, enqueue, group_contrast
from tests.benchmarks.conftest import MakeClassifier, random_labeled, random_unlabeled, ready


def test_group_contrast_equals_a_divergence_from_the_uniform_distribution_on_the_positives() -> None:
    generator = torch.Generator().manual_seed(0)
    unit = lambda *shape: torch.nn.functional.normalize(  # noqa: E731
        torch.randn(*shape, generator=generator, dtype=torch.float64), dim=-1
    )
    query, key, queue = unit(5, 6), unit(5, 6), unit(3, 2, 6)
    label = torch.tensor([0, 2, 1, 1, 0])
    total = 0.0
    for q, k, c in zip(query, key, label, strict=True):
        candidates = [k, *queue.reshape(-1, 6)]
        log_p = torch.stack([q @ each for each in candidates]).div(0.07).log_softmax(0)
        positives = [0, *(1 + 2 * c.item() + place for place in range(2))]
        total += sum(1 / 3 * (math.log(1 / 3) - log_p[j].item()) for j in positives)
    loss = group_contrast(query, key, label, queue, 0.07)
    assert loss.item() == pytest.approx(total / 5, rel=1e-9)


def test_keys_are_written_one_by_one_to_their_class_next_slot() -> None:
    generator = torch.Generator().manual_seed(0)
    queue, pointer = torch.zeros(3, 2, 1), torch.tensor([1, 0, 0])
    expected, places = queue.clone(), pointer.tolist()
    for _ in range(6):
        key = torch.randn(7, 1, generator=generator)
        label = torch.randint(3, (7,), generator=generator)  # a class may come more often than it has slots
        enqueue(queue, pointer, key, label)
        for k, c in zip(key, label.tolist(), strict=True):
            expected[c, places[c]] = k
            places[c] = (places[c] + 1) % 2
        assert torch.equal(queue, expected)
        assert pointer.tolist() == places


@pytest.mark.parametrize("updates", [1, 2])
def test_the_key_encoder_follows_once_or_twice_a_step_and_keeps_its_own_statistics(
    make_classifier: MakeClassifier, updates: int
) -> None:
    model = make_classifier()
    method = ready(SelfTuningSettings(queue_size=2, projection_width=8, momentum=0.9, updates=updates), model)
    assert isinstance(method, SelfTuning)
    slow = copy.deepcopy(method.key_model.head.weight)
    model.head.weight.data.add_(1.0)
    method(model, random_labeled(0), random_unlabeled(0), 0.0)
    found = method.key_model.head.weight - slow
    assert torch.allclose(found, torch.full_like(found, 1 - 0.9**updates), atol=1e-6)
    statistics = [module.bottleneck[1].running_mean for module in (model, method.key_model)]
    assert not torch.allclose(*statistics)
    assert model.bottleneck[1].num_batches_tracked == 3  # labeled, unlabeled for its label, unlabeled
    assert method.key_model.bottleneck[1].num_batches_tracked == 2
