"""From the words of a command line to settings.

Hydra composes the YAML files of `configs/` with the words of the command line over the schemas, so that a wrong name
or type is an error; below `compose` everything is a typed dataclass.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar, cast

from generators.allowed import allowed, leaves, shown
from generators.settings import ENTRY_POINTS, TUNED
from ssl_aug.settings import EMBEDDED_DATA
from ssl_aug.words import refuse_unreadable, settled


def config_folder() -> Path:
    """`configs/` beside the source, or the copy inside an installed wheel."""
    source = Path(__file__).resolve().parents[1] / "configs"
    return source if source.is_dir() else Path(str(files("ssl_aug") / "configs"))


Schema = TypeVar("Schema")
LIST = "give a list in brackets, as in [1, 2]"


def compose(config_name: str, overrides: Sequence[str], schema: type[Schema]) -> Schema:
    """`configs/<config_name>.yaml` with the command line's words over it, as a dataclass.

    Schemas of config groups (a method's settings) must be registered in hydra's ConfigStore before the call.

    Raises:
        ValueError: a name, value or option that does not exist, in one line that says what does.
    """
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    config = composed(config_name, overrides, schema)
    try:
        return cast(Schema, OmegaConf.to_object(config))
    except (HydraException, OmegaConfBaseException, OverflowError) as error:
        raise ValueError(_one_line(error, overrides, schema)) from error


def composed(config_name: str, overrides: Sequence[str], schema: type) -> Any:
    """The same as hydra's tree, in which values are of the right type, not yet in their range.

    Raises:
        ValueError: as `compose`.
    """
    from hydra.core.config_store import ConfigStore
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from ssl_aug.composition import learn, tree_of

    learn(schema, f"{config_name}_schema")
    for name in registered_generators():  # they have no YAML here
        ConfigStore.instance().store(group="generator", name=name, node={"name": name})
    words = settled(overrides, schema)
    for word in words:
        refuse_unreadable(word)
        _refuse_unknown_option(word, schema)
    try:
        config = tree_of(config_name, words, config_folder())
        _refuse_words_of_tuning(OmegaConf.select(config, "generator.name"), overrides)
        return config
    except (HydraException, OmegaConfBaseException, OverflowError) as error:  # OverflowError: no float holds it
        raise ValueError(_one_line(error, overrides, schema)) from error


def _refuse_unknown_option(word: str, schema: type) -> None:
    """A group takes the names of its files (`data=digits`) and no more, whatever else hydra would make of it."""
    group, _, value = word.partition("=")
    is_group = bool(group) and (config_folder() / group).is_dir()
    if re.search("[/@]", group) or (is_group and group not in (*allowed(schema), "experiment")):
        raise ValueError(f"{group}: there is no such setting; see --help")
    if is_group and value.strip("'\"") not in _options(group):
        options, meant = _options(group), value.strip("'\"").lower()
        if group == "generator" and re.search(r"[/\\]|\.(ckpt|safetensors)$", value):
            raise ValueError(
                f"{group}={shown(value)}: weights are named by generator.checkpoint, did you mean generator=ldm "
                f"generator.checkpoint={shown(value)}?"
            )
        close = meant if meant in options else next(iter(get_close_matches(meant, options, n=1, cutoff=0.75)), None)
        meant = f"; did you mean {group}={close}?" if close else ""
        raise ValueError(f"{group}={shown(value)}: there is no such {group}; choose one of {', '.join(options)}{meant}")


@cache
def registered_generators() -> dict[str, str]:
    """Generators of other packages, name -> package; none of them is imported.

    Raises:
        ValueError: a package registers a name that is there already.
    """
    taken, found = _files_of("generator"), dict[str, str]()
    for point in entry_points(group=ENTRY_POINTS):
        package = point.dist.name if point.dist else "another package"
        if point.name in (*taken, *found):
            raise ValueError(f"{package} registers the generator {point.name}, which is there already: rename it")
        found[point.name] = package
    return found


def _refuse_words_of_tuning(generator: str | None, words: Sequence[str]) -> None:
    """A generator that is not tuned has no adapter, no CLIP of ours and no null token: no word sets anything of them.

    Args:
        generator: None for a command that has none.
    """
    if generator is None or generator in TUNED:
        return
    for word in words:
        name, _, value = word.partition("=")
        if name.startswith("tune.") or name in ("generator.tokens", "generator.fold", "generator.clip_checkpoint"):
            raise ValueError(f"{word} has no effect on generator={generator}, which is not tuned: leave it out")
        if (name == "guidance" and value not in ("1", "1.0", "null")) or word == "condition=none":
            raise ValueError(f"{word} needs a trained null token, and generator={generator} has none: leave it out")


def refuse_accidental_toy(data: str, generator: str, words: Sequence[str]) -> None:
    """The embedded weights are the default, and know rendered cars alone: on other images they must be asked for.

    Raises:
        ValueError: they are not, with what else there is.
    """
    if data in EMBEDDED_DATA or generator != "embedded":
        return
    if not any(word in ("generator=embedded", "generator.name=embedded") for word in words):
        raise ValueError(
            f"data={data} wants a generator=: ldm with generator.checkpoint=WEIGHTS (experiment=sd15 for Stable "
            "Diffusion 1.5; docs/weights.md lists what there is), noise (a control), or embedded, which knows rendered "
            "cars alone"
        )
    warn_of_toy(data, generator)


def warn_of_toy(data: str, generator: str) -> None:
    """Says on stderr where the embedded weights are to draw what they do not know."""
    if data not in EMBEDDED_DATA and generator == "embedded":
        print(
            f"warning: generator=embedded knows rendered cars alone, its drawings of data={data} are of no use beyond "
            "a trial of the chain",
            file=sys.stderr,
        )


def _one_line(error: Exception, overrides: Sequence[str], schema: type) -> str:
    """Hydra's and OmegaConf's messages span lines and speak of structs: name the word, and what is allowed."""
    text = str(error)
    causes = [text] + [str(cause) for cause in (error.__cause__,) if cause is not None]
    several = re.search(r"Ambiguous value for argument '(.*)'$", text, re.MULTILINE)
    if several:
        return f"{shown(several[1])}: give one value (a list in brackets, a text in quotes, runs with --multirun)"
    unknown = re.search(r"Could not override '([^']+)'", text) or re.search(r"Key '([^']+)' not in", text)
    if unknown:
        return f"{unknown[1]}: there is no such setting{_way_out(unknown[1], overrides, schema)}"
    merged = re.match(r"Error merging override (.*)", text)
    causes = causes[1:] if merged else causes
    lines = [line.strip() for line in "; ".join(causes).splitlines()]
    kept = [line for line in lines if line and not line.startswith(("object_type", "reference_type", "See http"))]
    named = re.search(r"full_key: ([\w.]+)", text)
    word = next((o for o in overrides if named and o.startswith(f"{named[1]}=")), named[1] if named else "")
    word = merged[1].rstrip(";") if merged else word
    message = re.sub(r"\s*full_key: [\w.]+", "", " ".join(kept)).strip()
    message = re.sub(
        r"Value '(.*)' of type '\w+' could not be converted to (Integer|Float)",
        lambda found: f"give {'a whole number' if found[2] == 'Integer' else 'a number'} (or null)",
        message,
    )
    message = re.sub(r"(give a whole number|give a number) \(or null\)\[\d+\]", r"\1 in each place", message)
    message = re.sub(r"Invalid value assigned: \w+ is not a ListConfig, list or tuple\.?", LIST, message)
    message = re.sub(r"Value '.*' is not a valid bool \(type \w+\)", "give true or false", message)
    message = re.sub(r"\S{80,}", lambda found: f"{found[0][:77]}...", message)
    return f"{shown(word)}: {message}" if word else message


def _files_of(group: str) -> list[str]:
    return [path.stem for path in (config_folder() / group).glob("*.yaml")]


def _options(group: str) -> list[str]:
    """What may be written after `group=`, with what other packages register."""
    from hydra.core.config_store import ConfigStore

    stored = [name.removesuffix(".yaml") for name in ConfigStore.instance().repo.get(group, {}) if ".yaml" in name]
    names = {*_files_of(group), *(name for name in stored if not name.endswith("_schema"))}
    return sorted(name for name in names if not name.startswith("for_"))


def _way_out(name: str, overrides: Sequence[str], schema: type) -> str:
    generator = next((word.partition("=")[2] for word in overrides if word.startswith("generator=")), "")
    package = registered_generators().get(generator)
    if name.startswith("generator.") and package:
        return (
            f", a generator that a package registers ({package}) can have none of its own: write them into a file and "
            "name it with generator.checkpoint"
        )
    return f"{_nearest(name, [*setting_names(schema), *_names_of_group(name, overrides)])}; see --help"


def _nearest(name: str, names: Sequence[str]) -> str:
    close = get_close_matches(name, names, n=1) or get_close_matches(name.split(".")[-1], names, n=1)
    return f", did you mean {close[0]}?" if close else ""


def _names_of_group(name: str, overrides: Sequence[str]) -> list[str]:
    """The settings of what was chosen of a group (`method.threshold` with method=fixmatch), where they are stored."""
    from hydra.core.config_store import ConfigStore

    group = name.partition(".")[0]
    chosen = next((word.partition("=")[2] for word in overrides if word.startswith(f"{group}=")), "")
    stored = ConfigStore.instance().repo.get(group, {}).get(f"{chosen}_schema.yaml")
    return [] if stored is None else [f"{group}.{one}" for one in stored.node]


def setting_names(schema: type) -> list[str]:
    """The settings of a schema and of those in it, as they are written on the command line."""
    return [name for name, _ in leaves(schema)]
