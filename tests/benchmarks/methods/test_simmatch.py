"""SimMatch's similarities and steps against loops over images, and SimMatch without instances against FixMatch."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from benchmarks.methods.alignment import aligned
from benchmarks.methods.fixmatch import masked_pseudo_label_loss
from benchmarks.methods.simmatch import SimMatch, SimMatchSettings, aggregated, unfolded
from tests.benchmarks.conftest import batch_for, build_classifier, logits, random_labeled, random_unlabeled, ready


def test_unfolding_and_aggregation_equal_loops_over_labeled_images() -> None:
    instance, semantic = logits(0, 5).softmax(1)[:, [0, 1, 2, 3, 0, 1]], logits(1, 5).softmax(1)
    instance = instance / instance.sum(1, keepdim=True)
    label = torch.tensor([3, 1, 1, 0, 3, 2])
    for u in range(5):
        scaled = [instance[u, i].item() * semantic[u, label[i]].item() for i in range(6)]
        assert unfolded(instance, semantic, label)[u].tolist() == pytest.approx([s / sum(scaled) for s in scaled])
        of_class = [sum(instance[u, i].item() for i in range(6) if label[i] == c) for c in range(4)]
        assert aggregated(instance, label, 4)[u].tolist() == pytest.approx(of_class)


def test_two_simmatch_steps_are_its_equations_image_by_image() -> None:
    model = build_classifier()
    model.head.weight.data.mul_(4)
    settings = SimMatchSettings(
        threshold=0.4, smoothing=0.7, temperature=0.2, unlabeled_weight=2.0, instance_weight=3.0, bank_momentum=0.6,
        width=5,
    )  # fmt: skip
    method = ready(settings, model)
    assert isinstance(method, SimMatch)
    bank: dict[int, tuple[Tensor, int]] = {}
    averages, kept = [], []
    for step in range(2):
        labeled, unlabeled = random_labeled(step), random_unlabeled(step)
        labeled = replace(labeled, index=labeled.index + 4 * step)  # half of the images come again
        features = copy.deepcopy(model).features(torch.cat([labeled.weak, unlabeled.weak, unlabeled.strong]))
        z = [each / each.norm() for each in method.projector(features).detach()]
        output = method(model, labeled, unlabeled, 0.5)

        for position, (index, target) in enumerate(zip(labeled.index.tolist(), labeled.target.tolist(), strict=True)):
            moved = z[position] if index not in bank else 0.6 * bank[index][0] + 0.4 * z[position]
            bank[index] = (moved / moved.norm(), target)
        p = model.logits(features[8:20]).softmax(1)
        averages.append(p.mean(0))
        p = aligned(p, torch.full((4,), 0.25), sum(averages) / len(averages))
        log_strong = model.logits(features[20:]).log_softmax(1)
        unlabeled_total = instance_total = 0.0
        for u in range(12):
            of_weak, of_strong = (
                [math.exp((z[position] @ vector).item() / 0.2) for vector, _ in bank.values()]
                for position in (8 + u, 20 + u)
            )
            q_weak, q_strong = [each / sum(of_weak) for each in of_weak], [each / sum(of_strong) for each in of_strong]
            classes = [label for _, label in bank.values()]
            near = [sum(q for q, label in zip(q_weak, classes, strict=True) if label == c) for c in range(4)]
            target = [0.7 * p[u, c].item() + 0.3 * near[c] for c in range(4)]
            kept.append(max(target) > 0.4)
            unlabeled_total -= kept[-1] * sum(target[c] * log_strong[u, c].item() for c in range(4))
            corrected = [q * p[u, label].item() for q, label in zip(q_weak, classes, strict=True)]
            instance_total -= sum(c / sum(corrected) * math.log(q) for c, q in zip(corrected, q_strong, strict=True))
        assert output.losses["unlabeled"].item() == pytest.approx(2 * unlabeled_total / 12, rel=1e-5)
        assert output.losses["instance"].item() == pytest.approx(3 * instance_total / 12, rel=1e-5)
        supervised = torch.nn.functional.cross_entropy(model.logits(features[:8]), labeled.target)
        assert output.losses["supervised"].item() == pytest.approx(supervised.item(), rel=1e-6)
    assert 0 < sum(kept) < 24
    assert sorted(bank) == torch.where(method.labels >= 0)[0].tolist() == list(range(12))


def test_without_instances_simmatch_is_fixmatch_with_aligned_probabilities_as_targets() -> None:
    model = build_classifier()
    settings = SimMatchSettings(threshold=0.3, smoothing=1.0, instance_weight=0.0, strict=False)
    method = ready(settings, model)
    labeled, unlabeled = random_labeled(0), random_unlabeled(0)
    found = copy.deepcopy(model)(torch.cat([labeled.weak, unlabeled.weak, unlabeled.strong])).detach()
    output = method(model, labeled, unlabeled, 0.5)
    p = found[8:20].softmax(1)
    target = aligned(p, torch.full((4,), 0.25), p.mean(0))
    expected = masked_pseudo_label_loss(found[20:], target, target.max(1).values >= 0.3)
    assert output.losses.keys() == {"supervised", "unlabeled"}
    assert output.losses["unlabeled"].item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize(("strict", "share"), [(True, 0.0), (False, 1.0)])
def test_an_image_at_the_threshold_itself_counts_as_the_setting_says(strict: bool, share: float) -> None:
    model = build_classifier()
    model.head.weight.data.zero_()
    model.head.bias.data.zero_()
    method = ready(SimMatchSettings(threshold=0.25, smoothing=1.0, strict=strict), model)
    assert method(model, *batch_for(method, 0), 0.5).report["confident_share"].item() == share
