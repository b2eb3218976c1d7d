"""A run's folder as a record: the settings in it, and whether it is the run that is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from benchmarks.first_look import runs_at_first_look
from benchmarks.methods import known_methods, method_name
from benchmarks.settings import BenchmarkSettings
from ssl_aug.composition import writable
from ssl_aug.endings import error_line
from ssl_aug.lock import is_held
from ssl_aug.results.result import RESULT, RunResult
from ssl_aug.settings import AUGMENTATION, TRAINING, deciding, deciding_pictures
from ssl_aug.words import values_of

CONFIG = "config.yaml"  # a run's settings
# what reading settings of another shape raises
OF_OTHER_SETTINGS = (
    OmegaConfBaseException, YAMLError, KeyError, AttributeError, TypeError, ValueError, AssertionError,
)  # fmt: skip
STATE = "last.safetensors"  # what a run goes on from


def saved_settings(folder: Path, words: list[str]) -> BenchmarkSettings:
    """The settings in a run folder, with the settled words over them.

    Raises:
        FileNotFoundError: no run folder.
        ValueError: settings of another version, or a word that does not fit; the one or the other is named.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"resume={folder}: there is no {CONFIG} in it, so it is no run folder")
    try:
        saved = OmegaConf.load(path)
        schema = writable(BenchmarkSettings)
        schema.method = writable(known_methods()[saved.method.pop("name")][1])
        config = OmegaConf.merge(schema, saved)
        settings = OmegaConf.to_object(config)
    except OF_OTHER_SETTINGS as error:
        raise ValueError(
            f"{path} does not fit this version's settings ({error_line(error)}): start the run anew"
        ) from error
    for word in words:  # apart from what was saved, which is not to blame for them
        try:
            OmegaConf.update(config, word.partition("=")[0], values_of(word)[0])
        except OmegaConfBaseException as error:
            raise ValueError(f"{word}: {str(error).splitlines()[0]}") from error
    settings = OmegaConf.to_object(config) if words else settings
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


@dataclass(frozen=True, order=True)
class Earlier:
    """A folder of the very run that is asked for; of several the greatest is the one to look at."""

    is_done: bool
    is_held: bool  # by another process, as far as can be seen at once
    has_state: bool  # to go on from
    folder: Path

    @property
    def told(self) -> str:
        """What a grid would do with it."""
        if self.is_done:
            return f"{self.folder}: this run is done already, nothing would be trained"
        if self.is_held:
            return f"{self.folder}: another process may be at this run, which would be left to it"
        return f"would {'go on' if self.has_state else 'begin again'} in {self.folder}"


def earlier_run(settings: BenchmarkSettings, planned: RunResult) -> Earlier | None:
    """The folder in `settings.runs` of this very run, None where there is none; others are passed over.

    One that was stopped or killed, or failed, is gone on with: from its state, or from the start if none was saved.
    """
    found = []
    for folder, result in runs_at_first_look(settings.runs, planned):
        try:
            is_same = _deciding(saved_settings(folder, [])) == _deciding(settings)
        except (ValueError, OSError):  # settings of another version: not this run
            continue
        if is_same:
            found.append(Earlier(result.is_done, is_held(folder), (folder / STATE).is_file(), folder))
    return max(found, default=None)


def _deciding(settings: BenchmarkSettings) -> dict[str, Any]:
    """All settings that decide a run's result; those of generating concern it only where it has synthetic images."""
    kept = {"name of the method": method_name(settings.method), **deciding(settings, TRAINING)}
    if settings.augment:
        kept |= {"pictures": deciding_pictures(settings), **deciding(settings, AUGMENTATION)}
    return kept
