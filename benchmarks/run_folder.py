"""A run's folder as a record: the settings in it, and whether it is the run that is asked for."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

from benchmarks.settings import BenchmarkSettings
from ssl_aug.runtime import error_line, read_json
from ssl_aug.settings import to_dict

# Where the work runs and lies, which may change between two starts of one run; the rest decides its result.
NOT_DECIDING = ("resume", "device", "runs", "dry_run", "data.root", "synthetic.root", "train.num_workers",
                "train.cache_megabytes", "train.log_every")  # fmt: skip
IDENTIFYING = (
    "labeled_set_id", "synthetic_set_id", "num_unlabeled", "unlabeled_id", "num_test", "num_validation",
)  # fmt: skip


def settings_text(settings: BenchmarkSettings) -> str:
    """config.yaml: the resolved settings; the method's carry its name, so that the file says all."""
    from omegaconf import OmegaConf

    return str(OmegaConf.to_yaml(OmegaConf.create(_content(settings))))


def saved_settings(folder: Path, words: list[str]) -> BenchmarkSettings:
    """The settings in a run folder's config.yaml, with the words over them.

    Raises:
        FileNotFoundError: no run folder.
        ValueError: settings of another version.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    from benchmarks.methods import known_methods

    path = folder / "config.yaml"
    if not path.is_file():
        raise FileNotFoundError(f"resume={folder}: there is no config.yaml in it, so it is no run folder")
    try:
        saved = OmegaConf.load(path)
        schema = OmegaConf.structured(BenchmarkSettings)
        schema.method = OmegaConf.structured(known_methods()[saved.method.pop("name")][1])
        settings = OmegaConf.to_object(OmegaConf.merge(schema, saved, OmegaConf.from_dotlist(words)))
    except (OmegaConfBaseException, YAMLError, KeyError) as error:
        raise ValueError(
            f"{path} does not fit this version's settings ({error_line(error)}): start the run anew"
        ) from error
    assert isinstance(settings, BenchmarkSettings)
    return settings


def refuse_other_data(folder: Path, facts: dict[str, Any]) -> None:
    """Raises ValueError where a run folder is of other images than `facts` are, naming what differs."""
    before = read_json(folder / "result.json")
    for name in IDENTIFYING:
        if before.get(name) != facts[name]:
            raise ValueError(
                f"resume={folder}: its {name} is {before.get(name)}, the data here give {facts[name]}: "
                "name the data of the first time, or start the run anew"
            )


def earlier_run(settings: BenchmarkSettings, facts: dict[str, Any]) -> tuple[Path, bool] | None:
    """A folder in `settings.runs` of this very run, and whether it is done; None where there is none to go on with.

    A finished one comes before one that was stopped and left a state. One that says it is running is neither: another
    process may be at it.
    """
    from benchmarks.state import STATE

    stopped = None
    for path in sorted(Path(settings.runs).glob("*/result.json"), reverse=True):
        result, folder = read_json(path), path.parent
        status = result["status"]
        is_done, can_go_on = status == "done", status.startswith("stopped") and (folder / STATE).is_file()
        if not (is_done or can_go_on) or any(result.get(name) != facts[name] for name in (*IDENTIFYING, "method")):
            continue
        try:
            is_same = _deciding(saved_settings(folder, [])) == _deciding(settings)
        except (ValueError, OSError):  # of another version: not this run
            continue
        if is_same and is_done:
            return folder, True
        if is_same and stopped is None:
            stopped = folder
    return (stopped, False) if stopped is not None else None


def _content(settings: BenchmarkSettings) -> dict[str, Any]:
    from benchmarks.methods import method_name

    content = to_dict(settings)
    content["method"] = {"name": method_name(settings.method)} | content["method"]
    return content


def _deciding(settings: BenchmarkSettings) -> dict[str, Any]:
    content = deepcopy(_content(settings))
    for name in NOT_DECIDING:
        group, _, key = name.rpartition(".")
        del (content[group] if group else content)[key]
    return content
