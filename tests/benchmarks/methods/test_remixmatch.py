"""ReMixMatch's parts against values by hand, a step against a loop over images, and ReMixMatch unmixed against ERM."""

from __future__ import annotations

import copy

import pytest
import torch

from benchmarks.methods.remixmatch import ReMixMatch, ReMixMatchSettings, mixed, sharpened, turned
from tests.benchmarks.conftest import NUM_CLASSES, batch_for, build_classifier, logits, ready


def test_sharpening_raises_to_the_power_and_normalizes() -> None:
    p = logits(0, 3).softmax(1)
    for row, found in zip(p.tolist(), sharpened(p, 0.5).tolist(), strict=True):
        assert found == pytest.approx([each**2 / sum(x**2 for x in row) for each in row])


def test_a_mixed_image_stays_nearer_to_itself() -> None:
    values = torch.tensor([[1.0], [10.0], [100.0]])
    found = mixed(values, torch.tensor([1, 2, 0]), torch.tensor([0.2, 0.7, 1.0]))
    assert found[:, 0].tolist() == pytest.approx([0.8 * 1 + 0.2 * 10, 0.7 * 10 + 0.3 * 100, 100.0])


def test_four_quarter_turns_are_four_pictures() -> None:
    image = torch.arange(9.0).view(1, 3, 3).expand(3, 3, 3)
    found = turned(torch.stack([image] * 4), torch.tensor([0, 1, 2, 3]))
    assert torch.equal(found[0], image)
    assert found[1][0].tolist() == [[2, 5, 8], [1, 4, 7], [0, 3, 6]]
    assert torch.equal(found[2], image.flip(-1, -2))
    assert torch.equal(turned(found[1:2], torch.tensor([3]))[0], image)


def test_two_remixmatch_steps_are_its_equations_image_by_image() -> None:
    model = build_classifier()
    model.head.weight.data.mul_(4)
    settings = ReMixMatchSettings(
        num_strong=2, temperature=0.7, mixing=0.6, unlabeled_weight=2.0, unmixed_weight=0.3, rotation_weight=0.4,
        ramp_end=0.8, window=3,
    )  # fmt: skip
    method = ready(settings, model)
    assert isinstance(method, ReMixMatch)
    seen, labels = [[0.25] * 4] * 3, [[0.25] * 4] * 3  # of the last three batches
    for step in range(2):
        labeled, unlabeled = batch_for(method, step)
        assert unlabeled is not None
        torch.manual_seed(step)
        turns = torch.randint(4, (12,))
        share = torch.distributions.Beta(torch.full((44,), 0.6), torch.full((44,), 0.6)).sample()
        order = torch.randperm(44).tolist()
        torch.manual_seed(step)
        before = copy.deepcopy(model)
        output = method(model, labeled, unlabeled, 0.4)

        rotated = torch.stack([view.rot90(int(k), (1, 2)) for view, k in zip(unlabeled.strong, turns, strict=True)])
        features = before.features(torch.cat([unlabeled.weak, unlabeled.strong, rotated]))
        p = before.logits(features[:12]).softmax(1).tolist()
        labels = [*labels[1:], [(labeled.target == c).float().mean().item() for c in range(4)]]
        ratio = [sum(row[c] for row in labels) / sum(row[c] for row in seen) for c in range(4)]
        seen = [*seen[1:], [sum(row[c] for row in p) / 12 for c in range(4)]]
        guesses = []
        for row in p:
            scaled = [(row[c] * ratio[c] / sum(row[d] * ratio[d] for d in range(4))) ** (1 / 0.7) for c in range(4)]
            guesses.append([each / sum(scaled) for each in scaled])

        images = [*labeled.strong, *unlabeled.weak, *unlabeled.strong, *unlabeled.more[0]]
        targets = [[float(c == target) for c in range(4)] for target in labeled.target.tolist()] + 3 * guesses
        own = [max(each, 1 - each) for each in share.tolist()]
        x = torch.stack([own[i] * images[i] + (1 - own[i]) * images[order[i]] for i in range(44)])
        log_p = before(x).log_softmax(1).tolist()
        losses = []
        for i in range(44):
            target = [own[i] * targets[i][c] + (1 - own[i]) * targets[order[i]][c] for c in range(NUM_CLASSES)]
            losses.append(-sum(target[c] * log_p[i][c] for c in range(NUM_CLASSES)))
        unmixed = before.logits(features[12:24]).log_softmax(1).tolist()
        anchored = [-sum(q[c] * each[c] for c in range(4)) for q, each in zip(guesses, unmixed, strict=True)]
        rotation = torch.nn.functional.cross_entropy(method.rotation_head(features[24:]), turns)

        expected = {
            "supervised": sum(losses[:8]) / 8,
            "unlabeled": 0.5 * 2.0 * sum(losses[8:]) / 36,  # half of the ramp
            "unmixed": 0.5 * 0.3 * sum(anchored) / 12,
            "rotation": 0.4 * rotation.item(),
        }
        assert {name: loss.item() for name, loss in output.losses.items()} == pytest.approx(expected, rel=1e-5)


def test_before_its_ramp_unmixed_and_without_rotation_remixmatch_is_cross_entropy_on_labeled_strong_views(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.distributions.Beta, "sample", lambda self: torch.ones(self.batch_shape))  # lambda = 1
    model = build_classifier(batch_norm=False)
    method = ready(ReMixMatchSettings(num_strong=1, rotation_weight=0.0, ramp_end=0.5), model)
    labeled, unlabeled = batch_for(method, 0)
    torch.stack(list(method(model, labeled, unlabeled, 0.0).losses.values())).sum().backward()
    erm = build_classifier(batch_norm=False)
    torch.nn.functional.cross_entropy(erm(labeled.strong), labeled.target).backward()
    for found, expected in zip(model.parameters(), erm.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad)
