"""The words of a command line as hydra takes them: flags, values that are taken as they are written, slips."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

# Settings that are texts and paths: what stands behind the = is taken as it is, commas, spaces and = included.
AS_WRITTEN = (
    "prompt", "class_prompt", "data.root", "data.image_column", "data.label_column", "synthetic.root", "tune.root",
    "generator.checkpoint", "generator.clip_checkpoint", "model.checkpoint", "runs", "resume", "out", "start_from",
    "folder", "made_by",
)  # fmt: skip


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
            overrides.append(f"{flags[flag]}={value or left.pop(0)}")
        elif word.startswith("-"):
            raise ValueError(f"{word}: there is no such flag; {way_out_of_flag(word, left, (*flags, *switches))}")
        else:
            overrides.append(word)
    return overrides


def way_out_of_flag(word: str, following: Sequence[str], flags: Sequence[str]) -> str:
    """What was meant by a word that looks like a flag: another spelling of one, or a setting.

    Args:
        following: the words behind it.
    """
    flag, _, value = word.partition("=")
    near = [one for one in flags if re.sub("[-_]", "", one) == re.sub("[-_]", "", flag)]
    if near:
        return f"did you mean {near[0]}?"
    if "." in flag:
        given = value or (following[0] if following else "VALUE")
        return f"settings are written without dashes, {flag.lstrip('-')}={given}"
    return f"{', '.join(flags)} or name=value" if flags else "settings are written name=value, see --help"


def settled(words: Sequence[str]) -> list[str]:
    """The words as hydra's grammar takes them.

    Raises:
        ValueError: a setting that was torn apart, as in `data.root = photos`.
    """
    for number, word in enumerate(words):
        if "=" in word or word.startswith("~"):
            continue
        before = words[number - 1] if number else ""
        after = [one.strip("=") for one in words[number + 1 : number + 3] if one.strip("=")]
        name, value = (before, word) if before.endswith("=") else (word, after[0] if after else "VALUE")
        raise ValueError(f"{word}: settings are written without spaces, {name.rstrip('=')}={value}")
    return [_as_written(word) for word in words]


def _as_written(word: str) -> str:
    name, _, value = word.partition("=")
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return word if name not in AS_WRITTEN or value in ("", "null") or is_quoted else f"{name}={quoted(value)}"


def quoted(value: str) -> str:
    """A text as hydra's grammar takes it: in quotes, where backslashes count only before a quote."""
    return "'" + re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), value) + "'"
