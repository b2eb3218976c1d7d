"""A run's folder as a record: the settings in it, and whether it is the run that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from benchmarks.methods import known_methods, method_name
from benchmarks.result import RESULT, RunResult
from benchmarks.settings import BenchmarkSettings
from ssl_aug.command_line import writable
from ssl_aug.endings import error_line
from ssl_aug.settings import AUGMENTATION, TRAINING, deciding, deciding_pictures
from ssl_aug.words import values_of

STATE = "last.safetensors"  # what a run goes on from


def saved_settings(folder: Path, words: list[str]) -> BenchmarkSettings:
    """The settings in a run folder's config.yaml, with the settled words over them.

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
        said = OmegaConf.create()
        for word in words:
            OmegaConf.update(said, word.partition("=")[0], values_of(word)[0])
        settings = OmegaConf.to_object(OmegaConf.merge(schema, saved, said))
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


def _deciding(settings: BenchmarkSettings) -> dict[str, Any]:
    """All settings that decide a run's result; those of generating concern it only where it has synthetic images."""
    kept = {"name of the method": method_name(settings.method), **deciding(settings, TRAINING)}
    if settings.augment:
        kept |= {"pictures": deciding_pictures(settings), **deciding(settings, AUGMENTATION)}
    return kept
