"""Conditions of one class with the rest of another labeled image."""

from pathlib import Path

import pytest
import torch

from generators.borrowing import borrow, class_means, differences, lender, told_apart
from generators.build import build_generator
from generators.config import GeneratorSettings, SamplingSettings
from ssl_aug import generate as generate_module
from ssl_aug import tune as tune_module

NAMES = ("cat", "cat", "dog", "dog")
CAT, DOG, DARK, LIGHT = torch.eye(4)  # what a token tells: two classes, two surroundings


@pytest.fixture
def tokens() -> torch.Tensor:
    return torch.stack([CAT + DARK, CAT + LIGHT, DOG + DARK, DOG + LIGHT])


def test_the_class_stays_and_the_rest_is_the_lenders(tokens: torch.Tensor) -> None:
    drawn = borrow(tokens[:1, None], tokens[:1, None], ["cat"], [3], differences(tokens, NAMES))
    assert torch.allclose(drawn[0, 0], CAT + LIGHT)


def test_an_image_that_lends_to_itself_keeps_its_token(tokens: torch.Tensor) -> None:
    drawn = borrow(tokens[:, None], tokens[:, None], NAMES, [0, 1, 2, 3], differences(tokens, NAMES))
    assert torch.allclose(drawn[:, 0], tokens)


def test_what_a_mask_takes_from_the_token_is_missing_in_the_mixture_too(tokens: torch.Tensor) -> None:
    masked = tokens[:1] - 0.5 * CAT
    drawn = borrow(masked[:, None], tokens[:1, None], ["cat"], [3], differences(tokens, NAMES))[0, 0]
    assert torch.allclose(drawn / drawn[3], 0.5 * CAT + LIGHT)
    assert torch.isclose(drawn.norm(), masked.norm())


def test_every_labeled_image_lends(tokens: torch.Tensor) -> None:
    chosen = [lender(seed, 4) for seed in range(400)]
    assert all(chosen.count(row) > 60 for row in range(4))
    assert chosen == [lender(seed, 4) for seed in range(400)]


def test_images_without_label_take_out_what_the_labeled_ones_of_a_class_share_by_chance() -> None:
    labeled = torch.stack([CAT + DARK, CAT + DARK, DOG + LIGHT, DOG + LIGHT])
    others = torch.stack([c + s for c in (3 * CAT, 3 * DOG) for s in (DARK, LIGHT, -DARK, -LIGHT)] * 5)
    alone = differences(labeled, NAMES)
    assert torch.allclose(alone.means["cat"], CAT + DARK)
    known = differences(labeled, NAMES, others)
    for name, own, by_chance in (("cat", CAT, DARK), ("dog", DOG, LIGHT)):
        mean = known.means[name]
        assert mean @ own > 2 and abs(mean @ by_chance) < 0.1  # 2 labeled among 22
    assert known.of_images[0] @ DARK > 0.9  # what the images shared is a difference now, to be lent to other classes


def test_the_means_are_the_fixed_point_that_the_labels_lead_to() -> None:
    generator = torch.Generator().manual_seed(3)
    centers = 5 * torch.eye(3, 8)
    truth = torch.arange(3).repeat_interleave(40)
    tokens = centers[truth] + torch.randn(120, 8, generator=generator)
    seen = torch.arange(0, 120, 20)  # two of each
    hidden = torch.tensor([row for row in range(120) if row not in seen])
    means = class_means(tokens[seen], truth[seen], 3, tokens[hidden])
    nearest = torch.nn.functional.normalize(tokens, dim=1) @ torch.nn.functional.normalize(means, dim=1).T
    given = nearest.argmax(dim=1)
    given[seen] = truth[seen]
    assert torch.allclose(means, torch.stack([tokens[given == label].mean(dim=0) for label in range(3)]), atol=1e-5)
    few = class_means(tokens[seen], truth[seen], 3, tokens[:0])
    true_means = torch.stack([tokens[truth == label].mean(dim=0) for label in range(3)])
    assert (means - true_means).norm() < 0.3 * (few - true_means).norm()


def test_labeled_images_keep_their_class() -> None:
    labeled = torch.stack([CAT, DOG, DOG])  # the second dog looks like a cat
    labeled[2] = CAT + 0.1 * DOG
    means = class_means(labeled, torch.tensor([0, 1, 1]), 2, torch.stack([CAT, DOG]))
    assert torch.allclose(means[1], (labeled[1] + labeled[2] + DOG) / 3)


def test_the_share_told_apart_leaves_each_image_out_of_its_mean(tokens: torch.Tensor) -> None:
    assert told_apart(tokens, NAMES) == 1
    drowned = tokens + 2 * torch.stack(
        [DARK, LIGHT, DARK, LIGHT]
    )  # nearest to its own mean by its own share of it alone
    assert told_apart(drowned, NAMES) == 0


def test_the_labeled_images_are_needed_first(tiny_checkpoint: Path) -> None:
    sampling = SamplingSettings(sampler="dpmpp", steps=2, condition="borrowed")
    generator = build_generator(GeneratorSettings("ldm", str(tiny_checkpoint), 16), sampling)
    with pytest.raises(ValueError, match=r"needs the labeled images first: call remember"):
        generator(torch.zeros(1, 3, 16, 16), ["cat"], [1])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("generator=noise", "no effect on generator=noise"),
        ("data.labels_per_class=1", "data.labels_per_class=2 or more"),
        ("generator.tokens=patches", "use generator.tokens=pooled"),
        ("tune.approach=anl_unconditional", "no effect on tune.approach=anl_unconditional"),
        ("prompt=car", "no effect on a prompt"),
    ],
)
def test_where_it_has_no_effect_it_is_refused(words: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        generate_module.main(["condition=borrowed", *words.split()])


def test_tuning_does_not_depend_on_it(capsys: pytest.CaptureFixture[str]) -> None:
    tune_module.main(["--dry-run", "condition=image"])
    plain = capsys.readouterr().out
    tune_module.main(["--dry-run", "condition=borrowed"])
    assert capsys.readouterr().out == plain
