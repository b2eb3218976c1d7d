"""Our small adapters in diffusers: its pipeline takes the file as it is and draws what we draw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from generators import lora
from generators.anl_ldm import ANLLatentDiffusion
from generators.build import build_generator
from ssl_aug import tune as tune_module
from ssl_aug.command_line import compose
from ssl_aug.settings import Settings
from ssl_aug.tuning.adapter import read_adapter
from tests.conftest import tiny_unet, write_image_folder
from tests.generators.pipelines import WIDTH, write_pipeline

pytestmark = [pytest.mark.neighbors, pytest.mark.filterwarnings("ignore")]

NUM_TOKENS = 8  # of the tiny text encoder


def text_to_image(folder: Path) -> Any:
    """diffusers' own text-to-image pipeline of the networks of a folder, with a tiny text encoder."""
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    words = folder / "words"
    words.mkdir(exist_ok=True)
    vocabulary = ["<|startoftext|>", "<|endoftext|>", *"cart", *(f"{letter}</w>" for letter in "cart")]
    (words / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(vocabulary)}))
    (words / "merges.txt").write_text("#version: 0.2\n")
    torch.manual_seed(8)
    text = CLIPTextConfig(
        vocab_size=len(vocabulary), hidden_size=WIDTH, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=NUM_TOKENS, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    return StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(folder / "vae"),
        text_encoder=CLIPTextModel(text).eval(),
        tokenizer=CLIPTokenizer.from_pretrained(words, model_max_length=NUM_TOKENS),
        unet=UNet2DConditionModel.from_pretrained(folder / "unet"),
        scheduler=DDIMScheduler.from_pretrained(folder / "scheduler", clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def picture(pipe: Any) -> torch.Tensor:
    pipe.set_progress_bar_config(disable=True)
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(6))
    drawn: torch.Tensor = pipe("a cart", latents=latents, num_inference_steps=5, guidance_scale=3, output_type="pt")[0]
    return drawn


@pytest.mark.parametrize("tokens", ["pooled", "patches"])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])  # with convolutions and with linear layers
@torch.no_grad()
def test_a_pipeline_of_diffusers_draws_with_our_adapter_what_we_draw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prediction: str, tokens: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos")
    model = write_pipeline(tmp_path / "model", prediction=prediction)
    words = [
        "data=image_folder", "data.root=photos", "data.labels_per_class=2", "generator=ldm", "tune.approach=anl_lora",
        f"generator.checkpoint={model}", f"generator.tokens={tokens}", "tune.rank=4", "tune.steps=5",
        "tune.batch_size=4", "tune.base_learning_rate=1e-2", "tune.root=out", "device=cpu", "precision=fp32",
    ]  # fmt: skip
    with torch.enable_grad():
        tune_module.main(words)
    adapter = next(tmp_path.glob("out/*/adapter_000005.safetensors"))
    settings = compose("tune", words, Settings)
    ours = build_generator(settings.generator, settings.sampling(), read_adapter(adapter))
    assert isinstance(ours, ANLLatentDiffusion)

    plain, theirs, merged = (text_to_image(model) for _ in range(3))
    theirs.load_lora_weights(adapter.parent, weight_name=adapter.name)
    inputs = (torch.randn(2, 4, 8, 8), torch.tensor([3, 700]), torch.randn(2, ours.model.clip.num_tokens, WIDTH))
    expected = ours.model.unet(*inputs).sample
    assert (theirs.unet(*inputs).sample - expected).abs().max() < 1e-5
    assert (plain.unet(*inputs).sample - expected).abs().max() > 0.1
    merged.unet.load_state_dict(ours.model.unet.state_dict())
    assert (picture(theirs) - picture(merged)).abs().max() < 1e-4
    assert (picture(theirs) - picture(plain)).abs().max() > 0.01

    num_matrices = len(read_adapter(adapter).weights)
    assert sum("lora_" in name for name, _ in theirs.unet.named_parameters()) == num_matrices


def test_the_matrices_at_the_start_are_of_pefts_names_shapes_and_size() -> None:
    """peft's own LoRA on the same layers of the same UNet."""
    from peft import LoraConfig, get_peft_model_state_dict

    unet = tiny_unet()
    layers = list(lora.layers_of(unet, num_tokens=77))
    theirs = tiny_unet()
    theirs.add_adapter(LoraConfig(r=4, lora_alpha=4, target_modules=layers, init_lora_weights=True))
    expected = get_peft_model_state_dict(theirs)
    found = lora.adapter_state(unet, lora.add(unet, 4, 77, seed_of=len))
    assert {name: tensor.shape for name, tensor in found.items()} == {
        f"unet.{name}": tensor.shape for name, tensor in expected.items()
    }
    for name, tensor in expected.items():
        ours = found[f"unet.{name}"]
        if "lora_A" in name:
            bound = tensor[0].numel() ** -0.5
            assert all(0.8 * bound < one.abs().max() <= bound for one in (ours, tensor))
        else:
            assert not ours.any() and not tensor.any()
