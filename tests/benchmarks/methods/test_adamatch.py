"""AdaMatch's steps against its equations number by number, and AdaMatch without its parts against FixMatch."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from benchmarks.methods.adamatch import AdaMatch, AdaMatchSettings, interpolated, relative_threshold, warm_up
from benchmarks.methods.fixmatch import FixMatchSettings
from tests.benchmarks.conftest import (
    NUM_CLASSES,
    batch_for,
    build_classifier,
    logits,
    random_labeled,
    random_unlabeled,
    ready,
)


def test_logits_are_interpolated_each_with_a_share_of_its_own() -> None:
    torch.manual_seed(0)
    shares = interpolated(torch.zeros(50, 4), torch.ones(50, 4))
    assert shares.min() >= 0 and shares.max() <= 1 and len(shares.unique()) > 190
    assert shares.mean().item() == pytest.approx(0.5, abs=0.05)


def test_the_threshold_is_relative_to_the_confidence_on_labeled_images() -> None:
    weak = logits(0)
    expected = 0.9 * sum(max(row) for row in weak.softmax(1).tolist()) / len(weak)
    assert relative_threshold(weak, 0.9).item() == pytest.approx(expected, rel=1e-12)


def test_the_weight_of_unlabeled_images_rises_as_half_a_cosine() -> None:
    found = [warm_up(progress, 0.5) for progress in (0.0, 0.125, 0.25, 0.5, 1.0)]
    assert found == pytest.approx([0.0, 0.5 - math.cos(math.pi / 4) / 2, 0.5, 1.0, 1.0])
    assert warm_up(0.0, 0.0) == 1.0


@pytest.mark.parametrize("targets", ["soft", "hard"])
def test_three_adamatch_steps_are_its_equations_written_out(targets: str) -> None:
    model = build_classifier()
    model.head.weight.data.mul_(4)
    settings = AdaMatchSettings(threshold=0.98, decay=0.6, window=2, targets=targets, strong_weight=0.7)
    method = ready(settings, model)
    of_labeled, recent, kept = [1 / 4] * 4, [[1 / 4] * 4] * 2, []
    for step in range(3):
        labeled, unlabeled = random_labeled(step), random_unlabeled(step)
        images = torch.cat([labeled.weak, labeled.strong, unlabeled.weak, unlabeled.strong])
        joint, alone = copy.deepcopy(model)(images), copy.deepcopy(model)(images[:16])
        torch.manual_seed(step)
        shares = torch.rand(2, 8, NUM_CLASSES)
        weak, strong = (joint[:16] + (alone - joint[:16]) * torch.cat([*shares])).split(8)
        torch.manual_seed(step)
        # the method draws for the weak views first, as above
        output = method(model, labeled, unlabeled, progress=0.5)

        p_labeled, p = weak.softmax(1).tolist(), joint[16:28].softmax(1).tolist()
        of_labeled = [0.6 * of_labeled[c] + 0.4 * sum(row[c] for row in p_labeled) / 8 for c in range(4)]
        recent = [*recent[1:], [sum(row[c] for row in p) / 12 for c in range(4)]]
        ratio = [of_labeled[c] / (sum(batch[c] for batch in recent) / 2) for c in range(4)]
        least = 0.98 * sum(max(row) for row in p_labeled) / 8
        total = 0.0
        for row, log_p in zip(p, joint[28:].log_softmax(1).tolist(), strict=True):
            scaled = [row[c] * ratio[c] for c in range(4)]
            target = [each / sum(scaled) for each in scaled]
            kept.append(max(target) >= least)
            likeliest = target.index(max(target))
            soft = -sum(target[c] * log_p[c] for c in range(4))
            total += kept[-1] * (soft if targets == "soft" else -log_p[likeliest])
        assert output.losses["unlabeled"].item() == pytest.approx(total / 12, rel=1e-5)
        supervised = sum(
            share * torch.nn.functional.cross_entropy(each, labeled.target).item()
            for share, each in ((1.0, weak), (0.7, strong))
        )
        assert output.losses["supervised"].item() == pytest.approx(supervised, rel=1e-5)
        assert output.report["threshold"].item() == pytest.approx(least, rel=1e-6)
    assert 0 < sum(kept) < 36


def test_the_pass_of_labeled_images_alone_leaves_running_statistics_as_they_are() -> None:
    buffers = []
    for interpolation in (True, False):
        model = build_classifier()
        method = ready(AdaMatchSettings(interpolation=interpolation), model)
        method(model, *batch_for(method, 0), 0.5)
        buffers.append(dict(model.named_buffers()))
    assert buffers[0].keys() == buffers[1].keys()
    for name, value in buffers[0].items():
        assert torch.equal(value, buffers[1][name]), name


def test_without_interpolation_alignment_and_relative_threshold_adamatch_is_fixmatch() -> None:
    off = AdaMatchSettings(
        threshold=0.5, relative=False, interpolation=False, alignment=False, targets="hard", ramp_end=0.0,
        strong_weight=0.1,
    )  # fmt: skip
    found = []
    for settings in (off, FixMatchSettings(threshold=0.5, strong_weight=0.1)):
        model = build_classifier()
        model.head.weight.data.mul_(4)
        found.append(ready(settings, model)(model, random_labeled(0), random_unlabeled(0), 0.0))
    assert found[0].losses.keys() == found[1].losses.keys()
    for name, loss in found[0].losses.items():
        assert torch.equal(loss, found[1].losses[name])
    assert 0 < found[0].report["confident_share"].item() < 1


def test_without_batchnorm_interpolation_changes_nothing() -> None:
    outputs = []
    for interpolation in (True, False):
        model = build_classifier(batch_norm=False)
        method = ready(AdaMatchSettings(interpolation=interpolation), model)
        assert isinstance(method, AdaMatch)
        outputs.append(method(model, *batch_for(method, 0), 0.5))
    for name, loss in outputs[0].losses.items():
        torch.testing.assert_close(loss, outputs[1].losses[name])
