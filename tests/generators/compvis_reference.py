"""The published model's forward passes, written out slowly from its own weights' names: what ours must equal.

Plain functions over a state dict, without diffusers: input blocks, middle, output blocks; encoder, codebook, decoder;
the DDIM loop in double precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

State = dict[str, Tensor]


def _conv(w: State, name: str, x: Tensor, stride: int = 1, padding: int | None = None) -> Tensor:
    kernel = w[f"{name}.weight"].shape[-1]
    return F.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], stride, kernel // 2 if padding is None else padding)


def _linear(w: State, name: str, x: Tensor) -> Tensor:
    return F.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))


def _group_norm(w: State, name: str, x: Tensor, eps: float) -> Tensor:
    return F.group_norm(x, 32, w[f"{name}.weight"], w[f"{name}.bias"], eps)


def _layer_norm(w: State, name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"])


# ---------------------------------------------------------------------------------------------------------------------
# UNet


def unet(w: State, x: Tensor, t: Tensor, context: Tensor, prefix: str = "model.diffusion_model.") -> Tensor:
    """eps of noisy latents (b, 3, h, w), timesteps (b,) and tokens (b, n, 512)."""
    w = {name.removeprefix(prefix): tensor for name, tensor in w.items() if name.startswith(prefix)}
    half = w["time_embed.0.weight"].shape[1] // 2
    angles = t[:, None].float() * torch.exp(-math.log(10000) * torch.arange(half) / half)
    emb = torch.cat([angles.cos(), angles.sin()], dim=1)
    emb = _linear(w, "time_embed.2", F.silu(_linear(w, "time_embed.0", emb)))
    kept = []
    for place in range(12):
        x = _block(w, f"input_blocks.{place}", x, emb, context)
        kept.append(x)
    x = _residual(w, "middle_block.0", x, emb)
    x = _transformer(w, "middle_block.1", x, context)
    x = _residual(w, "middle_block.2", x, emb)
    for place in range(12):
        x = _block(w, f"output_blocks.{place}", torch.cat([x, kept.pop()], dim=1), emb, context)
    return _conv(w, "out.2", F.silu(_group_norm(w, "out.0", x, 1e-5)))


def _block(w: State, name: str, x: Tensor, emb: Tensor, context: Tensor) -> Tensor:
    for part in range(3):
        inner = f"{name}.{part}"
        if f"{inner}.in_layers.0.weight" in w:
            x = _residual(w, inner, x, emb)
        elif f"{inner}.proj_in.weight" in w:
            x = _transformer(w, inner, x, context)
        elif f"{inner}.op.weight" in w:
            x = _conv(w, f"{inner}.op", x, stride=2)
        elif f"{inner}.conv.weight" in w:
            x = _conv(w, f"{inner}.conv", F.interpolate(x, scale_factor=2.0, mode="nearest"))
        elif f"{inner}.weight" in w:
            x = _conv(w, inner, x)
    return x


def _residual(w: State, name: str, x: Tensor, emb: Tensor) -> Tensor:
    h = _conv(w, f"{name}.in_layers.2", F.silu(_group_norm(w, f"{name}.in_layers.0", x, 1e-5)))
    h = h + _linear(w, f"{name}.emb_layers.1", F.silu(emb))[:, :, None, None]
    h = _conv(w, f"{name}.out_layers.3", F.silu(_group_norm(w, f"{name}.out_layers.0", h, 1e-5)))
    return h + (_conv(w, f"{name}.skip_connection", x) if f"{name}.skip_connection.weight" in w else x)


def _transformer(w: State, name: str, x: Tensor, context: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    h = _conv(w, f"{name}.proj_in", _group_norm(w, f"{name}.norm", x, 1e-6)).flatten(2).transpose(1, 2)
    inner = f"{name}.transformer_blocks.0"
    normed = _layer_norm(w, f"{inner}.norm1", h)
    h = h + _attention(w, f"{inner}.attn1", normed, normed)
    h = h + _attention(w, f"{inner}.attn2", _layer_norm(w, f"{inner}.norm2", h), context)
    value, gate = _linear(w, f"{inner}.ff.net.0.proj", _layer_norm(w, f"{inner}.norm3", h)).chunk(2, dim=-1)
    h = h + _linear(w, f"{inner}.ff.net.2", value * F.gelu(gate))
    return x + _conv(w, f"{name}.proj_out", h.transpose(1, 2).reshape(batch, channels, height, width))


def _attention(w: State, name: str, x: Tensor, context: Tensor) -> Tensor:
    q, k, v = (_linear(w, f"{name}.to_{part}", of) for part, of in (("q", x), ("k", context), ("v", context)))
    weights = (q @ k.transpose(1, 2) * q.shape[-1] ** -0.5).softmax(dim=-1)  # one head
    return _linear(w, f"{name}.to_out.0", weights @ v)


# ---------------------------------------------------------------------------------------------------------------------
# autoencoder


def encode(w: State, images: Tensor, prefix: str = "first_stage_model.") -> Tensor:
    """Latents before quantization of images in [-1, 1]."""
    w = {name.removeprefix(prefix): tensor for name, tensor in w.items() if name.startswith(prefix)}
    x = _conv(w, "encoder.conv_in", images)
    for level in range(3):
        for block in range(2):
            x = _vq_residual(w, f"encoder.down.{level}.block.{block}", x)
        if level < 2:
            x = _conv(w, f"encoder.down.{level}.downsample.conv", F.pad(x, (0, 1, 0, 1)), stride=2, padding=0)
    x = _vq_middle(w, "encoder.mid", x)
    x = _conv(w, "encoder.conv_out", F.silu(_group_norm(w, "encoder.norm_out", x, 1e-6)))
    return _conv(w, "quant_conv", x)


def quantize(w: State, latents: Tensor, prefix: str = "first_stage_model.") -> tuple[Tensor, Tensor]:
    """Nearest codebook entries, and their numbers."""
    codebook = w[f"{prefix}quantize.embedding.weight"]
    flat = latents.permute(0, 2, 3, 1).reshape(-1, codebook.shape[1])
    codes = (flat[:, None].double() - codebook[None].double()).square().sum(dim=2).argmin(dim=1)
    batch, _, height, width = latents.shape
    return codebook[codes].reshape(batch, height, width, -1).permute(0, 3, 1, 2), codes


def decode(w: State, latents: Tensor, prefix: str = "first_stage_model.") -> Tensor:
    """Images of latents, which are quantized first."""
    quantized, _ = quantize(w, latents, prefix)
    w = {name.removeprefix(prefix): tensor for name, tensor in w.items() if name.startswith(prefix)}
    x = _conv(w, "decoder.conv_in", _conv(w, "post_quant_conv", quantized))
    x = _vq_middle(w, "decoder.mid", x)
    for level in (2, 1, 0):
        for block in range(3):
            x = _vq_residual(w, f"decoder.up.{level}.block.{block}", x)
        if level > 0:
            x = _conv(w, f"decoder.up.{level}.upsample.conv", F.interpolate(x, scale_factor=2.0, mode="nearest"))
    return _conv(w, "decoder.conv_out", F.silu(_group_norm(w, "decoder.norm_out", x, 1e-6)))


def _vq_residual(w: State, name: str, x: Tensor) -> Tensor:
    h = _conv(w, f"{name}.conv1", F.silu(_group_norm(w, f"{name}.norm1", x, 1e-6)))
    h = _conv(w, f"{name}.conv2", F.silu(_group_norm(w, f"{name}.norm2", h, 1e-6)))
    return h + (_conv(w, f"{name}.nin_shortcut", x) if f"{name}.nin_shortcut.weight" in w else x)


def _vq_middle(w: State, name: str, x: Tensor) -> Tensor:
    x = _vq_residual(w, f"{name}.block_1", x)
    normed = _group_norm(w, f"{name}.attn_1.norm", x, 1e-6)
    q, k, v = (_conv(w, f"{name}.attn_1.{part}", normed).flatten(2) for part in "qkv")
    weights = (q.transpose(1, 2) @ k * q.shape[1] ** -0.5).softmax(dim=-1)
    mixed = (v @ weights.transpose(1, 2)).reshape(x.shape)
    return _vq_residual(w, f"{name}.block_2", x + _conv(w, f"{name}.attn_1.proj_out", mixed))


# ---------------------------------------------------------------------------------------------------------------------
# sampler


def ddim(eps_theta: Callable[[Tensor, int], Tensor], noise: Tensor, steps: int) -> Tensor:
    """DDIM with eta 0 as the published sampler runs it: timesteps from 1, and alpha_bar_0 behind the last one."""
    betas = np.linspace(0.0015**0.5, 0.0195**0.5, 1000) ** 2
    bars = np.cumprod(1 - betas)
    times = np.arange(0, 1000, 1000 // steps) + 1
    before = np.concatenate([bars[:1], bars[times[:-1]]])
    x = noise.double()
    for t, previous in zip(times[::-1], before[::-1], strict=True):
        eps = eps_theta(x, int(t)).double()
        x0 = (x - math.sqrt(1 - bars[t]) * eps) / math.sqrt(bars[t])
        x = math.sqrt(previous) * x0 + math.sqrt(1 - previous) * eps
    return x
