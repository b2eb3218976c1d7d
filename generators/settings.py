"""Settings of the generators, and what a field says of itself. No torch here, so that `--help` is instant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Annotated, Any

from generators.allowed import AtLeast1, FreeText, ImageSize, OneOf, PathText, Range, Share, check

MASK_FILLS = ("mean", "grey", "black")
SAMPLERS = ("ddim", "dpmpp")
APPROACHES = ("anl", "anl_lora", "anl_unconditional", "all", "scratch")
FOLLOWS_IMAGE = ("anl", "anl_lora", "all")  # approaches after which the model still draws what its condition tells
RANK = 16  # of tune.approach=anl_lora where none is given
TOKENS = ("pooled", "patches")
CONDITIONS = ("image", "borrowed", "class", "image+class", "none")
CLASS_PROMPT = "a photo of a {class}"
CLASS_MEANS = ("train", "labeled")
TUNED = ("embedded", "ldm")  # generators whose weights are tuned to the images first
ENTRY_POINTS = "ssl_aug.generators"  # group in which other packages register theirs


# ---------------------------------------------------------------------------------------------------------------------
# which results a setting decides: said at its field, read by `deciding`

PICTURES = "pictures"  # a synthetic set's
TUNING = "tuning"  # the tuned weights, up to whatever number of steps
TRAINING = "training"  # the classifier, with or without synthetic images
AUGMENTATION = "augmentation"  # the classifier where it has synthetic images, beside these pictures themselves
MEASURES = "measures"  # the figures of an evaluation, beside the pictures themselves
VARIANT = "variant"  # the row of a table: what tells a training from others of the same method, data and model


def decides(*results: str) -> Mapping[str, Any]:
    """A field's metadata: the results that it decides; none for what only says where and how the work is done.

    A path of weights decides nothing either: what the file holds does, and stands in the records as `model_id`.
    """
    return {"decides": frozenset(results)}


# A field's metadata: null is how things were before there was the field, and is left out of what decides, so that
# names and ids of then stay what they are.
ABSENT_WHERE_NULL: Mapping[str, Any] = {"is_absent_where_null": True}


def null_was(before: Any) -> Mapping[str, Any]:
    """A field's metadata: its default was `before` until null took its place, and null is written so in what decides.

    So runs of then are found as the same runs, and stand in the same row of a table.
    """
    return {"null_was": before}


def deciding(settings: Any, *results: str, unless_said: Iterable[str] = ()) -> dict[str, Any]:
    """The settings of a dataclass, and of those in it, that decide one of these results, as plain dictionaries.

    Args:
        unless_said: what a field decides that says nothing. A field of a dataclass that stands in another one decides
            what the other's field says.
    """
    kept: dict[str, Any] = {}
    for each in fields(settings):
        value, own = getattr(settings, each.name), each.metadata.get("decides", frozenset(unless_said))
        if is_dataclass(value):
            inner = deciding(value, *results, unless_said=own)
            if inner:
                kept[each.name] = inner
        elif value is None and each.metadata.get("is_absent_where_null"):
            continue
        elif own & set(results):
            kept[each.name] = each.metadata.get("null_was") if value is None else value
    return kept


# ---------------------------------------------------------------------------------------------------------------------


def rank_that_holds(approach: str, asked: int | None) -> int | None:
    """The rank of anl_lora's matrices; None for other approaches.

    Raises:
        ValueError: a rank that has no effect.
    """
    if approach != "anl_lora":
        if asked is not None:
            raise ValueError(f"tune.rank has no effect on tune.approach={approach}: leave it out, or use anl_lora")
        return None
    return RANK if asked is None else asked


@dataclass(frozen=True)
class GeneratorSettings:
    """Which generator, from which weights."""

    name: str = "embedded"  # one of GENERATORS, or of those that other packages register
    # folder of a latent diffusion model or a diffusers pipeline, the published file, or a pipeline of the hub as
    # owner/name[@revision]; null: the embedded one
    checkpoint: PathText | None = field(default=None, metadata=decides())
    image_size: ImageSize | None = None  # pixels; null: the size the weights were trained at
    # the condition: CLIP's embedding (paper), or patches: with its patches' embeddings
    tokens: Annotated[str, OneOf(TOKENS)] = "pooled"
    fold: bool = True  # leave out of the cross-attention what one condition token cannot use; exact
    # CLIP's weights where the checkpoint has none: a file, folder or open_clip tag
    clip_checkpoint: PathText | None = field(default=None, metadata=decides())

    def __post_init__(self) -> None:
        check(self, "generator.")


@dataclass(frozen=True)
class SolverSettings:
    """What of drawing has one default, whatever the generator (paper 3.3 and its sampling paragraph)."""

    # what fills the erased rectangle: CLIP's mean color, grey or black
    mask_fill: Annotated[str, OneOf(MASK_FILLS)] = "mean"
    sampler: Annotated[str, OneOf(SAMPLERS)] = "ddim"  # ddim (eta 0) or dpmpp (DPM-Solver++ 2M, Karras noise levels)
    steps: AtLeast1 = 200  # network evaluations per image; paper: 200 DDIM steps
    prompt: FreeText | None = None  # text-to-image: this prompt's embedding in place of the reference's
    strength: Share = 1.0  # share of the noise levels passed; below 1 starts from the noised reference (SDEdit)

    def __post_init__(self) -> None:
        check(self)  # what is added below, too


MaskRate = Annotated[float, Range(0, 1, below=True, low_means="no mask")]
Guidance = Annotated[float, Range(1, low_means="off")]


@dataclass(frozen=True)
class SamplingSettings(SolverSettings):
    """How one image is drawn from a tuned generator: what holds, each value concrete."""

    mask_rate: MaskRate = 0.5  # delta: side of the erased rectangle over the image's side, 0 to below 1; paper: 0.5
    guidance: Guidance = 1.0  # classifier-free guidance scale; 1: off, as in the paper
    # image; borrowed: its class, with all else of another labeled image; class: its name in a prompt, by a text
    # pipeline's own encoder; image+class: both, side by side; none: null token
    condition: Annotated[str, OneOf(CONDITIONS)] = "image"
    # of condition=borrowed: train or labeled; null with any other condition
    class_means: Annotated[str, OneOf(CLASS_MEANS)] | None = field(default=None, metadata=ABSENT_WHERE_NULL)
    # of class and image+class: the prompt, {class} in the name's place; null with any other condition
    class_prompt: FreeText | None = field(default=None, metadata=ABSENT_WHERE_NULL)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.condition == "none" and (self.prompt is not None or self.guidance != 1):
            raise ValueError("condition=none has no room for a prompt or guidance: leave them out")
        if self.condition in ("borrowed", "class", "image+class") and self.prompt is not None:
            way = "; of a class the prompt is class_prompt" if self.names_class else ""
            raise ValueError(f"condition={self.condition} has no effect on a prompt: leave one of them out{way}")
        if self.names_class and "{class}" not in (self.class_prompt or ""):
            raise ValueError(
                f"class_prompt={self.class_prompt!r}: it needs {{class}} where the class's name stands, as in "
                f"{CLASS_PROMPT!r}"
            )

    @property
    def names_class(self) -> bool:
        """Whether the condition has the class's name."""
        return self.condition in ("class", "image+class")

    @property
    def sees_image(self) -> bool:
        """Whether the condition has the reference image, so that a mask has an effect."""
        return self.condition in ("image", "borrowed", "image+class") and self.prompt is None
