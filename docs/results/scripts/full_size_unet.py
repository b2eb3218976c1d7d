"""One image of the full-size model with random weights on this CPU, bf16.

python docs/results/scripts/full_size_unet.py
"""

from __future__ import annotations

import resource
import time

import torch
from diffusers import UNet2DConditionModel, VQModel

from generators import anl, compvis, ldm
from generators.anl_ldm import ANLLatentDiffusion
from generators.conditioning import clip_config
from generators.model_facts import ModelFacts
from generators.settings import SamplingSettings


def main() -> None:
    """Prints the image's shape, whether it is finite, seconds, and the peak memory of the whole process."""
    torch.manual_seed(0)
    facts = ModelFacts(256, clip_config(compvis.CLIP_NAME), 10.0)
    model = ldm.LatentDiffusion(facts, UNet2DConditionModel(**compvis.UNET), VQModel(**compvis.AUTOENCODER))
    anl.fold_single_token(model.unet)
    model.to(torch.bfloat16).to(memory_format=torch.channels_last)
    generator = ANLLatentDiffusion(model, SamplingSettings(mask_rate=0.5, sampler="dpmpp", steps=20), 256)
    start = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16):
        image = generator(torch.rand(1, 3, 256, 256) * 2 - 1, [""], [0])
    seconds, peak = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(tuple(image.shape), bool(torch.isfinite(image).all()), f"{seconds:.1f} s", f"peak {peak:.2f} GiB")


if __name__ == "__main__":
    main()
