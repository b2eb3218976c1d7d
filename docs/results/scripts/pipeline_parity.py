"""Compares our drawings with those of diffusers' own pipelines and transformers' encoders, on random weights.

python docs/results/scripts/pipeline_parity.py

Needs transformers and peft (`make neighbors`). Every line has its largest difference and the bound that it must keep;
the exit code is 1 where one does not.
"""

from __future__ import annotations

import copy
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import diffusers
import open_clip
import torch
from diffusers import (
    AutoencoderKL,
    DDIMPipeline,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    LDMPipeline,
    LDMTextToImagePipeline,
    UNet2DConditionModel,
    UNet2DModel,
    VQModel,
)
from diffusers import StableDiffusionImageVariationPipeline as ImageVariations
from diffusers import StableDiffusionPipeline as TextToImage
from safetensors.torch import save_file
from torch import Tensor

from generators import lora
from generators.anl_ldm import ANLLatentDiffusion
from generators.checkpoints import open_checkpoint
from generators.ldm import LatentDiffusion
from generators.sampling import make_solver
from generators.seeded_noise import seeded_noise
from generators.settings import CLASS_PROMPT, SamplingSettings
from tests.generators import pipelines

BOUND = 1e-5
SEEDS = (5, 6, 7)
CLASSES = ("red_panda", "tram", "red_panda")
SIDE = 16  # pixels
STEPS = 20
PROMPTS = ("", "a photo of a car", "A  Photo of a Café-racer, 1967 (left)!", "don't & isn't", "car " * 100)

Row = tuple[str, float]


def write_tokenizer(folder: Path, pad: str) -> None:
    """CLIP's vocabulary as transformers' files."""
    known = open_clip.tokenizer.SimpleTokenizer()
    special = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    vocabulary = {special.get(token, token): number for token, number in known.encoder.items()}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *(" ".join(pair) for pair in known.bpe_ranks), ""]))
    names = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    facts = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "pad_token": pad, **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(facts))


def write_attentive(folder: Path, kind: str, prediction: str) -> Path:
    """A tiny pipeline in whose pictures the condition shows: random weights attend to all states alike, and weakly."""
    pipelines.write_pipeline(folder, kind, prediction)
    pipelines.rewrite(folder / pipelines.UNET_WEIGHTS, lambda tensors: {
        name: 6 * one if ".attn2.to_" in name and "out" not in name else one for name, one in tensors.items()
    })  # fmt: skip
    if kind == pipelines.TEXT:
        write_tokenizer(folder / "tokenizer", "<|endoftext|>" if prediction == "epsilon" else "!")
    return folder


