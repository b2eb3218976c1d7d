"""Tiny diffusers pipelines with random weights, as folders."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    PNDMScheduler,
    UNet2DConditionModel,
    UNet2DModel,
    VQModel,
)
from safetensors.torch import load_file, save_file
from torch import Tensor

from generators import pipeline_clip
from generators.conditioning import ClipEncoder
from generators.ldm_bert import LDMBert, sizes_of

TEXT, IMAGE = "StableDiffusionPipeline", "StableDiffusionImageVariationPipeline"
WORDS = "LDMTextToImagePipeline"
PIXELS, LATENTS = "DDPMPipeline", "LDMPipeline"
WIDTH = 16  # of a token, as conftest's TINY_CLIP gives
VISION: dict[str, Any] = {
    "architectures": ["CLIPVisionModelWithProjection"],
    "hidden_size": 16,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 8,
    "projection_dim": WIDTH,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}
TEXT_CONFIG: dict[str, Any] = {
    "architectures": ["CLIPTextModel"],
    "hidden_size": WIDTH,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 49408,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}
# The CLIP of the text pipelines, whose own text encoder is its text tower.
CLIP: dict[str, Any] = {
    "embed_dim": WIDTH,
    "vision_cfg": {"image_size": 16, "patch_size": 8, "width": 16, "layers": 1, "head_width": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": WIDTH, "heads": 2, "layers": 1},
}
BERT: dict[str, Any] = {  # LDMBertModel's
    "vocab_size": 12, "max_position_embeddings": 77, "d_model": WIDTH, "encoder_layers": 2, "encoder_ffn_dim": 24,
    "encoder_attention_heads": 2, "head_dim": 4, "activation_function": "gelu",
}  # fmt: skip
PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "photo", "of", "tram", "red", "pan", "##da", "car")
UNET_WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
VAE_WEIGHTS = "vae/diffusion_pytorch_model.safetensors"
ENCODER_WEIGHTS = "image_encoder/model.safetensors"
TEXT_WEIGHTS = "text_encoder/model.safetensors"


def write_pipeline(folder: Path, kind: str = IMAGE, prediction: str = "epsilon", **unet: Any) -> Path:
    """A pipeline of 16x16 images, always the same; `unet` has settings that differ."""
    torch.manual_seed(3)
    autoencoder = "vqvae" if kind == WORDS else "vae"
    settings = {
        "sample_size": 8,
        "block_out_channels": (32, 64),
        "layers_per_block": 1,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": WIDTH,
        "attention_head_dim": [2, 4],
        "use_linear_projection": prediction == "v_prediction",
        **unet,
    }
    UNet2DConditionModel(**settings).save_pretrained(folder / "unet")
    AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(32, 32),
        sample_size=16,
    ).save_pretrained(folder / autoencoder)
    PNDMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1,
        prediction_type=prediction,
    ).save_pretrained(folder / "scheduler")  # fmt: skip
    parts = {"unet": ["diffusers", "UNet2DConditionModel"], autoencoder: ["diffusers", "AutoencoderKL"]}
    if kind == IMAGE:
        parts["image_encoder"] = ["transformers", "CLIPVisionModelWithProjection"]
        (folder / "image_encoder").mkdir()
        (folder / "image_encoder/config.json").write_text(json.dumps(VISION))
        save_file(vision_weights(), folder / ENCODER_WEIGHTS)
    if kind == TEXT:
        parts["text_encoder"] = ["transformers", "CLIPTextModel"]
        parts["tokenizer"] = ["transformers", "CLIPTokenizer"]
        for name in ("text_encoder", "tokenizer"):
            (folder / name).mkdir()
        (folder / "text_encoder/config.json").write_text(json.dumps(TEXT_CONFIG))
        save_file(text_weights(), folder / TEXT_WEIGHTS)
        pad = {"content": "<|endoftext|>"} if prediction == "epsilon" else "!"  # as Stable Diffusion 1.x and 2.x
        (folder / "tokenizer/special_tokens_map.json").write_text(json.dumps({"pad_token": pad}))
    if kind == WORDS:
        parts["bert"] = ["latent_diffusion", "LDMBertModel"]
        parts["tokenizer"] = ["transformers", "BertTokenizer"]
        for name in ("bert", "tokenizer"):
            (folder / name).mkdir()
        (folder / "bert/config.json").write_text(json.dumps(BERT))
        text = LDMBert(sizes_of(BERT, folder / "bert/config.json"))
        save_file({name: 2 * one for name, one in text.state_dict().items()}, folder / "bert/model.safetensors")
        (folder / "tokenizer/vocab.txt").write_text("\n".join(PIECES) + "\n")
    index = {"_class_name": kind, "_diffusers_version": "0.42.1", **parts, "scheduler": ["diffusers", "PNDMScheduler"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def write_clip(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The text pipelines' CLIP in open_clip's names, always the same; the tokens of `WIDTH` are from now on its own."""
    monkeypatch.setattr(pipeline_clip, "CLIP_OF_WIDTH", {WIDTH: "ViT-L-14-quickgelu"})
    monkeypatch.setattr(pipeline_clip, "clip_config", lambda name: CLIP)
    return write_clip_weights(path)


