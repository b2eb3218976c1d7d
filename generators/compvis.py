"""The published latent diffusion checkpoint (CompVis' cin256-v2) as our model.

One file with 688 tensors of the UNet, 205 of the VQ-f4 autoencoder and the class embedding, whose last row stands for
no class. Everything is checked by name and shape before anything is built, and no code in the file is run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel, VQModel
from torch import Tensor, nn

from generators.conditioning import clip_config, clip_file, load_clip
from generators.ldm import LatentDiffusion
from generators.model_facts import SCHEDULE, ModelFacts
from generators.weights import check_fit, read_weights

IMAGE_SIZE = 256  # pixels
CLIP_NAME = "ViT-B-32-quickgelu"  # OpenAI's weights need QuickGELU: "ViT-B-32" would load them and be another function
UNET_PREFIX, AUTOENCODER_PREFIX = "model.diffusion_model.", "first_stage_model."
CLASS_EMBEDDING, NUM_CLASSES = "cond_stage_model.embedding.weight", 1000
EMA_PREFIX = "model_ema."

UNET: dict[str, Any] = {
    "sample_size": 64,
    "in_channels": 3,
    "out_channels": 3,
    "block_out_channels": (192, 384, 576, 960),
    "layers_per_block": 2,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "cross_attention_dim": 512,
    "attention_head_dim": 1,  # diffusers' name for the number of heads
    "transformer_layers_per_block": 1,
    "use_linear_projection": False,
    "norm_num_groups": 32,
    "norm_eps": 1e-5,
    "flip_sin_to_cos": True,  # the timestep embedding is [cos, sin]
    "freq_shift": 0,
}
AUTOENCODER: dict[str, Any] = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ("DownEncoderBlock2D",) * 3,
    "up_block_types": ("UpDecoderBlock2D",) * 3,
    "block_out_channels": (128, 256, 512),
    "layers_per_block": 2,
    "latent_channels": 3,
    "vq_embed_dim": 3,
    "num_vq_embeddings": 8192,
    "norm_num_groups": 32,
    "sample_size": 256,
    "scaling_factor": 1.0,
}
# What stands beside the networks in such files: buffers of the schedule, counters, the samplers' tables.
_KNOWN_EXTRAS = re.compile(
    r"betas|alphas_cumprod(_prev)?|sqrt_(one_minus_|recip_|recipm1_)?alphas_cumprod|log_one_minus_alphas_cumprod"
    r"|posterior_(variance|log_variance_clipped|mean_coef[12])|lvlb_weights|logvar|scale_factor|ddim_\w+"
    r"|first_stage_model\.loss\..+|model_ema\.(decay|num_updates)"
)
# CompVis' name of the other published model's first time embedding: VQ-f8, 32x32 latents
_F8_SHAPE = (1024, 256)


# ---------------------------------------------------------------------------------------------------------------------
# names


def unet_name(ours: str) -> str:
    """CompVis' name of a tensor of diffusers' UNet (three entries a level: two residual blocks and a resampling)."""
    for pattern, name in (
        (r"time_embedding\.linear_1\.(.+)", r"time_embed.0.\1"),
        (r"time_embedding\.linear_2\.(.+)", r"time_embed.2.\1"),
        (r"conv_in\.(.+)", r"input_blocks.0.0.\1"),
        (r"conv_norm_out\.(.+)", r"out.0.\1"),
        (r"conv_out\.(.+)", r"out.2.\1"),
        (r"mid_block\.attentions\.0\.(.+)", r"middle_block.1.\1"),
    ):
        if re.fullmatch(pattern, ours):
            return re.sub(pattern, name, ours)
    middle = re.fullmatch(r"mid_block\.resnets\.(\d)\.(.+)", ours)
    if middle:
        return f"middle_block.{2 * int(middle[1])}.{_resnet_name(middle[2])}"
    side, level, kind, number, rest = re.fullmatch(r"(down|up)_blocks\.(\d)\.(\w+)\.(\d)\.(.+)", ours).groups()  # type: ignore[union-attr]
    entry = 3 * int(level) + int(number)
    if side == "down":
        if kind == "downsamplers":
            return f"input_blocks.{3 * int(level) + 3}.0.op.{rest.removeprefix('conv.')}"
        block = f"input_blocks.{entry + 1}"
    else:
        if kind == "upsamplers":
            has_attention = UNET["up_block_types"][int(level)].startswith("CrossAttn")
            return f"output_blocks.{3 * int(level) + 2}.{2 if has_attention else 1}.{rest}"
        block = f"output_blocks.{entry}"
    return f"{block}.0.{_resnet_name(rest)}" if kind == "resnets" else f"{block}.1.{rest}"


def autoencoder_name(ours: str) -> str:
    """CompVis' name of a tensor of diffusers' VQModel."""
    name = ours.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda found: f"mid.block_{int(found[1]) + 1}", name)
    name = name.replace("mid_block.attentions.0.group_norm", "mid.attn_1.norm")
    name = re.sub(r"mid_block\.attentions\.0\.to_([qkv])\.", r"mid.attn_1.\1.", name)
    name = name.replace("mid_block.attentions.0.to_out.0", "mid.attn_1.proj_out")
    name = re.sub(r"down_blocks\.(\d)\.resnets\.(\d)", r"down.\1.block.\2", name)
    name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
    last = len(AUTOENCODER["block_out_channels"]) - 1  # CompVis counts the decoder's levels from the finest
    name = re.sub(r"up_blocks\.(\d)\.resnets", lambda found: f"up.{last - int(found[1])}.block", name)
    return re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda found: f"up.{last - int(found[1])}.upsample", name)


def ema_name(unet_tensor: str) -> str:
    """Name of the averaged copy of a UNet tensor: CompVis drops the dots within it."""
    return EMA_PREFIX + ("diffusion_model." + unet_tensor).replace(".", "")


def _resnet_name(rest: str) -> str:
    layer, _, tensor = rest.rpartition(".")
    names = {
        "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
        "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
    }  # fmt: skip
    return f"{names[layer]}.{tensor}"


# ---------------------------------------------------------------------------------------------------------------------
# building


def load(path: Path, clip_checkpoint: str | None = None) -> LatentDiffusion:
    """The published checkpoint as our model, in float32 on the CPU.

    Averaged (EMA) weights are taken where the file holds them, as CompVis' own sampling does.

    Args:
        clip_checkpoint: CLIP's weights, see `generators.conditioning.load_clip`.

    Raises:
        ValueError: another model, or tensors that are missing, unknown or of another shape; the first are named.
    """
    clip_file(clip_checkpoint, CLIP_NAME)  # what is missing is said before 1.8 GB are read
    model = load_without_clip(path)
    load_clip(model.clip.model, clip_checkpoint, CLIP_NAME)
    return model


def load_without_clip(path: Path) -> LatentDiffusion:
    """As `load`, with random CLIP weights: for what embeds nothing."""
    unet, autoencoder, null_token, latent_scale = parts_of(read_weights(Path(path)), path)
    facts = ModelFacts(
        IMAGE_SIZE, clip_config(CLIP_NAME), clip_image_norm=None, latent_scale=latent_scale, schedule=dict(SCHEDULE),
        clip_name=CLIP_NAME,
    )  # fmt: skip
    model = LatentDiffusion(facts, unet, autoencoder)
    model.null_token.copy_(null_token)
    return model.eval()


def parts_of(state: dict[str, Tensor], path: Path | str) -> tuple[UNet2DConditionModel, VQModel, Tensor, float]:
    """UNet, autoencoder, null token (1, 512) and the latents' scale from a checkpoint's tensors."""
    with torch.device("meta"):
        unet, autoencoder = UNet2DConditionModel(**UNET), VQModel(**AUTOENCODER)
    unet_names = {name: unet_name(name) for name in unet.state_dict()}
    source = {name: UNET_PREFIX + theirs for name, theirs in unet_names.items()}
    averaged = {name: ema_name(theirs) for name, theirs in unet_names.items()}
    has_average = any(name in state for name in averaged.values())
    time_embedding = state.get(source["time_embedding.linear_1.weight"])
    if time_embedding is not None and tuple(time_embedding.shape) == _F8_SHAPE:
        raise ValueError(
            f"{path} is the look-alike cin256 (VQ-f8, 32x32 latents, 1024-wide time embedding), not cin256-v2 "
            "(VQ-f4, 64x64): download nitro/cin/model.ckpt of latent-diffusion, not cin.zip"
        )
    autoencoder_names = {name: AUTOENCODER_PREFIX + autoencoder_name(name) for name in autoencoder.state_dict()}
    wanted = [
        *_expected(unet, source),
        *(_expected(unet, averaged) if has_average else ()),
        *_expected(autoencoder, autoencoder_names),
        (CLASS_EMBEDDING, (NUM_CLASSES + 1, UNET["cross_attention_dim"])),
    ]
    known = {name: tensor for name, tensor in state.items() if not _KNOWN_EXTRAS.fullmatch(name)}
    check_fit(known, dict(wanted), f"{path} is not the published cin256-v2 checkpoint")
    _fill(unet, averaged if has_average else source, state)
    _fill(autoencoder, autoencoder_names, state)
    scale = float(state["scale_factor"]) if "scale_factor" in state else 1.0
    return unet, autoencoder, state[CLASS_EMBEDDING][NUM_CLASSES:].float(), scale


def _expected(module: nn.Module, names: dict[str, str]) -> Iterable[tuple[str, tuple[int, ...]]]:
    """(CompVis' name, shape there) of every tensor. Their 1x1 convolutions in attention are linear layers here."""
    state = module.state_dict()
    for ours, theirs in names.items():
        shape = tuple(state[ours].shape)
        is_convolution = ".mid.attn_1." in theirs and len(shape) == 2
        yield theirs, (*shape, 1, 1) if is_convolution else shape


def _fill(module: nn.Module, names: dict[str, str], state: dict[str, Tensor]) -> None:
    shapes = {name: tensor.shape for name, tensor in module.state_dict().items()}
    weights = {name: state[theirs].float().reshape(shapes[name]).clone() for name, theirs in names.items()}
    module.load_state_dict(weights, strict=True, assign=True)
