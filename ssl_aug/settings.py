"""Every setting of generation as frozen dataclasses; `ssl_aug.command_line` is the way to them.

What was asked, with null where nothing was said, is `Settings`; what then holds of drawing is `Settings.sampling()`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from generators.allowed import AnyWhole, AtLeast1, FreeText, OneOf, PathText, check, shown
from generators.settings import (
    AUGMENTATION,
    CLASS_MEANS,
    CLASS_PROMPT,
    CONDITIONS,
    FOLLOWS_IMAGE,
    MEASURES,
    PICTURES,
    TRAINING,
    TUNED,
    TUNING,
    VARIANT,
    GeneratorSettings,
    Guidance,
    MaskRate,
    SamplingSettings,
    SolverSettings,
    decides,
    deciding,
)
from generators.settings import null_was as null_was  # for the benchmarks, which do not know the generators
from ssl_aug.data.settings import DataSettings
from ssl_aug.tuning.settings import TuneSettings

EMBEDDED = Path(__file__).parent / "embedded"  # the weights that come with the package
EMBEDDED_DATA = ("toycars", "digits")  # the images that come with it; all others are the user's
EMBEDDED_GUIDANCE = 2.0
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
Device = Annotated[str, OneOf(DEVICES)]
Precision = Annotated[str, OneOf(PRECISIONS)]


@dataclass(frozen=True)
class SyntheticSettings:
    """Where the synthetic set lies, and what becomes of drawings that were thrown out."""

    root: PathText | None = None  # its folder; null: derived from the other settings, under outputs/synthetic
    refill: bool = False  # generate: draw again, as they were, images that were deleted from a finished set or altered

    def __post_init__(self) -> None:
        check(self, "synthetic.")


@dataclass(frozen=True)
class Settings(SolverSettings):
    """All that is asked of a synthetic set. Every command shares these names.

    Of drawing, what decides the pictures is what holds (`sampling`), not what was asked.
    """

    data: DataSettings = field(default_factory=DataSettings, metadata=decides(PICTURES, TRAINING))
    generator: GeneratorSettings = field(default_factory=GeneratorSettings, metadata=decides(PICTURES))
    tune: TuneSettings = field(default_factory=TuneSettings, metadata=decides(PICTURES, TUNING))
    synthetic: SyntheticSettings = field(default_factory=SyntheticSettings, metadata=decides())
    # synthetic images per labeled image; paper: 10
    per_sample: AtLeast1 = field(default=10, metadata=decides(AUGMENTATION, MEASURES))
    guidance: Guidance | None = None  # scale; 1: off (paper); null: embedded 2, others 1
    # image (paper); borrowed: its class, with all else of another labeled image; class: the class's name in a prompt
    # (text pipelines); image+class: both; none: the null token; null: borrowed for the embedded weights where it has
    # an effect and no mask_rate, mask_fill or strength is given, else image
    condition: Annotated[str, OneOf(CONDITIONS)] | None = None
    # of condition=class and image+class: the prompt, {class} in the name's place; null: a photo of a {class}
    class_prompt: FreeText | None = None
    # of condition=borrowed: each class's mean is of its labeled images, or of train: of those and the tuning images
    # without label that are as near to it; null: as tune.images
    class_means: Annotated[str, OneOf(CLASS_MEANS)] | None = None
    # delta: side of the erased rectangle over the image's side, 0 to below 1; null: 0 where borrowed or where the
    # condition has no image, else 0.5 (paper)
    mask_rate: MaskRate | None = None
    # images drawn together: the unit of work and of resume; moves results by rounding alone
    batch_size: AtLeast1 = field(default=32, metadata=decides())
    # of the drawings, and of a training's batches and new layers
    seed: AnyWhole = field(default=0, metadata=decides(TRAINING, MEASURES))
    device: Device = field(default="auto", metadata=decides())  # auto, cpu or cuda
    precision: Precision = field(default="auto", metadata=decides(TRAINING, VARIANT))  # auto, fp32, bf16 or fp16
    # the network, with torch.compile: true, false, or auto where it is expected to win more time than it takes, by all
    # images of the set; a set goes on as it was begun; needs a C++ compiler
    compile: Annotated[str, OneOf(("auto", "true", "false"))] = field(default="auto", metadata=decides())
    # slurm: the tasks of a Slurm array share the drawing; null: each draws the whole set (torchrun's always share it)
    shard: Annotated[str, OneOf(("slurm",))] | None = field(default=None, metadata=decides())
    dry_run: bool = field(default=False, metadata=decides())  # print what would be done, and stop

    def __post_init__(self) -> None:
        object.__setattr__(self, "compile", shown(self.compile).lower())  # hydra makes a text of true
        super().__post_init__()
        if self.compile != "auto" and type(self) is not Settings:
            raise ValueError(f"compile={self.compile} has no effect here: only generate takes it, leave it out")
        if self.compile == "true" and self.generator.name == "noise":
            raise ValueError("compile=true has no effect on generator=noise: leave it out")
        if self.shard is not None and type(self) is not Settings:  # those of the other commands
            raise ValueError(f"shard={self.shard} has no effect here: only generate shares its work, leave it out")
        sampling = self.sampling()
        self._refuse_without_effect(sampling)
        self._refuse_untrained_null_token(sampling)

    def sampling(self) -> SamplingSettings:
        """What holds of drawing, each value concrete.

        Raises:
            ValueError: a value out of its range, or one that does not go with the others.
        """
        condition = self.condition or ("borrowed" if self._borrows() else "image")
        is_borrowed = condition == "borrowed"
        mask_rate = self.mask_rate
        if mask_rate is None:
            mask_rate = 0.0 if condition in ("borrowed", "class") else SamplingSettings.mask_rate
        default_prompt = CLASS_PROMPT if condition in ("class", "image+class") else None
        return SamplingSettings(
            mask_fill=self.mask_fill,
            sampler=self.sampler,
            steps=self.steps,
            prompt=self.prompt,
            strength=self.strength,
            mask_rate=mask_rate,
            guidance=self._own_guidance(condition) if self.guidance is None else self.guidance,
            condition=condition,
            class_means=self.tune.images if self.class_means is None and is_borrowed else self.class_means,
            class_prompt=default_prompt if self.class_prompt is None else self.class_prompt,
        )

    def _borrows(self) -> bool:
        """The embedded weights draw what the condition tells and little else: what varies has to come from there."""
        follows_image = self.generator.name == "embedded" and self.tune.approach in FOLLOWS_IMAGE
        masks = self.mask_rate is not None or self.mask_fill != SolverSettings.mask_fill
        is_asked_otherwise = masks or self.prompt is not None or self.strength < 1
        is_possible = self.data.labels_per_class != 1 and self.generator.tokens == "pooled"
        return follows_image and is_possible and not is_asked_otherwise

    def _own_guidance(self, condition: str) -> float:
        """A model as small as the embedded one follows its condition loosely: 2 there, off where it means nothing."""
        is_guided = self.tune.approach in FOLLOWS_IMAGE and condition != "none"
        return EMBEDDED_GUIDANCE if self.generator.name == "embedded" and is_guided else 1.0

    def _refuse_without_effect(self, sampling: SamplingSettings) -> None:
        """Raises ValueError for a setting that could do nothing beside the others."""
        if self.tune.approach == "anl_unconditional":
            for name, has_effect in (
                ("prompt", self.prompt is not None),
                ("guidance", sampling.guidance != 1),
                ("tune.condition_dropout", self.tune.condition_dropout > 0),
                ("generator.tokens", self.generator.tokens != "pooled"),
                (f"condition={sampling.condition}", sampling.condition == "borrowed" or sampling.names_class),
            ):
                if has_effect:
                    raise ValueError(f"{name} has no effect on tune.approach=anl_unconditional: leave it out")
        if self.prompt is not None and self.generator.tokens != "pooled":
            raise ValueError("a prompt is one token: use generator.tokens=pooled with it")
        if sampling.names_class:
            self._refuse_class_names_without_effect(sampling)
        elif self.class_prompt is not None:
            raise ValueError(
                f"class_prompt has no effect on condition={sampling.condition}: leave it out, or give condition=class"
            )
        if sampling.condition == "borrowed":
            self._refuse_borrowing_without_effect(sampling)
        elif self.class_means is not None:
            raise ValueError(
                f"class_means has no effect on condition={sampling.condition}: leave it out, or give condition=borrowed"
            )

    def _refuse_class_names_without_effect(self, sampling: SamplingSettings) -> None:
        if self.generator.name != "ldm":
            raise ValueError(
                f"condition={sampling.condition} needs a text-to-image pipeline: give generator=ldm "
                f"generator.checkpoint=PIPELINE, generator={self.generator.name} has no text encoder for it"
            )
        if self.tune.images == "train" and self.tune.steps > 0:
            raise ValueError(
                f"condition={sampling.condition} is tuned on images whose classes are known: set tune.images=labeled "
                "too, or tune.steps=0"
            )
        if sampling.sees_image:
            return
        for name, has_effect in (
            ("mask_rate", self.mask_rate is not None),
            ("mask_fill", self.mask_fill != SolverSettings.mask_fill),
            ("generator.tokens", self.generator.tokens != "pooled"),
        ):
            if has_effect:
                raise ValueError(
                    f"{name} has no effect on condition=class, which does not see the image: leave it out, or give "
                    "condition=image+class"
                )

    def _refuse_borrowing_without_effect(self, sampling: SamplingSettings) -> None:
        if self.generator.name not in TUNED:
            raise ValueError(f"condition=borrowed has no effect on generator={self.generator.name}: leave it out")
        if self.generator.tokens != "pooled":
            raise ValueError("condition=borrowed exchanges one token: use generator.tokens=pooled with it")
        if self.data.labels_per_class == 1:  # where null is given, the images are counted: `drawing.lenders`
            raise ValueError("condition=borrowed compares images of one class: give data.labels_per_class=2 or more")
        if sampling.class_means == "train" and self.tune.images == "labeled":
            raise ValueError(
                "class_means=train takes images that tune.images=labeled leaves out: leave one of them out"
            )

    def _refuse_untrained_null_token(self, sampling: SamplingSettings) -> None:
        has_null_token = self.generator.name == "embedded" and self.tune.approach != "scratch"
        if self.tune.condition_dropout > 0 or has_null_token:
            return
        if sampling.condition == "class" or self.tune.steps == 0:  # the null condition of the pretraining
            return
        if sampling.guidance != 1:
            raise ValueError(
                f"guidance={sampling.guidance} needs a null token that was trained: set tune.condition_dropout=0.1 too"
            )
        if sampling.condition == "none" and self.tune.approach != "anl_unconditional":
            raise ValueError("condition=none needs a null token that was trained: set tune.condition_dropout=0.1 too")


def short_hash(content: Any) -> str:
    """8 hex digits that stand for plain data."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested plain data by dotted name."""
    found: dict[str, Any] = {}
    for key, value in nested.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def deciding_pictures(settings: Settings) -> dict[str, Any]:
    """The settings that decide the pictures: not how many, not where they lie, not on which device they are drawn."""
    return {**deciding(settings.sampling(), PICTURES, unless_said=[PICTURES]), **deciding(settings, PICTURES)}
