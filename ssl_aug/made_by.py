"""The command that makes an output folder again, in a file of it: one line for a shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from ssl_aug.command_line import composed
from ssl_aug.files import written_atomically
from ssl_aug.help import options_of
from ssl_aug.settings import Settings, flat
from ssl_aug.tables import read_text
from ssl_aug.words import quoted, texts_of

COMMAND = "command.txt"
# Where results lie and how a command was run, as opposed to what it made.
_NOT_SAID = ("resume", "runs", "dry_run", "shard", "synthetic.refill", "tune.root")
_PLAIN = re.compile(r"[A-Za-z_][\w./-]*")
_OTHERWISE = ("null", "true", "false", "nan", "inf", "none", "on", "off", "yes", "no")  # texts that need quotes


def write_command(folder: Path, line: str | None) -> None:
    """Puts the line into a folder, in place of one that is there; without a line nothing is done."""
    if line is None:
        return
    with written_atomically(folder / COMMAND) as part:
        part.write_text(line + "\n", encoding="utf-8")


def read_command(folder: Path) -> str | None:
    """The line in a folder; None where there is none.

    Raises:
        ValueError: the file is no text.
    """
    path = folder / COMMAND
    return (read_text(path, "take it away").strip() or None) if path.is_file() else None


def command_of(
    module: str,
    config_name: str,
    settings: Any,
    schema: type,
    groups: Mapping[str, str] | None = None,
    unsaid: tuple[str, ...] = (),
    by_last_name: bool = False,
) -> str | None:
    """`python -m module` with the words that give these settings, whichever way they came about.

    None where the images were given in Python: no word names them.

    Every choice of data, generator and the like is named, and every setting that these choices leave otherwise.
    Relative paths stay as they are: they count from the folder that the command was given in.

    Args:
        config_name: of `configs/`, that the command composes.
        schema: whose settings are said; `settings` may have more.
        groups: further choices among the files of `configs/`, such as method: fixmatch.
        unsaid: settings, or groups of them, that are left out, beside those that say only where results lie or how a
            command was run.
        by_last_name: absolute paths without the folders above them, for what is published.
    """
    chosen: dict[str, str] = dict(groups or {})
    if isinstance(settings, Settings):
        if settings.data.name not in options_of("data"):
            return None
        chosen = {"data": settings.data.name, "generator": settings.generator.name, **chosen}
    chosen = {group: name for group, name in chosen.items() if group not in unsaid}
    words = [f"{group}={name}" for group, name in chosen.items()]
    before = _composed(config_name, tuple(words), schema)
    texts = texts_of(schema)
    left_out = {*_NOT_SAID, *unsaid, *(f"{group}.name" for group in ("data", "generator")), *chosen}
    known = {name.partition(".")[0] for name in before}
    for name, value in flat(asdict(settings)).items():
        first, held = name.partition(".")[0], list(value) if isinstance(value, tuple) else value
        is_said = first in known and first not in unsaid and name not in left_out
        if is_said and (name not in before or before[name] != held):
            is_cut = by_last_name and name in texts and value is not None and Path(value).is_absolute()
            said = Path(value).name if is_cut else value
            words.append(f"{name}={_text(said) if name in texts else _value(said)}")
    return shlex.join(["python", "-m", module, *words])


@cache
def _composed(config_name: str, words: tuple[str, ...], schema: type) -> dict[str, Any]:
    """What these choices leave all settings at, by name."""
    from omegaconf import OmegaConf

    with _aside_of_a_grid():
        found: Any = OmegaConf.to_container(composed(config_name, words, schema), resolve=True)
    return flat(found)


@contextmanager
def _aside_of_a_grid() -> Iterator[None]:
    """Inside, settings can be composed also while hydra runs a grid, which takes that for a slip."""
    from hydra.core.global_hydra import GlobalHydra

    running = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().clear()
        if running is not None:
            GlobalHydra.instance().initialize(running)


def _text(value: Any) -> str:
    """A path or a person's words, which a command line takes as they are written."""
    if value is None:
        return "null"
    written = str(value)
    return quoted(written) if written in ("", "null") or written[0] in "'\"" else written


def _value(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        is_plain = _PLAIN.fullmatch(value) and value.lower() not in _OTHERWISE
        return value if is_plain else quoted(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(_value(each) for each in value)}]"
    return repr(value)
