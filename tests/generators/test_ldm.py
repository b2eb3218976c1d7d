"""The model's folder, its two ways between images and latents, and the condition."""

import copy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from generators import anl, ldm, model_folder
from generators.conditioning import ClipEncoder
from generators.model_facts import read_facts
from tests.conftest import TINY_CLIP


def test_saving_and_loading_gives_the_same_outputs(tiny_model: ldm.LatentDiffusion, tiny_checkpoint: Path) -> None:
    loaded = model_folder.load(tiny_checkpoint)
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    latents, token = tiny_model.encode(images), tiny_model.clip.embed_images(images)
    assert torch.equal(loaded.encode(images), latents)
    assert torch.equal(loaded.decode(latents), tiny_model.decode(latents))
    assert torch.equal(loaded.clip.embed_images(images), token)
    step = torch.tensor(5)
    assert torch.equal(loaded.unet(latents, step, token).sample, tiny_model.unet(latents, step, token).sample)


def test_half_precision_storage_loads_as_float32(tiny_model: ldm.LatentDiffusion, tmp_path: Path) -> None:
    model_folder.save(tiny_model, tmp_path, torch.float16)
    assert {parameter.dtype for parameter in model_folder.load(tmp_path).parameters()} == {torch.float32}


@pytest.mark.parametrize("change", ["missing", "unknown", "of another shape"])
def test_weights_that_do_not_fit_are_named(tiny_model: ldm.LatentDiffusion, tmp_path: Path, change: str) -> None:
    model_folder.save(tiny_model, tmp_path)
    weights = load_file(tmp_path / "unet.safetensors")
    if change == "missing":
        del weights["conv_in.bias"]
    elif change == "unknown":
        weights["conv_in.extra"] = torch.ones(1)
    else:
        weights["conv_in.bias"] = torch.ones(3)
    save_file(weights, tmp_path / "unet.safetensors")
    with pytest.raises(ValueError, match=rf"1 {change} \(conv_in"):
        model_folder.load(tmp_path)


def test_a_file_that_is_not_there_is_named(tiny_model: ldm.LatentDiffusion, tmp_path: Path) -> None:
    model_folder.save(tiny_model, tmp_path, with_clip=False)
    (tmp_path / "unet.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"unet\.json, clip\.safetensors missing; a model's folder holds"):
        model_folder.load(tmp_path)


def test_a_damaged_or_newer_folder_is_named(tiny_model: ldm.LatentDiffusion, tmp_path: Path) -> None:
    model_folder.save(tiny_model, tmp_path)
    (tmp_path / "clip.safetensors").write_bytes(b"torn")
    with pytest.raises(ValueError, match=r"clip\.safetensors is damaged"):
        model_folder.load(tmp_path)
    (tmp_path / "model.json").write_text('{"format": 2, "new": true}')
    with pytest.raises(ValueError, match="format 2, this version reads 1"):
        model_folder.load(tmp_path)


@pytest.mark.parametrize("content", ["torn", "[1]", '{"format": 1}', '{"format": 1, "new": true}'])
def test_damaged_facts_are_named(tiny_model: ldm.LatentDiffusion, tmp_path: Path, content: str) -> None:
    model_folder.save(tiny_model, tmp_path)
    (tmp_path / "model.json").write_text(content)
    with pytest.raises(ValueError, match=r"model\.json is damaged"):
        model_folder.load(tmp_path)


def test_clip_weights_beside_a_models_own_are_refused(tiny_checkpoint: Path) -> None:
    with pytest.raises(ValueError, match=r"clip_checkpoint has no effect: .* holds its own clip\.safetensors"):
        model_folder.load(tiny_checkpoint, "openai")


def test_parts_of_different_models_are_refused(tiny_model: ldm.LatentDiffusion) -> None:
    facts = copy.deepcopy(tiny_model.facts)
    facts.clip = {**facts.clip, "embed_dim": 8}
    with pytest.raises(ValueError, match="16 values, CLIP gives 8"):
        ldm.LatentDiffusion(facts, tiny_model.unet, tiny_model.autoencoder)


def test_latents_are_scaled_once_each_way(tiny_model: ldm.LatentDiffusion) -> None:
    scaled = copy.deepcopy(tiny_model)
    scaled.facts.latent_scale = 0.5
    images = torch.rand(1, 3, 16, 16) * 2 - 1
    assert torch.allclose(scaled.encode(images), 0.5 * tiny_model.encode(images))
    assert torch.allclose(scaled.decode(scaled.encode(images)), tiny_model.decode(tiny_model.encode(images)))


def test_an_image_size_that_does_not_divide_is_named(tiny_model: ldm.LatentDiffusion) -> None:
    assert tiny_model.shape_at(24) == (4, 6, 6)
    with pytest.raises(ValueError, match="multiples of 8"):
        tiny_model.shape_at(20)


def test_zero_initialize_makes_the_output_zero(tiny_model: ldm.LatentDiffusion) -> None:
    unet = copy.deepcopy(tiny_model.unet)
    ldm.zero_initialize(unet)
    out = unet(torch.randn(1, 4, 4, 4), torch.tensor(7), torch.randn(1, 1, 16)).sample
    assert out.abs().max() == 0


def test_text_tokens_have_the_images_norm(tiny_clip: ClipEncoder) -> None:
    tokens = tiny_clip.embed_texts(["a red car", "a truck"])
    assert tokens.shape == (2, 1, 16)
    assert torch.allclose(tokens.norm(dim=-1), torch.full((2, 1), 4.0), atol=1e-4)


def test_clip_mean_fill_is_zero_after_its_normalization(tiny_clip: ClipEncoder) -> None:
    image = tiny_clip.fill("mean")[None, :, None, None].expand(1, 3, 16, 16)
    assert tiny_clip.preprocess(image).abs().max() < 1e-6


def test_images_of_any_size_are_embedded(tiny_clip: ClipEncoder) -> None:
    smooth = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64)
    small = torch.nn.functional.interpolate(smooth, (16, 16), mode="bicubic", antialias=True)
    assert torch.allclose(tiny_clip.embed_images(smooth), tiny_clip.embed_images(small), atol=1e-4)


