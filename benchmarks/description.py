"""The settings of a run as it describes them: in config.yaml, and in result.json for tables to compare."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from benchmarks.settings import BenchmarkSettings, ModelSettings
from ssl_aug.data.contents import content_hash, content_hashes, short_id
from ssl_aug.settings import EMBEDDED, VARIANT, deciding, flat

# of a set's generator.json: facts of this very set, not of how it was made
OF_ONE_SET = (
    "labeled_set_id", "versions", "num_images", "seed", "tuning_images_id", "data.split_seed", "batch_size", "places",
    "class_names",
)  # fmt: skip


def settings_text(settings: BenchmarkSettings, method: str) -> str:
    """config.yaml: the resolved settings; the method's carry its name, so that the file says all."""
    content = {**asdict(settings), **asdict(settings.sampling())}
    content["method"] = {"name": method} | content["method"]
    return str(OmegaConf.to_yaml(OmegaConf.create(content)))


def comparable_settings(
    settings: BenchmarkSettings, method: str, generator_json: dict[str, Any] | None
) -> dict[str, Any]:
    """All settings by dotted name that a run shares with its repetitions, which differ in seed and split alone.

    Args:
        method: its name.
        generator_json: that of the synthetic set, whose settings stand for the run's own on generating; None for a
            plain run, which they do not concern.
    """
    kept = {"method.name": method, **flat(deciding(settings, VARIANT))}
    if generator_json is not None:
        of_set = {name: value for name, value in flat(generator_json).items() if not name.startswith(OF_ONE_SET)}
        kept |= {f"set.{name}": value for name, value in of_set.items()} | {"per_sample": settings.per_sample}
    return kept


def weights_id(settings: ModelSettings) -> str:
    """What identifies the weights that a backbone starts from: a file's hash, whatever its path."""
    if settings.name == "embedded":
        return file_id(EMBEDDED / "backbone.safetensors")
    if settings.checkpoint:
        return file_id(Path(settings.checkpoint))
    return "timm's" if settings.pretrained else "random"


def clip_id(method: Any) -> str:
    """The same of the frozen CLIP that a method's settings name; what is not on disk is told apart by its name."""
    named = method if isinstance(method, dict) else asdict(method)
    clip, checkpoint = named["clip"], named["clip_checkpoint"]
    if clip == "embedded":
        return file_id(EMBEDDED / "clip.safetensors")
    there = [Path(each) for each in (clip, checkpoint) if each and Path(each).exists()]
    files = [file for path in there for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
    return short_id(content_hashes([file for file in files if file.is_file()])) if files else "open_clip's"


def file_id(path: Path) -> str:
    """12 hex digits of a file's content; "missing" where there is none, which whoever reads it will refuse."""
    return content_hash(path)[:12] if path.is_file() else "missing"
