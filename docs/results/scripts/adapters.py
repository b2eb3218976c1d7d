"""What each approach trains, saves and holds in memory while it tunes: counted from shapes, without weights.

python docs/results/scripts/adapters.py
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from diffusers import UNet2DConditionModel

from generators import anl, compvis, lora
from generators.settings import RANK

# of the published unet/config.json what differs from diffusers' defaults
SD_1: dict[str, Any] = {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
SD_2: dict[str, Any] = {
    "sample_size": 96, "cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20],
    "use_linear_projection": True,
}  # fmt: skip
ALL_TOKENS = 78  # the 77 states of a text and an image's embedding
MODELS = (
    ("cin256-v2", compvis.UNET, 1),
    ("SD 1.5", SD_1, 1),
    ("SD 1.5", SD_1, ALL_TOKENS),
    ("SD 2.1", SD_2, 1),
    ("SD 2.1", SD_2, ALL_TOKENS),
)
SAVED = 4  # bytes of a weight in an adapter's file: float32
TRAINED = 4 + 4 + 8  # of a trained one in memory: itself in float32, its gradient, AdamW's two moments
FROZEN = (2, 4)  # of a frozen one; the tuning keeps all in float32: 4
HEADER = ("model", "tokens", "approach", "trained", "adapter", *(f"memory, frozen in {size} bytes" for size in FROZEN))


def trained_names(unet: UNet2DConditionModel, approach: str, num_tokens: int) -> list[str]:
    """Of what the tuning trains; anl_lora's matrices are put into the UNet."""
    if approach == "anl_lora":
        return lora.add(unet, RANK, num_tokens, seed_of=len)
    return anl.trained_names(unet, approach, num_tokens)


def counts(config: dict[str, Any], approach: str, num_tokens: int) -> tuple[int, int]:
    """Trained and frozen weights of a UNet while it is tuned."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(**config)
    trained = sum(parameter.numel() for parameter in anl.set_trainable(unet, trained_names(unet, approach, num_tokens)))
    return trained, sum(parameter.numel() for parameter in unet.parameters()) - trained


def rows() -> Iterator[tuple[str, ...]]:
    """The cells of the table: counts in millions, the file in MB, memory in GB."""
    for model, config, num_tokens in MODELS:
        for approach in ("anl", "anl_lora", "all"):
            trained, frozen = counts(config, approach, num_tokens)
            memory = [f"{(TRAINED * trained + size * frozen) / 1e9:.2f} GB" for size in FROZEN]
            name = f"anl_lora, rank {RANK}" if approach == "anl_lora" else approach
            file = f"{SAVED * trained / 1e6:.1f} MB"
            yield model, str(num_tokens), name, f"{trained / 1e6:.2f} M", file, *memory


def main() -> None:
    """Prints the table in Markdown. Memory is the UNet's, without activations, autoencoder and CLIP."""
    for cells in (HEADER, ("---",) * len(HEADER), *rows()):
        print("|", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
