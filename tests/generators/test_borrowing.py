"""Conditions of one class with the rest of another labeled image."""

from pathlib import Path

import pytest
import torch

from generators.borrowing import borrow, class_means, differences, lender
from generators.build import build_generator
from generators.settings import GeneratorSettings, SamplingSettings
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


class World:
    """Tokens of three classes, 60 images each: the class in the first three values, the rest in five others."""

    def __init__(self) -> None:
        self.labels = torch.arange(3).repeat_interleave(60)
        self.tokens = torch.randn(180, 8, generator=torch.Generator().manual_seed(3))
        self.tokens[:, :3] *= 0.1
        self.tokens += 4 * torch.eye(3, 8)[self.labels]

    def dark(self, count: int) -> torch.Tensor:
        """Rows of `count` images of each class, which all have much of value 3: dark ones, say."""
        return torch.cat([((self.tokens[:, 3] > 0.5) & (self.labels == c)).nonzero()[:count, 0] for c in range(3)])

    def others(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.tensor([row for row in range(180) if row not in rows])


def test_images_without_label_take_out_what_the_labeled_ones_of_a_class_share_by_chance() -> None:
    world = World()
    rows = world.dark(4)
    names = [NAMES[2 * (label == 1)] if label < 2 else "eel" for label in world.labels[rows].tolist()]
    alone = differences(world.tokens[rows], names)
    known = differences(world.tokens[rows], names, world.tokens[world.others(rows)])
    for label, name in enumerate(("cat", "dog", "eel")):
        assert alone.means[name][3] > 0.9
        assert abs(known.means[name][3]) < 0.4
        assert known.means[name][label] > 3.5
    # what they shared is a difference now, to be lent to images of other classes
    assert known.of_images[:, 3].mean() > 0.9 > abs(alone.of_images[:, 3].mean())


def test_the_means_are_a_fixed_point() -> None:
    """Each image without label is of the class whose mean is nearest, or too far from all of them."""
    world = World()
    rows = world.dark(4)
    tokens, labels, hidden = world.tokens[rows], world.labels[rows], world.tokens[world.others(rows)]
    means, counts = class_means(tokens, labels, 3, hidden)
    to_the_others = []
    for row, token in enumerate(tokens):
        same = [other for other in range(12) if labels[other] == labels[row] and other != row]
        to_the_others.append(torch.cosine_similarity(token, tokens[same].mean(dim=0), dim=0))
    enough = torch.stack(to_the_others).median()
    similarity = torch.cosine_similarity(hidden[:, None], means[None], dim=-1)
    for label in range(3):
        joined = hidden[(similarity.argmax(dim=1) == label) & (similarity.amax(dim=1) >= enough)]
        members = torch.cat([tokens[labels == label], joined])
        assert len(members) == counts[label] > 30
        assert torch.allclose(means[label], members.mean(dim=0), atol=1e-5)


def test_images_of_no_labeled_class_stay_out_of_the_means() -> None:
    world = World()
    rows = world.dark(4)[:8]  # of the first two classes
    means, _ = class_means(world.tokens[rows], world.labels[rows], 2, world.tokens[world.others(rows)])
    assert means[:, 2].abs().max() < 0.5  # the 60 of the third class are in neither mean


def test_labeled_images_keep_their_class() -> None:
    labeled = torch.stack([CAT, DOG, CAT + 0.1 * DOG])  # the second dog looks like a cat
    means, counts = class_means(labeled, torch.tensor([0, 1, 1]), 2, torch.stack([CAT, DOG]))
    assert counts.tolist() == [2, 3]
    assert torch.allclose(means[1], (labeled[1] + labeled[2] + DOG) / 3)


def test_the_share_told_apart_leaves_each_image_out_of_its_mean(tokens: torch.Tensor) -> None:
    assert differences(tokens, NAMES).told_apart == 1
    drowned = tokens + 2 * torch.stack(
        [DARK, LIGHT, DARK, LIGHT]
    )  # nearest to its own mean by its own share of it alone
    assert differences(drowned, NAMES).told_apart == 0


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


def test_tuning_does_not_depend_on_it(
    tiny_checkpoint: Path, image_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "data=image_folder",
        f"data.root={image_folder}",
        "generator=ldm",
        f"generator.checkpoint={tiny_checkpoint}",
    ]
    tune_module.main([*words, "--dry-run", "precision=fp32", "condition=image"])
    plain = capsys.readouterr().out
    tune_module.main([*words, "--dry-run", "precision=fp32", "condition=borrowed"])
    assert capsys.readouterr().out == plain
