"""The words of a command line as hydra takes them: flags, values that are taken as they are written, slips."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

from generators.allowed import Place, Words, leaves, shown

HYDRAS_LISTS = re.compile(r"(choice|glob|range|shuffle|sort)\(.*\)")  # of values in a grid, beside a,b
OF_LAUNCHER = re.compile(r"hydra/launcher=|hydra\.launcher\.(?!_)[\w.]+=")  # all that a grid may say to hydra


def texts_of(schema: type) -> frozenset[str]:
    """The settings that are paths or a person's words: they are taken as they are written."""
    return frozenset(name for name, field in leaves(schema) if isinstance(field.rule, Place | Words))


def open_names_of(schema: type) -> tuple[str, ...]:
    """The settings that take names of the user's own below them, such as `model.arguments`."""
    return tuple(name for name, field in leaves(schema) if field.kind is dict)


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


def settled(words: Sequence[str], schema: type, of_grid: bool = False) -> list[str]:
    """The words as hydra's grammar takes them. What is settled already stays as it is.

    Args:
        schema: whose settings they are.
        of_grid: a comma stands between values, also of texts that are not in quotes.

    Raises:
        ValueError: a setting that was torn apart, as in `data.root = photos`, or a form of hydra's that has no effect
            or another one than it seems to have.
    """
    texts, opened = texts_of(schema), tuple(f"{name}{end}" for name in open_names_of(schema) for end in ".=")
    for number, word in enumerate(words):
        refuse_hydras_forms(word, opened, of_grid)
        if "=" in word:
            continue
        before = words[number - 1] if number else ""
        after = [one.strip("=") for one in words[number + 1 : number + 3] if one.strip("=")]
        name, value = (before, word) if before.endswith("=") else (word, after[0] if after else "VALUE")
        raise ValueError(f"{word}: settings are written without spaces, {name.rstrip('=')}={value}")
    plain = [word.lstrip("+") for word in words]
    return [f"++{word}" if word.startswith(opened) else _as_written(word, texts, of_grid) for word in plain]


def refuse_hydras_forms(word: str, opened: Sequence[str], of_grid: bool) -> None:
    """Hydra adds, takes away and configures itself by words that look like settings: ours are all there already.

    Args:
        opened: how a word begins that adds a name, as in `model.arguments.`.

    Raises:
        ValueError: such a word.
    """
    plain = word.lstrip("+~")
    if word.startswith("~"):
        raise ValueError(f"{word}: no setting is taken away; {plain.partition('=')[0]}=null or another value sets one")
    if word.startswith("+") and not plain.startswith(tuple(opened)):
        raise ValueError(f"{word}: no setting is added to those that there are; to set one, {plain}")
    if re.match(r"hydra[./=]", word) and not (of_grid and OF_LAUNCHER.match(word)):
        what = "of hydra's own settings only hydra/launcher= and hydra.launcher.NAME= are taken, beside --multirun"
        raise ValueError(f"{word} has no effect here: {what}")


def _as_written(word: str, texts: Collection[str], of_grid: bool) -> str:
    name, _, value = word.partition("=")
    if name not in texts or (of_grid and HYDRAS_LISTS.fullmatch(value)):
        return word
    values = re.findall(r"""(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^,])+""", value) if of_grid else [value]
    return f"{name}={','.join(_as_text(one) for one in values)}"


def _as_text(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value if value in ("", "null") or is_quoted else quoted(value)


def values_of(word: str) -> list[Any]:
    """What a word's setting is given: one value, or those of a comma list; none where hydra would refuse the word."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import ChoiceSweep, QuotedString
    from hydra.errors import HydraException

    try:
        value = OverridesParser.create().parse_override(word).value()
    except HydraException:
        return []
    values = value.list if isinstance(value, ChoiceSweep) else [value]
    return [one.text if isinstance(one, QuotedString) else one for one in values]


@lru_cache(maxsize=1024)  # the runs of a grid are given the same words
def refuse_unreadable(word: str) -> None:
    """Raises ValueError where hydra's grammar does not take a word, naming it: hydra names a place in it alone."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        OverridesParser.create().parse_override(word)
    except (HydraException, ValueError) as error:  # ValueError: a number of thousands of digits
        told = " ".join(str(error).partition("\n")[0].split())
        raise ValueError(f"{shown(word)}: this cannot be read ({told}); put a text in quotes") from error


def quoted(value: str) -> str:
    """A text as hydra's grammar takes it: in quotes, where backslashes count only before a quote."""
    return "'" + re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), value) + "'"