def write_clip_weights(path: Path) -> Path:
    """Weights of `CLIP`, always the same."""
    torch.manual_seed(5)
    weights = ClipEncoder(CLIP, None).model.state_dict()
    places = text_weights("")["embeddings.position_embedding.weight"]
    save_file({**weights, "positional_embedding": places}, path)
    return path


def write_unconditional(
    folder: Path, kind: str = PIXELS, is_flat: bool = False, vqvae: type[VQModel | AutoencoderKL] = VQModel, **unet: Any
) -> Path:
    """An unconditional pipeline of 16x16 images, always the same; `unet` has settings that differ.

    Args:
        is_flat: the network and its scheduler lie in the pipeline's folder itself, as in the first ones.
    """
    torch.manual_seed(6)
    settings = {
        "sample_size": 16 if kind == PIXELS else 8,
        "block_out_channels": (32, 64),
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
        **unet,
    }
    parts = {"unet": ["diffusers", "UNet2DModel"]}
    UNet2DModel(**settings).save_pretrained(folder if is_flat else folder / "unet")
    if kind == PIXELS:
        scheduler: Any = DDPMScheduler()
    else:
        scheduler = DDIMScheduler(beta_start=0.0015, beta_end=0.0195, beta_schedule="scaled_linear", clip_sample=False)
        parts["vqvae"] = ["diffusers", vqvae.__name__]
        vqvae(
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
            block_out_channels=(32, 32), latent_channels=settings.get("in_channels", 3), sample_size=16,
            scaling_factor=0.5,
        ).save_pretrained(folder / "vqvae")  # fmt: skip
    scheduler.save_pretrained(folder if is_flat else folder / "scheduler")
    parts["scheduler"] = ["diffusers", type(scheduler).__name__]
    (folder / "model_index.json").write_text(json.dumps({"_class_name": kind, "_diffusers_version": "0.0.4", **parts}))
    return folder


def vision_weights(prefix: str = "vision_model.") -> dict[str, Tensor]:
    """Random weights under transformers' names; `prefix` is that of versions before 5."""
    width, hidden = VISION["hidden_size"], VISION["intermediate_size"]
    patches = (VISION["image_size"] // VISION["patch_size"]) ** 2
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.class_embedding": (width,),
        "embeddings.patch_embedding.weight": (width, 3, VISION["patch_size"], VISION["patch_size"]),
        "embeddings.position_embedding.weight": (1 + patches, width),
    }
    for name in ("pre_layrnorm", "post_layernorm"):
        shapes |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    shapes |= _block_shapes(VISION["num_hidden_layers"], width, hidden)
    generator = torch.Generator().manual_seed(4)
    drawn = {prefix + name: torch.randn(shape, generator=generator) / 4 for name, shape in shapes.items()}
    return {**drawn, "visual_projection.weight": torch.randn(WIDTH, width, generator=generator)}


def text_weights(prefix: str = "text_model.") -> dict[str, Tensor]:
    """Random weights of CLIPTextModel under transformers' names; `prefix` is that of versions before 5."""
    width = TEXT_CONFIG["hidden_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.token_embedding.weight": (TEXT_CONFIG["vocab_size"], width),
        "embeddings.position_embedding.weight": (TEXT_CONFIG["max_position_embeddings"], width),
        "final_layer_norm.weight": (width,),
        "final_layer_norm.bias": (width,),
    }
    shapes |= _block_shapes(TEXT_CONFIG["num_hidden_layers"], width, TEXT_CONFIG["intermediate_size"])
    generator = torch.Generator().manual_seed(6)
    return {prefix + name: torch.randn(shape, generator=generator) / 2 for name, shape in shapes.items()}


def _block_shapes(num_layers: int, width: int, hidden: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for number in range(num_layers):
        layer = f"encoder.layers.{number}."
        for name in ("layer_norm1", "layer_norm2"):
            shapes |= {f"{layer}{name}.weight": (width,), f"{layer}{name}.bias": (width,)}
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= {f"{layer}self_attn.{name}.weight": (width, width), f"{layer}self_attn.{name}.bias": (width,)}
        shapes |= {f"{layer}mlp.fc1.weight": (hidden, width), f"{layer}mlp.fc1.bias": (hidden,)}
        shapes |= {f"{layer}mlp.fc2.weight": (width, hidden), f"{layer}mlp.fc2.bias": (width,)}
    return shapes


def rewrite(path: Path, change: Any) -> None:
    """Changes the JSON object or the tensors of a file."""
    if path.suffix == ".json":
        content = json.loads(path.read_text())
        content.update(change)
        path.write_text(json.dumps(content))
    else:
        tensors = load_file(path)
        path.unlink()
        save_file(change(tensors), path)


def write_head(path: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """A .safetensors file in half precision whose content takes no disk: nothing but its head is written."""
    head, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * math.prod(shape)
        head[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [start, end]}
    encoded = json.dumps(head).encode()
    with path.open("wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        file.truncate(8 + len(encoded) + end)
