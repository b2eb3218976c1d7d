"""The contract of every registered generator."""

from pathlib import Path
from typing import Any

import pytest
import torch

from generators import anl_ldm
from generators.anl_ldm import ANLLatentDiffusion
from generators.base import Generator
from generators.build import GENERATORS, build_generator
from generators.settings import GeneratorSettings, SamplingSettings

NAMES = ("cat", "dog", "eel", "fox", "gnu")
SEEDS = (5, 17, 2**62, 0, 99)


def make(name: str, checkpoint: Path, sampling: SamplingSettings | None = None) -> Generator:
    settings = GeneratorSettings(name, None if name == "noise" else str(checkpoint), 16)
    return build_generator(settings, sampling or SamplingSettings(sampler="dpmpp", steps=3))


def made_with_lenders(checkpoint: Path, sampling: SamplingSettings, reference: torch.Tensor) -> ANLLatentDiffusion:
    """The latent diffusion model, told of the references and their negatives as the labeled images."""
    generator = make("ldm", checkpoint, sampling)
    assert isinstance(generator, ANLLatentDiffusion)
    generator.remember(embedded(generator, reference), (*NAMES, *NAMES))
    return generator


@pytest.fixture
def reference() -> torch.Tensor:
    return torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1


def embedded(generator: ANLLatentDiffusion, reference: torch.Tensor) -> torch.Tensor:
    """(10, d) tokens of the references and their negatives."""
    return generator.model.clip.embed_images(torch.cat([reference, -reference]))[:, 0]


def test_borrowed_rows_depend_on_their_own_inputs_and_the_labeled_images(
    tiny_checkpoint: Path, reference: torch.Tensor
) -> None:
    sampling = SamplingSettings(sampler="dpmpp", steps=3, condition="borrowed")
    generator = made_with_lenders(tiny_checkpoint, sampling, reference)
    together = generator(reference, NAMES, SEEDS)
    alone = [generator(reference[i : i + 1], NAMES[i : i + 1], SEEDS[i : i + 1]) for i in range(5)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-4)


@pytest.mark.parametrize("name", GENERATORS)
class TestEveryGenerator:
    def test_draws_one_image_per_row_in_range(self, name: str, tiny_checkpoint: Path, reference: torch.Tensor) -> None:
        images = make(name, tiny_checkpoint)(reference, NAMES, SEEDS)
        assert images.shape == reference.shape
        assert images.dtype == torch.float32
        assert images.abs().max() <= 1

    def test_rows_depend_on_nothing_but_their_own_inputs(
        self, name: str, tiny_checkpoint: Path, reference: torch.Tensor
    ) -> None:
        generator = make(name, tiny_checkpoint)
        together = generator(reference, NAMES, SEEDS)
        alone = torch.cat([generator(reference[i : i + 1], NAMES[i : i + 1], SEEDS[i : i + 1]) for i in range(5)])
        order = [3, 0, 4]
        some = generator(reference[order], [NAMES[i] for i in order], [SEEDS[i] for i in order])
        assert torch.allclose(together, alone, atol=1e-4)
        assert torch.allclose(together[order], some, atol=1e-4)

    def test_same_inputs_give_the_same_bits(self, name: str, tiny_checkpoint: Path, reference: torch.Tensor) -> None:
        first, second = (make(name, tiny_checkpoint)(reference, NAMES, SEEDS) for _ in range(2))
        assert torch.equal(first, second)

    def test_another_seed_gives_another_image(self, name: str, tiny_checkpoint: Path, reference: torch.Tensor) -> None:
        same = reference[:1].expand(2, -1, -1, -1)
        images = make(name, tiny_checkpoint)(same, ("cat", "cat"), (1, 2))
        assert (images[0] - images[1]).abs().mean() > 1e-3

    def test_the_inputs_are_not_modified(self, name: str, tiny_checkpoint: Path, reference: torch.Tensor) -> None:
        before = reference.clone()
        make(name, tiny_checkpoint)(reference, NAMES, SEEDS)
        assert torch.equal(reference, before)


SAMPLING_CHANGES: list[dict[str, Any]] = [
    {"mask_rate": 0.9},
    {"mask_fill": "black"},
    {"sampler": "ddim", "steps": 4},
    {"steps": 7},
    {"guidance": 3.0},
    {"prompt": "a red car"},
    {"condition": "none"},
    {"condition": "borrowed"},
    {"strength": 0.5},
]


@pytest.mark.parametrize("change", SAMPLING_CHANGES, ids=str)
def test_every_sampling_setting_changes_the_image(
    change: dict[str, Any], tiny_checkpoint: Path, reference: torch.Tensor
) -> None:
    base: dict[str, Any] = {"sampler": "dpmpp", "steps": 4, "mask_rate": 0.5}
    plain = make("ldm", tiny_checkpoint, SamplingSettings(**base))(reference, NAMES, SEEDS)
    changed = made_with_lenders(tiny_checkpoint, SamplingSettings(**{**base, **change}), reference)
    assert not torch.equal(plain, changed(reference, NAMES, SEEDS))


@pytest.mark.parametrize("most", [len(SEEDS), len(SEEDS) - 1], ids=["both passes at once", "apart"])
def test_few_images_take_both_guided_passes_as_one_batch(
    most: int, tiny_checkpoint: Path, reference: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = make("ldm", tiny_checkpoint, SamplingSettings(sampler="dpmpp", steps=3, guidance=3.0))
    assert isinstance(generator, ANLLatentDiffusion)
    monkeypatch.setattr(anl_ldm, "BOTH_AT_ONCE", 0)
    apart = generator(reference, NAMES, SEEDS)
    monkeypatch.setattr(anl_ldm, "BOTH_AT_ONCE", most)
    rows: list[int] = []
    generator.model.unet.register_forward_pre_hook(lambda network, given: rows.append(len(given[0])))
    assert torch.allclose(generator(reference, NAMES, SEEDS), apart, atol=1e-4)
    assert rows == ([10] * 3 if most == len(SEEDS) else [5] * 6)


def test_all_sampling_settings_are_covered() -> None:
    # class_means decides which images the generator is told of, and nothing after that; class_prompt has its effect on
    # text pipelines (test_text_conditions)
    covered = {name for change in SAMPLING_CHANGES for name in change} | {"class_means", "class_prompt"}
    assert covered == set(SamplingSettings.__dataclass_fields__)


def test_with_a_prompt_the_reference_does_not_matter(tiny_checkpoint: Path, reference: torch.Tensor) -> None:
    generator = make("ldm", tiny_checkpoint, SamplingSettings(sampler="dpmpp", steps=3, prompt="a red car"))
    assert torch.equal(generator(reference, NAMES, SEEDS), generator(-reference, NAMES, SEEDS))


def test_unknown_generators_and_settings_without_effect_are_named(tiny_checkpoint: Path) -> None:
    with pytest.raises(ValueError, match="generator=gan: choose one of embedded, ldm, noise"):
        build_generator(GeneratorSettings("gan"), SamplingSettings())
    with pytest.raises(ValueError, match="no effect"):
        build_generator(GeneratorSettings("noise", str(tiny_checkpoint)), SamplingSettings())
    with pytest.raises(ValueError, match=r"generator\.checkpoint=FOLDER"):
        build_generator(GeneratorSettings("ldm"), SamplingSettings())
