"""A run's folder as a record: the settings in it, and whether it is the run that is asked for."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from benchmarks.methods import known_methods, method_name
from benchmarks.result import RESULT, RunResult
from benchmarks.settings import BenchmarkSettings, ModelSettings
from ssl_aug.command_line import writable
from ssl_aug.files import file_hash
from ssl_aug.runtime import error_line
from ssl_aug.settings import AUGMENTATION, EMBEDDED, TRAINING, VARIANT, deciding, deciding_pictures

STATE = "last.safetensors"  # what a run goes on from
# of a set's generator.json: facts of this very set, not of how it was made
OF_ONE_SET = ("labeled_set_id", "versions", "num_images", "seed", "tuning_images_id", "data.split_seed", "batch_size")


def settings_text(settings: BenchmarkSettings) -> str:
    """config.yaml: the resolved settings; the method's carry its name, so that the file says all."""
    content = {**asdict(settings), **asdict(settings.sampling())}
    content["method"] = {"name": method_name(settings.method)} | content["method"]
    return str(OmegaConf.to_yaml(OmegaConf.create(content)))


def comparable_settings(settings: BenchmarkSettings, generator_json: dict[str, Any] | None) -> dict[str, Any]:
    """All settings by dotted name that a run shares with its repetitions, which differ in seed and split alone.

    Args:
        generator_json: that of the synthetic set, whose settings stand for the run's own on generating; None for a
            plain run, which they do not concern.
    """
    kept = {"method.name": method_name(settings.method), **_flat(deciding(settings, VARIANT))}
    if generator_json is not None:
        of_set = {name: value for name, value in _flat(generator_json).items() if not name.startswith(OF_ONE_SET)}
        kept |= {f"set.{name}": value for name, value in of_set.items()} | {"per_sample": settings.per_sample}
    return kept


def weights_id(settings: ModelSettings) -> str:
    """What identifies the weights that a backbone starts from: a file's hash, whatever its path."""
    if settings.name == "embedded":
        return file_id(EMBEDDED / "backbone.safetensors")
    if settings.checkpoint:
        return file_id(Path(settings.checkpoint))
    return "timm's" if settings.pretrained else "random"


def file_id(path: Path) -> str:
    """12 hex digits of a file's content; "missing" where there is none, which whoever reads it will refuse."""
    return file_hash(path)[:12] if path.is_file() else "missing"


def saved_settings(folder: Path, words: list[str]) -> BenchmarkSettings:
    """The settings in a run folder's config.yaml, with the words over them.

    Raises:
        FileNotFoundError: no run folder.
        ValueError: settings of another version.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        raise FileNotFoundError(f"resume={folder}: there is no config.yaml in it, so it is no run folder")
    try:
        saved = OmegaConf.load(path)
        schema = writable(BenchmarkSettings)
        schema.method = writable(known_methods()[saved.method.pop("name")][1])
        settings = OmegaConf.to_object(OmegaConf.merge(schema, saved, OmegaConf.from_dotlist(words)))
    except (OmegaConfBaseException, YAMLError, KeyError) as error:
        raise ValueError(
            f"{path} does not fit this version's settings ({error_line(error)}): start the run anew"
        ) from error
    assert isinstance(settings, BenchmarkSettings)
    return settings


def refuse_other_data(folder: Path, planned: RunResult) -> None:
    """Raises ValueError where a run folder is of other images or weights than `planned` is, naming what differs."""
    before = RunResult.read(folder / RESULT).identity
    for name, found in planned.identity.items():
        if before[name] != found:
            raise ValueError(
                f"resume={folder}: its {name} is {before[name]}, the data here give {found}: "
                "name the data of the first time, or start the run anew"
            )


def earlier_run(settings: BenchmarkSettings, planned: RunResult) -> tuple[Path, bool] | None:
    """A folder in `settings.runs` of this very run, and whether it is done; None where there is none to go on with.

    A finished one comes before one that was stopped, or failed, and left a state. One that says it is running is
    neither: another process may be at it. Folders of something else are passed over.
    """
    stopped = None
    for path in sorted(Path(settings.runs).glob(f"*/{RESULT}"), reverse=True):
        folder = path.parent
        try:
            result = RunResult.read(path)
            can_go_on = result.was_cut_short and (folder / STATE).is_file()
            is_of_same_data = (result.method, result.identity) == (planned.method, planned.identity)
            if not (result.is_done or can_go_on) or not is_of_same_data:
                continue
            is_same = _deciding(saved_settings(folder, [])) == _deciding(settings)
        except (ValueError, OSError, AttributeError):  # no result, or of another version: not this run
            continue
        if is_same and result.is_done:
            return folder, True
        if is_same and stopped is None:
            stopped = folder
    return (stopped, False) if stopped is not None else None


def _flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _deciding(settings: BenchmarkSettings) -> dict[str, Any]:
    """All settings that decide a run's result; those of generating concern it only where it has synthetic images."""
    kept = {"name of the method": method_name(settings.method), **deciding(settings, TRAINING)}
    if settings.augment:
        kept |= {"pictures": deciding_pictures(settings), **deciding(settings, AUGMENTATION)}
    return kept
