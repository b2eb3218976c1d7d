"""Every setting of generation as dataclasses, and the way from a command line to them.

Hydra composes the YAML files of `configs/` with the words of the command line over these schemas, so that a wrong
name or type is an error; below `compose` everything is a typed dataclass.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar, cast

from generators.config import APPROACHES, ENTRY_POINTS, TUNED, GeneratorSettings, SamplingSettings

# settings of tuning that do not move its result (but for rounding)
NOT_DECIDING_TUNE = ("root", "save_every", "report_every", "accumulation", "gradient_checkpointing")
EMBEDDED = Path(__file__).parent / "embedded"  # the weights that come with the package
EMBEDDED_GUIDANCE = 2.0
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")


@dataclass
class DataSettings:
    """Which images, and how many of their labels are known."""

    name: str = "toycars"  # one of DATASETS
    root: str | None = None  # folder of the dataset; null for datasets that are made, not read
    labels_per_class: int = 4  # paper: 4
    split_seed: int = 0  # which images are labeled; the benchmark: 0
    validation_per_class: int = 0  # more labeled images of each class, to select by: no method trains on them
    subset: int | None = None  # tune the generator on this many training images only; paper: 1000 and 25
    crop_to_box: bool = False  # stanford_cars: cut each photo to its annotated box
    attribute: str | None = None  # celeba: the attribute that is the class; null: Smiling


@dataclass
class TuneSettings:
    """How the generator is adapted to the training images (paper 3.2, Eq. 10)."""

    # which weights train: anl (SpatialTransformers), anl_unconditional (the same, without condition), all, or scratch
    approach: str = "anl"
    images: str = "train"  # tune on all training images without labels, or on the labeled ones only
    steps: int = 300  # optimiser steps
    batch_size: int = 32  # images per step; paper: 4 GPUs x 8
    base_learning_rate: float = 2.0e-6  # multiplied by the batch size, as CompVis' scripts do; paper: 2.0e-6
    weight_decay: float = 0.01  # AdamW
    flip: bool = True  # horizontal flips
    condition_dropout: float = 0.0  # share of steps' images with the null token; needed for guidance above 1
    gradient_clip: float = 1.0  # largest gradient norm; 0: off
    accumulation: int = 1  # parts that each process cuts its share of the batch into: less memory, the same result
    gradient_checkpointing: bool = False  # computes activations twice: less memory, the same result
    ema_decay: float | None = None  # average the tuned weights with this decay and use the average; null: off (paper)
    report_every: int = 0  # steps between sample grids, losses at fixed noise and checks for copies; 0: none
    save_every: int = 100  # steps between checkpoints to resume from
    seed: int = 0  # of batches, noise and timesteps
    root: str = "outputs/adapters"  # where tuned weights are kept, a folder for each of these settings

    def __post_init__(self) -> None:
        if self.approach not in APPROACHES:
            raise ValueError(f"tune.approach={self.approach!r}: choose one of {', '.join(APPROACHES)}")
        if self.images not in ("train", "labeled"):
            raise ValueError(f"tune.images={self.images!r}: choose train or labeled")
        for name in ("steps", "batch_size", "save_every", "accumulation"):
            if getattr(self, name) < 1:
                raise ValueError(f"tune.{name}={getattr(self, name)}: give 1 or more")
        if self.base_learning_rate <= 0:
            raise ValueError(f"tune.base_learning_rate={self.base_learning_rate}: give a positive number")
        if self.gradient_clip < 0:
            raise ValueError(f"tune.gradient_clip={self.gradient_clip}: give 0 (off) or more")
        if self.report_every < 0:
            raise ValueError(f"tune.report_every={self.report_every}: give 0 (off) or more")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(f"tune.ema_decay={self.ema_decay}: give above 0 to below 1, or null")
        if not 0 <= self.condition_dropout < 1:
            raise ValueError(f"tune.condition_dropout={self.condition_dropout}: give 0 to below 1")


@dataclass
class SyntheticSettings:
    """Where the synthetic set lies."""

    root: str | None = None  # its folder; null: derived from the other settings, under outputs/synthetic


@dataclass
class Settings(SamplingSettings):
    """All that decides a synthetic set. Every command shares these names."""

    data: DataSettings = field(default_factory=DataSettings)
    generator: GeneratorSettings = field(default_factory=GeneratorSettings)
    tune: TuneSettings = field(default_factory=TuneSettings)
    synthetic: SyntheticSettings = field(default_factory=SyntheticSettings)
    per_sample: int = 10  # synthetic images per labeled image; paper: 10
    guidance: float | None = None  # type: ignore[assignment]  # scale; 1: off (paper); null: embedded 2, others 1
    # image (paper); borrowed: its class, with all else of another labeled image; none: the null token;
    # null: borrowed for the embedded weights where it has an effect and no mask_rate, mask_fill or strength is given
    condition: str | None = None  # type: ignore[assignment]
    # delta: side of the erased rectangle over the image's side, 0 to below 1; null: 0 where borrowed, else 0.5 (paper)
    mask_rate: float | None = None  # type: ignore[assignment]
    batch_size: int = 32  # images drawn together: the unit of work and of resume
    seed: int = 0
    device: str = "auto"  # auto, cpu or cuda
    precision: str = "auto"  # auto, fp32, bf16 or fp16
    dry_run: bool = False  # print what would be done, and stop

    def __post_init__(self) -> None:
        if self.condition is None:
            self.condition = "borrowed" if self._borrows() else "image"
        if self.mask_rate is None:
            self.mask_rate = 0.0 if self.condition == "borrowed" else SamplingSettings.mask_rate
        if self.guidance is None:
            self.guidance = self._own_guidance()
        super().__post_init__()
        if self.per_sample < 1:
            raise ValueError(f"per_sample={self.per_sample}: give 1 or more")
        if self.batch_size < 1:
            raise ValueError(f"batch_size={self.batch_size}: give 1 or more")
        if self.device not in DEVICES:
            raise ValueError(f"device={self.device!r}: choose one of {', '.join(DEVICES)}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision={self.precision!r}: choose one of {', '.join(PRECISIONS)}")
        if self.tune.approach == "anl_unconditional":
            for name, has_effect in (
                ("prompt", self.prompt is not None),
                ("guidance", self.guidance != 1),
                ("tune.condition_dropout", self.tune.condition_dropout > 0),
                ("generator.tokens", self.generator.tokens != "pooled"),
                ("condition=borrowed", self.condition == "borrowed"),
            ):
                if has_effect:
                    raise ValueError(f"{name} has no effect on tune.approach=anl_unconditional: leave it out")
        if self.prompt is not None and self.generator.tokens != "pooled":
            raise ValueError("a prompt is one token: use generator.tokens=pooled with it")
        if self.condition == "borrowed":
            self._check_borrowing()
        has_null_token = self.generator.name == "embedded" and self.tune.approach != "scratch"
        if self.guidance != 1 and self.tune.condition_dropout == 0 and not has_null_token:
            raise ValueError(
                f"guidance={self.guidance} needs a null token that was trained: set tune.condition_dropout=0.1 too"
            )
        is_unconditional = self.tune.approach == "anl_unconditional"
        if self.condition == "none" and self.tune.condition_dropout == 0 and not (has_null_token or is_unconditional):
            raise ValueError("condition=none needs a null token that was trained: set tune.condition_dropout=0.1 too")

    def _borrows(self) -> bool:
        """The embedded weights draw what the condition tells and little else: what varies has to come from there."""
        follows_image = self.generator.name == "embedded" and self.tune.approach in ("anl", "all")
        masks = self.mask_rate is not None or self.mask_fill != SamplingSettings.mask_fill
        is_asked_otherwise = masks or self.prompt is not None or self.strength < 1
        is_possible = self.data.labels_per_class > 1 and self.generator.tokens == "pooled"
        return follows_image and is_possible and not is_asked_otherwise

    def _check_borrowing(self) -> None:
        if self.generator.name not in TUNED:
            raise ValueError(f"condition=borrowed has no effect on generator={self.generator.name}: leave it out")
        if self.generator.tokens != "pooled":
            raise ValueError("condition=borrowed exchanges one token: use generator.tokens=pooled with it")
        if self.data.labels_per_class < 2:
            raise ValueError("condition=borrowed compares images of one class: give data.labels_per_class=2 or more")

    def _own_guidance(self) -> float:
        """A model as small as the embedded one follows its condition loosely: 2 there, off where it means nothing."""
        is_guided = self.tune.approach in ("anl", "all") and self.condition != "none"
        return EMBEDDED_GUIDANCE if self.generator.name == "embedded" and is_guided else 1.0


def config_folder() -> Path:
    """`configs/` beside the source, or the copy inside an installed wheel."""
    source = Path(__file__).resolve().parents[1] / "configs"
    return source if source.is_dir() else Path(str(files("ssl_aug") / "configs"))


Schema = TypeVar("Schema")


def compose(config_name: str, overrides: Sequence[str], schema: type[Schema]) -> Schema:
    """`configs/<config_name>.yaml` with the command line's words over it, as a dataclass.

    Schemas of config groups (a method's settings) must be registered in hydra's ConfigStore before the call.

    Raises:
        ValueError: a name, value or option that does not exist, in one line that says what does.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.config_store import ConfigStore
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    store = ConfigStore.instance()
    store.store(name=f"{config_name}_schema", node=schema)
    for name in entry_points(group=ENTRY_POINTS).names:  # generators of other packages have no YAML here
        store.store(group="generator", name=name, node={"name": name})
    try:
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            config = hydra_compose(config_name, overrides=list(overrides))
        return cast(Schema, OmegaConf.to_object(config))
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(_one_line(error, overrides, schema())) from error


def overrides_of(words: Sequence[str], flags: Mapping[str, str], switches: Mapping[str, str]) -> list[str]:
    """A command line's words with every flag as the setting that it is a second name for.

    Args:
        flags: flag -> setting, for those with a value after them (`--out DIR` or `--out=DIR`).
        switches: flag -> setting, for those that turn it on.

    Raises:
        ValueError: an unknown flag, or one without its value.
    """
    left, overrides = list(words), []
    while left:
        word = left.pop(0)
        flag, _, value = word.partition("=")
        if word in switches:
            overrides.append(f"{switches[word]}=true")
        elif flag in flags:
            if not value and not left:
                raise ValueError(f"{flag} needs a value")
            overrides.append(f"{flags[flag]}={_quoted(value or left.pop(0))}")
        elif word.startswith("-"):
            raise ValueError(f"{word}: there is no such flag; {', '.join((*flags, *switches))} or name=value")
        else:
            overrides.append(word)
    return overrides


def _quoted(value: str) -> str:
    """A value as hydra's grammar takes it: in quotes, where backslashes count only before a quote."""
    if value.isalnum():
        return value
    return "'" + re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), value) + "'"


