"""Tunes Stable Diffusion 1.5 at full size, with random weights, for one step and draws two pictures: time and memory.

python docs/results/scripts/full_size_pipeline.py FOLDER [name=value ...]

Writes the pipeline and its CLIP to FOLDER (5 GB) where they are not there, and eight pictures to tune on. The words are
added to the commands.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from generators import anl
from generators.text_encoder import TextEncoder, TextSettings

UNET: dict[str, Any] = {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
AUTOENCODER: dict[str, Any] = {
    "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "sample_size": 512,
    "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4,
}  # fmt: skip
TEXT: dict[str, Any] = {
    "architectures": ["CLIPTextModel"], "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
    "num_attention_heads": 12, "vocab_size": 49408, "max_position_embeddings": 77, "hidden_act": "quick_gelu",
}  # fmt: skip
CLIP_NAME = "ViT-L-14-quickgelu"
_THEIRS = {  # open_clip's names of text layers, and transformers'
    "attn.out_proj": "self_attn.out_proj", "ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}  # fmt: skip


def write(folder: Path) -> None:
    """The pipeline's folder, its CLIP and the pictures."""
    torch.manual_seed(0)
    UNet2DConditionModel(**UNET).half().save_pretrained(folder / "sd15/unet")
    AutoencoderKL(**AUTOENCODER).half().save_pretrained(folder / "sd15/vae")
    DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear").save_pretrained(
        folder / "sd15/scheduler"
    )
    for name in ("text_encoder", "tokenizer"):
        (folder / "sd15" / name).mkdir(exist_ok=True)
    (folder / "sd15/text_encoder/config.json").write_text(json.dumps(TEXT))
    (folder / "sd15/tokenizer/special_tokens_map.json").write_text('{"pad_token": "<|endoftext|>"}')
    text = TextEncoder(TextSettings(768, 12, 12, 3072, quick_gelu=True, num_states=77, pad_id=49407))
    nn.init.normal_(text.positional_embedding, std=0.01)
    save_file(of_transformers(text), folder / "sd15/text_encoder/model.safetensors")
    clip = open_clip.CLIP(**open_clip.get_model_config(CLIP_NAME))
    state = {**clip.state_dict(), "positional_embedding": text.positional_embedding.detach()}
    save_file({name: one.half().contiguous() for name, one in state.items()}, folder / "open_clip_model.safetensors")
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in ("hatchback", "pickup_truck"):
            (folder / "photos" / part / name).mkdir(parents=True, exist_ok=True)
            for number in range(4):
                pixels = np.kron(rng.integers(0, 256, (8, 8, 3)), np.ones((64, 64, 1))).astype(np.uint8)
                Image.fromarray(pixels).save(folder / "photos" / part / name / f"{number}.png")
    # last: where it is, all is
    index = {"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.35.0"}
    (folder / "sd15/model_index.json").write_text(json.dumps(index))


def of_transformers(text: TextEncoder) -> dict[str, torch.Tensor]:
    """A text encoder's weights under CLIPTextModel's names."""
    found = {}
    for name, tensor in text.state_dict().items():
        if name == "token_embedding.weight" or name == "positional_embedding":
            theirs = name.removesuffix(".weight").replace("positional", "position")
            found[f"text_model.embeddings.{theirs}.weight"] = tensor
        elif name.startswith("ln_final"):
            found[f"text_model.{name.replace('ln_final', 'final_layer_norm')}"] = tensor
        else:
            number, _, rest = name.removeprefix("transformer.resblocks.").partition(".")
            layer, kind = f"text_model.encoder.layers.{number}", rest.rpartition(".")[2].removeprefix("in_proj_")
            if "in_proj" in rest:
                for part, piece in zip("qkv", tensor.chunk(3), strict=True):
                    found[f"{layer}.self_attn.{part}_proj.{kind}"] = piece
            else:
                found[f"{layer}.{_THEIRS[rest.rpartition('.')[0]]}.{kind}"] = tensor
    return {name: tensor.half().contiguous() for name, tensor in found.items()}


def counts() -> str:
    """Parameters of the network, of its SpatialTransformers, and of those that a single token can move."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(**UNET)
    sizes = {name: math.prod(one.shape) for name, one in unet.named_parameters()}
    chosen = (sizes, anl.anl_names(unet), anl.trained_names(unet, "anl"))
    return ", ".join(f"{sum(sizes[name] for name in names) / 1e6:.2f} M" for names in chosen)


def measured(module: str, words: list[str], folder: Path) -> None:
    """Runs a command and prints its time and the most memory that it held."""
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", module, *words], cwd=folder)
    _, status, usage = os.wait4(process.pid, 0)
    seconds, memory = time.monotonic() - start, usage.ru_maxrss / 1e6  # of kilobytes
    print(f"{module}: exit code {os.waitstatus_to_exitcode(status)}, {seconds:.0f} s, {memory:.1f} GB", flush=True)


def main() -> None:
    """Prints counts, times and memory."""
    folder, words = Path(sys.argv[1]).resolve(), sys.argv[2:]
    if not (folder / "sd15/model_index.json").is_file():
        write(folder)
    print(f"UNet, ANL, ANL with one token: {counts()}", flush=True)
    given = [
        *(
            "experiment=sd15",
            "data.root=photos",
            "generator.checkpoint=sd15",
            "tune.steps=1",
            "steps=2",
            "per_sample=1",
        ),
        *("generator.clip_checkpoint=open_clip_model.safetensors", "data.labels_per_class=1", *words),
    ]
    measured("ssl_aug.tune", given, folder)
    measured("ssl_aug.generate", given, folder)


if __name__ == "__main__":
    main()
