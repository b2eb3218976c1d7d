"""MixUp and CutMix: images and labels are mixed by the same shares, and off is off."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.methods.base import Labeled, StepOutput
from benchmarks.methods.erm import ERM, ERMSettings
from benchmarks.methods.fixmatch import FixMatch, FixMatchSettings
from benchmarks.methods.mixing import mixed
from tests.benchmarks.conftest import NUM_CLASSES, MakeClassifier, random_labeled, random_unlabeled


def one_color_each() -> Labeled:
    """Image i is i everywhere and of class i, so that its pixels tell what was mixed into it."""
    labeled = random_labeled(0)
    count = len(labeled.target)
    colors = torch.arange(count).float().view(-1, 1, 1, 1)
    return replace(labeled, weak=colors.expand(count, 3, 16, 16).contiguous(), target=torch.arange(count) % NUM_CLASSES)


@pytest.mark.parametrize("alphas", [(0.4, 0.0), (0.0, 1.0)], ids=["mixup", "cutmix"])
def test_a_target_holds_as_much_of_a_label_as_the_image_holds_of_its_picture(alphas: tuple[float, float]) -> None:
    labeled = one_color_each()
    partner = labeled.weak.roll(1, 0)
    shares = set()
    for seed in range(5):
        torch.manual_seed(seed)
        batch, target = mixed(labeled, NUM_CLASSES, *alphas)
        assert target is not None
        share = ((batch.weak - partner) / (labeled.weak - partner)).mean((1, 2, 3))  # of each image's own picture
        label = F.one_hot(labeled.target, NUM_CLASSES).float()
        expected = share[:, None] * label + (1 - share[:, None]) * label.roll(1, 0)
        torch.testing.assert_close(target, labeled.weight[:, None] * expected, atol=1e-5, rtol=1e-5)
        shares.add(round(share[0].item(), 4))
    assert len(shares) > 3


def test_mixup_blends_whole_pictures_and_cutmix_puts_a_rectangle_in() -> None:
    labeled = one_color_each()
    torch.manual_seed(0)
    blended, cut = (mixed(labeled, NUM_CLASSES, *alphas)[0].weak for alphas in ((1.0, 0.0), (0.0, 1.0)))
    assert all(len(image.unique()) == 1 for image in blended)
    pasted = cut[1] == labeled.weak[0, 0, 0, 0]
    assert {*cut[1].unique().tolist()} <= {0.0, 1.0} and pasted.any() and not pasted.all()
    rows, columns = pasted[0].any(1), pasted[0].any(0)
    assert torch.equal(pasted[0], rows[:, None] & columns[None, :])


def test_weights_of_images_are_mixed_with_them() -> None:
    labeled = one_color_each()
    weight = torch.ones(len(labeled.target))
    weight[0] = 0.0  # an image that does not count leaves nothing of its label in either mixture
    torch.manual_seed(0)
    _, target = mixed(replace(labeled, weight=weight), NUM_CLASSES, 1.0, 0.0)
    torch.manual_seed(0)
    _, unweighted = mixed(labeled, NUM_CLASSES, 1.0, 0.0)
    assert target is not None and unweighted is not None
    assert target[0].sum() < unweighted[0].sum() and target[0, labeled.target[0]] == 0


def step(method: ERM | FixMatch, make_classifier: MakeClassifier) -> tuple[StepOutput, Tensor]:
    model = make_classifier()
    passes: list[Tensor] = []
    model.register_forward_pre_hook(lambda module, inputs: passes.append(inputs[0]))
    torch.manual_seed(7)
    output = method(model, random_labeled(0), random_unlabeled(1) if isinstance(method, FixMatch) else None, 0.0)
    return output, passes[0]


@pytest.mark.parametrize("method", [ERM, FixMatch])
def test_mixing_is_off_unless_it_is_asked_for(method: type, make_classifier: MakeClassifier) -> None:
    settings = {ERM: ERMSettings, FixMatch: FixMatchSettings}[method]
    labeled = random_labeled(0)
    assert mixed(labeled, NUM_CLASSES, 0.0, 0.0) == (labeled, None)
    plain, plain_images = step(method(settings()), make_classifier)
    blended, blended_images = step(method(settings(mixup_alpha=1.0)), make_classifier)
    assert torch.equal(plain_images[: len(labeled.weak)], labeled.weak)
    assert not torch.equal(blended_images[: len(labeled.weak)], labeled.weak)
    assert plain.losses["supervised"] != blended.losses["supervised"]


def test_a_batch_is_mixed_in_one_way() -> None:
    with pytest.raises(ValueError, match=r"method.mixup_alpha=0.2 and method.cutmix_alpha=1: .*set one of them to 0"):
        ERMSettings(mixup_alpha=0.2, cutmix_alpha=1.0)
