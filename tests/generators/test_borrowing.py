"""Conditions of one class with the rest of another labeled image."""

from pathlib import Path

import pytest
import torch

from generators.borrowing import borrow, differences, lender
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