def to_dict(settings: Any) -> dict[str, Any]:
    """Plain nested dictionaries of a settings dataclass, for JSON and YAML."""
    from omegaconf import OmegaConf

    return cast(dict[str, Any], OmegaConf.to_container(OmegaConf.structured(settings)))


def short_hash(content: Any) -> str:
    """8 hex digits that stand for plain data."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def deciding(settings: Settings) -> dict[str, Any]:
    """The settings that decide the pictures: not how many, not where they lie, not on which device they are drawn."""
    everything = to_dict(settings)
    kept = {name: everything[name] for name in (*to_dict(SamplingSettings()), "data", "generator", "tune")}
    del kept["data"]["root"]
    del kept["data"]["validation_per_class"]
    for name in NOT_DECIDING_TUNE:
        del kept["tune"][name]
    for name in ("checkpoint", "clip_checkpoint"):  # wherever they lie: the set's `model_id` says what is in them
        del kept["generator"][name]
    return kept


def _one_line(error: Exception, overrides: Sequence[str], settings: Any) -> str:
    """Hydra's and OmegaConf's messages span lines and speak of structs: name the word, and what is allowed."""
    text = str(error)
    causes = [text] + [str(cause) for cause in (error.__cause__,) if cause is not None]
    group = re.search(r"Could not find '([\w/]+)/([^/']+)'", text)
    if group:
        options = sorted(path.stem for path in (config_folder() / group[1]).glob("*.yaml"))
        return f"{group[1]}={group[2]}: there is no such {group[1]}; choose one of {', '.join(options)}"
    unknown = re.search(r"Could not override '([^']+)'", text) or re.search(r"Key '([^']+)' not in", text)
    if unknown:
        return f"{unknown[1]}: there is no such setting{_nearest(unknown[1], settings)}; see --help"
    lines = [line.strip() for line in "; ".join(causes).splitlines()]
    kept = [line for line in lines if line and not line.startswith(("object_type", "reference_type", "See http"))]
    named = re.search(r"full_key: ([\w.]+)", text)
    word = next((o for o in overrides if named and o.startswith(f"{named[1]}=")), named[1] if named else "")
    message = re.sub(r"\s*full_key: [\w.]+", "", " ".join(kept)).strip()
    return f"{word}: {message}" if word else message


def _nearest(name: str, settings: Any) -> str:
    from difflib import get_close_matches

    names = [key for key in _all_names(settings) if key]
    close = get_close_matches(name, names, n=1) or get_close_matches(name.split(".")[-1], names, n=1)
    return f", did you mean {close[0]}?" if close else ""


def _all_names(settings: Any, prefix: str = "") -> list[str]:
    names: list[str] = []
    for key, value in to_dict(settings).items():
        names += [f"{prefix}{key}.{inner}" for inner in value] if isinstance(value, dict) else [f"{prefix}{key}"]
    return names
