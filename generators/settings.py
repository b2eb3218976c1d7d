"""Settings of the generators. No torch here, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass

MASK_FILLS = ("mean", "grey", "black")
SAMPLERS = ("ddim", "dpmpp")
APPROACHES = ("anl", "anl_unconditional", "all", "scratch")
TOKENS = ("pooled", "patches")
CONDITIONS = ("image", "borrowed", "none")
TUNED = ("embedded", "ldm")  # generators whose weights are tuned to the images first
ENTRY_POINTS = "ssl_aug.generators"  # group in which other packages register theirs


@dataclass
class GeneratorSettings:
    """Which generator, from which weights."""

    name: str = "embedded"  # one of GENERATORS, or of those that other packages register
    checkpoint: str | None = None  # folder of a latent diffusion model, or the published file; null: the embedded one
    image_size: int | None = None  # pixels; null: the size the weights were trained at
    tokens: str = "pooled"  # the condition: CLIP's embedding (paper), or patches: with its patches' embeddings
    fold: bool = True  # leave out of the cross-attention what one condition token cannot use; exact
    clip_checkpoint: str | None = None  # CLIP's weights where the checkpoint has none: a file, folder or open_clip tag

    def __post_init__(self) -> None:
        if self.image_size is not None and self.image_size < 8:
            raise ValueError(f"generator.image_size={self.image_size}: give 8 pixels or more, or null")
        if self.tokens not in TOKENS:
            raise ValueError(f"generator.tokens={self.tokens!r}: choose one of {', '.join(TOKENS)}")


@dataclass
class SamplingSettings:
    """How one image is drawn from a tuned generator (paper 3.3 and its sampling paragraph)."""

    mask_rate: float = 0.5  # delta: side of the erased rectangle over the image's side, 0 to below 1; paper: 0.5
    mask_fill: str = "mean"  # what fills it: CLIP's mean color, grey or black
    sampler: str = "ddim"  # ddim (eta 0) or dpmpp (DPM-Solver++ 2M, Karras noise levels)
    steps: int = 200  # network evaluations per image; paper: 200 DDIM steps
    guidance: float = 1.0  # classifier-free guidance scale; 1: off, as in the paper
    prompt: str | None = None  # text-to-image: this prompt's embedding in place of the reference's
    condition: str = "image"  # image; borrowed: its class, with all else of another labeled image; none: null token
    strength: float = 1.0  # share of the noise levels passed; below 1 starts from the noised reference (SDEdit)

    def __post_init__(self) -> None:
        if not 0 <= self.mask_rate < 1:
            raise ValueError(f"mask_rate={self.mask_rate}: give 0 (no mask) to below 1")
        if self.mask_fill not in MASK_FILLS:
            raise ValueError(f"mask_fill={self.mask_fill!r}: choose one of {', '.join(MASK_FILLS)}")
        if self.sampler not in SAMPLERS:
            raise ValueError(f"sampler={self.sampler!r}: choose one of {', '.join(SAMPLERS)}")
        # 1000 training timesteps: DDIM on another count starts below the last one without a word
        if not 1 <= self.steps <= 500 or (self.sampler == "ddim" and 1000 % self.steps):
            raise ValueError(
                f"steps={self.steps}: give 1 to 500; ddim takes divisors of 1000 (20, 25, 50, 100, 200 ...)"
            )
        if self.condition not in CONDITIONS:
            raise ValueError(f"condition={self.condition!r}: choose one of {', '.join(CONDITIONS)}")
        if self.condition == "none" and (self.prompt is not None or self.guidance != 1):
            raise ValueError("condition=none has no room for a prompt or guidance: leave them out")
        if self.condition == "borrowed" and self.prompt is not None:
            raise ValueError("condition=borrowed has no effect on a prompt: leave one of them out")
        if not 0 < self.strength <= 1:
            raise ValueError(f"strength={self.strength}: give above 0 to 1 (from pure noise)")
        if self.guidance < 1:
            raise ValueError(f"guidance={self.guidance}: give 1 (off) or more")