def largest(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference of two tensors of one shape."""
    assert ours.shape == theirs.shape
    assert ours.std() > 0.05  # not both empty
    return float((ours - theirs).abs().max())


def draw(model: LatentDiffusion, images: Tensor, **sampling: Any) -> Tensor:
    """Our drawings of the three images, without a mask."""
    settings = SamplingSettings(**{"mask_rate": 0.0, "steps": STEPS, **sampling})
    return ANLLatentDiffusion(model, settings, SIDE)(images, CLASSES, SEEDS)


def told(pipe: Any, sampler: str, schedule: dict[str, Any]) -> Any:
    """One of diffusers' pipelines with our solver's options, without a bar."""
    options = dict(make_solver(sampler, schedule).config)
    pipe.scheduler = {"ddim": DDIMScheduler, "dpmpp": DPMSolverMultistepScheduler}[sampler].from_config(options)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def text_pipelines(folder: Path) -> Iterator[Row]:
    """Stable Diffusion 1.x (noise, end tokens, QuickGELU) and 2.x (v, exclamation marks)."""
    clip = str(folder / "open_clip_model.safetensors")
    images = torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) * 2 - 1
    for prediction in ("epsilon", "v_prediction"):
        path = write_attentive(folder / prediction, pipelines.TEXT, prediction)
        model = open_checkpoint(path, clip, with_text=True)
        assert model.text is not None
        pipe = TextToImage.from_pretrained(path, safety_checker=None, use_safetensors=True)
        ids = [pipe.tokenizer(prompt, padding="max_length", max_length=77, truncation=True) for prompt in PROMPTS]
        theirs = torch.tensor([one.input_ids for one in ids])
        ours = torch.cat([model.text.token_ids(prompt) for prompt in PROMPTS])
        yield f"{prediction}: tokens, {len(PROMPTS)} prompts", float((ours - theirs).abs().max())
        states = pipe.text_encoder(theirs).last_hidden_state
        yield f"{prediction}: text states (CLIPTextModel)", largest(model.prompt_states(PROMPTS), states)
        prompts = [CLASS_PROMPT.replace("{class}", name.replace("_", " ")) for name in CLASSES]
        for sampler in ("ddim", "dpmpp"):
            for guidance in (1.0, 3.0, 7.5):
                drawn = draw(
                    model, images, condition="class", class_prompt=CLASS_PROMPT, sampler=sampler, guidance=guidance
                )
                theirs = told(pipe, sampler, model.facts.schedule)(
                    prompts, latents=seeded_noise(SEEDS, (4, 8, 8)), num_inference_steps=STEPS, guidance_scale=guidance,
                    output_type="pt",
                ).images * 2 - 1  # fmt: skip
                yield f"{prediction}: StableDiffusionPipeline, {sampler}, guidance {guidance:g}", largest(drawn, theirs)


def image_variations(folder: Path) -> Iterator[Row]:
    """The image encoder, and drawings on its embeddings; the pictures are scaled to its size beforehand."""
    path = write_attentive(folder / "variations", pipelines.IMAGE, "epsilon")
    model = open_checkpoint(path)
    images = torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) * 2 - 1
    pipe = ImageVariations.from_pretrained(path, safety_checker=None, feature_extractor=None, use_safetensors=True)
    pixels = model.clip.preprocess(images)
    embeddings = pipe.image_encoder(pixels).image_embeds
    yield "image embeddings (CLIPVisionModelWithProjection)", largest(model.clip.embed_images(images)[:, 0], embeddings)
    for guidance in (1.0, 3.0):
        theirs = told(pipe, "ddim", model.facts.schedule)(
            pixels, latents=seeded_noise(SEEDS, (4, 8, 8)), num_inference_steps=STEPS, guidance_scale=guidance,
            output_type="pt",
        ).images * 2 - 1  # fmt: skip
        drawn = draw(model, images, guidance=guidance)
        yield f"StableDiffusionImageVariationPipeline, ddim, guidance {guidance:g}", largest(drawn, theirs)


def small_adapters(folder: Path) -> Iterator[Row]:
    """A file of our low-rank matrices, loaded by diffusers and merged by us."""
    path = write_attentive(folder / "adapted", pipelines.TEXT, "epsilon")
    model = open_checkpoint(path, str(folder / "open_clip_model.safetensors"), with_text=True)
    matrices = copy.deepcopy(model.unet)
    names = lora.add(matrices, 4, num_tokens=77, seed_of=len)
    drawn = torch.Generator().manual_seed(2)
    for name in names:
        if ".lora_B." in name:
            weight = matrices.get_parameter(name)
            weight.copy_(torch.randn(weight.shape, generator=drawn) / 10)
    adapter = lora.adapter_state(matrices, names)
    save_file(adapter, folder / "adapter.safetensors")
    images = torch.zeros(3, 3, SIDE, SIDE)
    before = draw(model, images, condition="class", class_prompt=CLASS_PROMPT, guidance=3.0)
    lora.merge(model.unet, adapter)
    after = draw(model, images, condition="class", class_prompt=CLASS_PROMPT, guidance=3.0)
    assert (after - before).abs().max() > 0.1  # the adapter shows
    pipe = told(TextToImage.from_pretrained(path, safety_checker=None), "ddim", model.facts.schedule)
    pipe.load_lora_weights(folder, weight_name="adapter.safetensors")
    prompts = [CLASS_PROMPT.replace("{class}", name.replace("_", " ")) for name in CLASSES]
    theirs = pipe(
        prompts, latents=seeded_noise(SEEDS, (4, 8, 8)), num_inference_steps=STEPS, guidance_scale=3.0, output_type="pt"
    ).images * 2 - 1  # fmt: skip
    yield "anl_lora's file in StableDiffusionPipeline.load_lora_weights, guidance 3", largest(after, theirs)


def text2im(folder: Path) -> Iterator[Row]:
    """LDMTextToImagePipeline with its own text encoder."""
    from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import LDMBertModel
    from transformers import BertTokenizer

    path = pipelines.write_pipeline(folder / "words", pipelines.WORDS)
    model = open_checkpoint(path, str(folder / "open_clip_model.safetensors"))
    bert = LDMBertModel.from_pretrained(path / "bert")
    tokenizer = BertTokenizer(str(path / "tokenizer/vocab.txt"))
    unet = UNet2DConditionModel.from_pretrained(path / "unet")
    vqvae = AutoencoderKL.from_pretrained(path / "vqvae")
    pipe = told(LDMTextToImagePipeline(vqvae, bert, tokenizer, unet, None), "ddim", model.facts.schedule)
    prompts = [CLASS_PROMPT.replace("{class}", name.replace("_", " ")) for name in CLASSES]
    ids = torch.tensor(tokenizer(prompts, padding="max_length", max_length=77, truncation=True).input_ids)
    yield "text2im: text states (LDMBertModel)", largest(model.prompt_states(prompts), bert(ids)[0])
    for guidance in (1.0, 3.0):
        theirs = pipe(
            prompts, latents=seeded_noise(SEEDS, (4, 8, 8)), num_inference_steps=STEPS, guidance_scale=guidance,
            height=64, width=64, output_type="np",  # it takes 8 pixels to be one latent's
        ).images  # fmt: skip
        ours = draw(
            model, torch.zeros(3, 3, SIDE, SIDE), condition="class", class_prompt=CLASS_PROMPT, guidance=guidance
        )
        found = torch.from_numpy(theirs).permute(0, 3, 1, 2) * 2 - 1
        yield f"LDMTextToImagePipeline, ddim, guidance {guidance:g}", largest(ours, found)


def unconditional(folder: Path) -> Iterator[Row]:
    """Pipelines without a condition, untuned: what is inserted changes nothing yet."""
    for kind in (pipelines.PIXELS, pipelines.LATENTS):
        path = pipelines.write_unconditional(folder / kind, kind)
        model = open_checkpoint(path, str(folder / "open_clip_model.safetensors"))
        unet = UNet2DModel.from_pretrained(path / "unet")
        scheduler = DDIMScheduler.from_config(dict(make_solver("ddim", model.facts.schedule).config))
        noise = seeded_noise(SEEDS, model.shape_at(SIDE))
        if kind == pipelines.PIXELS:
            pipe: Any = DDIMPipeline(unet, scheduler)
        else:
            pipe = LDMPipeline(VQModel.from_pretrained(path / "vqvae"), unet, scheduler)
        pipe.set_progress_bar_config(disable=True)
        with patch.object(sys.modules[type(pipe).__module__], "randn_tensor", return_value=noise):
            found = pipe(batch_size=3, num_inference_steps=STEPS, output_type="np").images
        theirs = torch.from_numpy(found).permute(0, 3, 1, 2) * 2 - 1
        ours = draw(model, torch.zeros(3, 3, SIDE, SIDE))
        yield f"{type(pipe).__name__} of a {kind}, ddim", largest(ours, theirs)


@torch.no_grad()
def compare() -> list[Row]:
    """Every line of the table."""
    clip = {pipelines.WIDTH: "ViT-L-14-quickgelu"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            patch("generators.pipeline_clip.CLIP_OF_WIDTH", clip),
            patch("generators.pipeline_clip.clip_config", lambda _: pipelines.CLIP),
            patch("generators.unconditional_pipeline.clip_config", lambda _: pipelines.CLIP),
        ):
            pipelines.write_clip_weights(folder / "open_clip_model.safetensors")
            parts = (text_pipelines, image_variations, small_adapters, text2im, unconditional)
            return [row for part in parts for row in part(folder)]


def main() -> None:
    """Prints the table in Markdown."""
    diffusers.logging.set_verbosity_error()
    diffusers.logging.disable_progress_bar()
    found = compare()
    print("| compared | largest difference |\n|---|---|")
    for what, difference in found:
        print(f"| {what} | {difference:.1e} |")
    if any(difference > BOUND for _, difference in found):
        sys.exit(f"more than {BOUND:g}")


if __name__ == "__main__":
    main()