def test_patch_tokens_begin_with_the_pooled_one_and_follow_the_patches(tiny_clip: ClipEncoder) -> None:
    patches = copy.deepcopy(tiny_clip)
    patches.tokens = "patches"
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    tokens = patches.embed_images(images)
    assert (tiny_clip.num_tokens, patches.num_tokens) == (1, 5)
    assert tokens.shape == (2, 5, 16)
    assert torch.allclose(tokens[:, :1], tiny_clip.embed_images(images), atol=1e-5)


def test_patch_tokens_of_a_convolutional_tower_are_refused() -> None:
    config = {**TINY_CLIP, "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 16}}
    clip = ClipEncoder(config, image_norm=4.0)
    assert clip.embed_images(torch.zeros(1, 3, 32, 32)).shape == (1, 1, 16)
    clip.tokens = "patches"
    with pytest.raises(ValueError, match="no transformer; use tokens=pooled"):
        clip.embed_images(torch.zeros(1, 3, 32, 32))


def test_a_null_token_is_kept(tiny_model: ldm.LatentDiffusion, tmp_path: Path) -> None:
    model = copy.deepcopy(tiny_model)
    model.null_token.copy_(torch.arange(16.0)[None])
    model_folder.save(model, tmp_path)
    assert torch.equal(model_folder.load(tmp_path).null_tokens(2, 1)[1, 0], torch.arange(16.0))


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_model_predicts_with_its_network_or_with_what_wraps_it(
    tiny_model: ldm.LatentDiffusion, wrapped: bool
) -> None:
    torch.manual_seed(0)
    z_t, t, c = torch.randn(2, *tiny_model.latent_shape), torch.tensor([3, 700]), torch.randn(2, 1, 16)
    expected = tiny_model.unet(z_t, t, c).sample
    calls: list[Tensor] = []

    def network(latents: Tensor, steps: Tensor, encoder_hidden_states: Tensor) -> SimpleNamespace:
        calls.append(encoder_hidden_states)
        return SimpleNamespace(sample=-latents)

    predicted = tiny_model.predict(z_t, t, c, network if wrapped else None)
    assert torch.equal(predicted, -z_t if wrapped else expected)
    assert len(calls) == wrapped


def test_an_unconditional_model_is_given_no_tokens(tiny_model: ldm.LatentDiffusion) -> None:
    model = copy.deepcopy(tiny_model)
    anl.make_unconditional(model.unet)
    model.is_unconditional = True
    torch.manual_seed(0)
    z_t, t = torch.randn(2, *model.latent_shape), torch.tensor([3, 700])
    assert torch.equal(model.predict(z_t, t, torch.randn(2, 1, 16)), model.predict(z_t, t, None))


def test_a_shift_of_the_latents_is_kept_and_none_leaves_the_models_id(
    tiny_model: ldm.LatentDiffusion, tmp_path: Path
) -> None:
    shifted = copy.deepcopy(tiny_model)
    shifted.facts.latent_shift = 0.25
    for name, model in (("plain", tiny_model), ("shifted", shifted)):
        model_folder.save(model, tmp_path / name)
    assert read_facts(tmp_path / "shifted").latent_shift == 0.25
    assert read_facts(tmp_path / "plain").latent_shift == 0
    assert "latent_shift" not in (tmp_path / "plain" / "model.json").read_text()
