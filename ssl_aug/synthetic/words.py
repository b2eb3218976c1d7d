"""What a finished set says of itself, as words of a command line: its folder alone names data and drawing.

`synthetic.root=DIR` stands for all settings in DIR/generator.json. What is said beside it may only agree.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from generators.allowed import user_path
from generators.settings import TUNED
from ssl_aug.command_line import config_folder, registered_generators, setting_names
from ssl_aug.settings import Settings, flat
from ssl_aug.synthetic.folder import NUM_NAMED, is_finished
from ssl_aug.synthetic.manifest import read_rows
from ssl_aug.synthetic.set_record import PLACES, record_of
from ssl_aug.words import quoted, settled, values_of

# of the drawings; a command that trains has other ones of these names
OF_DRAWING = ("seed", "batch_size")
# may differ from what the set says: where things lie now, and fewer images than there are
FREE = ("data.root", "generator.checkpoint", "generator.clip_checkpoint", "per_sample", "batch_size")
# without effect on a generator that is not tuned, and refused there
OF_TUNING = ("tune.", "generator.tokens", "generator.fold")
GROUPS = {"data.name": "data", "generator.name": "generator"}
PLAIN = re.compile(r"(?:[A-Za-z_/]|\./|\.\./)[\w./-]*", re.ASCII)  # what hydra takes for text without quotes
NO_TEXT = ("true", "false", "null", "nan", "inf")


def with_words_of_set(
    words: Sequence[str], schema: type = Settings, draws: bool = False, of_grid: bool = False
) -> list[str]:
    """A command line's words, with those before them that the finished set of synthetic.root says of itself.

    Words without a finished set, or that go on with a run, stay as they are. Of several sets (a grid's
    synthetic.root=A,B) what they have in common is said.

    Args:
        schema, of_grid: as in `ssl_aug.words.settled`.
        draws: whether seed and batch_size are those of the drawings.

    Raises:
        ValueError: a word that says something else than the set.
        FileNotFoundError: the set's data are no longer where they were, and no other place is named.
    """
    given, words = list(words), settled(words, schema, of_grid)
    said = {word.partition("=")[0]: word for word in words if "=" in word}
    if "synthetic.root" not in said or said.get("resume", "resume=null") not in ("resume=null", "resume="):
        return given
    folders = [user_path(str(root)) for root in values_of(said["synthetic.root"])]
    for folder in folders:
        _refuse_place_of_sets(folder)
    if not folders or not all(is_finished(folder) for folder in folders):
        return given
    of_each = [settings_of_set(folder, draws) for folder in folders]
    own = {
        name: value
        for name, value in of_each[0].items()
        if all(other.get(name, math.nan) == value for other in of_each[1:])
    }
    if "data.root" not in said:
        own |= _root_of_data(folders[0], own.get("data"))
    unsaid = set()
    for name, value in own.items():
        wanted = values_of(said[name]) if name in said else [None]
        if wanted == [None]:  # nothing said
            unsaid.add(name)
        elif name not in FREE and any(one != value for one in wanted):
            raise ValueError(
                f"{folders[0]} holds a set with {word_of(name, value)}, asked for is {said[name]}: leave the word out, "
                "or name another set with synthetic.root"
            )
    kept = [word for word in words if word.partition("=")[0] not in unsaid]
    return [*(word_of(name, own[name]) for name in own if name in unsaid), *kept]


def _refuse_place_of_sets(folder: Path) -> None:
    """Raises ValueError where a folder holds sets, or is within one: the set itself is to be named."""
    if is_finished(folder):
        return
    inside = next((parent for parent in folder.absolute().parents if is_finished(parent)), None)
    if inside is not None and folder.exists():
        raise ValueError(f"synthetic.root={folder} is within a set: did you mean synthetic.root={inside}?")
    sets = sorted(path.parent for path in folder.glob("*/manifest.csv") if is_finished(path.parent))
    if sets:
        named = " or ".join(f"synthetic.root={path}" for path in sets[:NUM_NAMED])
        more = f", {len(sets)} in all" if len(sets) > NUM_NAMED else ""
        raise ValueError(f"synthetic.root={folder} is no set, but holds some: name one, {named}{more}")


def settings_of_set(folder: Path, draws: bool) -> dict[str, Any]:
    """The settings by their names on the command line that a finished set was drawn with; of an old one, what it says.

    Raises:
        ValueError: its record is not readable.
    """
    record = record_of(folder)
    said = flat({name: value for name, value in record.items() if name != PLACES})
    known = setting_names(Settings)
    found = {name: said[name] for name in known if name in said and (draws or name not in OF_DRAWING)}
    generator = found.get("generator.name")
    if generator not in (*TUNED, "noise", *registered_generators()):  # of a package that is not installed here
        found = {name: value for name, value in found.items() if name.startswith("data.") or name in OF_DRAWING}
    elif generator not in TUNED:
        found = {name: value for name, value in found.items() if not name.startswith(OF_TUNING)}
    if found.get("condition") == "class":
        found["mask_rate"] = None  # there is nothing to mask, and a rate is refused
    for name, place in record.get(PLACES, {}).items():
        if name.startswith("generator.") and "generator.name" in found and Path(place).exists():
            found.setdefault(name, place)
    rows = read_rows(folder / "manifest.csv")
    if rows:
        found["per_sample"] = 1 + max(int(row["k"]) for row in rows)
    return {GROUPS.get(name, name): value for name, value in found.items()}


def places_of(settings: Settings) -> dict[str, str]:
    """Where data and weights lie, for a set's record; absolute, so that any folder may be the working one later."""
    named = {
        "data.root": settings.data.root,
        "generator.checkpoint": settings.generator.checkpoint,
        "generator.clip_checkpoint": settings.generator.clip_checkpoint,
    }
    return {
        name: str(Path(place).resolve()) for name, place in named.items() if place is not None and Path(place).exists()
    }


def word_of(name: str, value: Any) -> str:
    """`name=value` as hydra's grammar takes it."""
    if value is None or isinstance(value, bool):
        return f"{name}={'null' if value is None else str(value).lower()}"
    if isinstance(value, str) and not (PLAIN.fullmatch(value) and value.lower() not in NO_TEXT):
        return f"{name}={quoted(value)}"
    return f"{name}={value}"


def _root_of_data(folder: Path, data: str | None) -> dict[str, Any]:
    """data.root as a set knows it, where the data are still there; empty where the default is to be taken.

    Raises:
        FileNotFoundError: they are neither there nor at the default place.
    """
    root = record_of(folder).get(PLACES, {}).get("data.root")
    if root is None or Path(root).exists():
        return {} if root is None else {"data.root": root}
    from omegaconf import OmegaConf

    default = OmegaConf.select(OmegaConf.load(config_folder() / "data" / f"{data}.yaml"), "root")
    if default is None or not user_path(default).exists():  # SSL_AUG_DATA, or data
        raise FileNotFoundError(
            f"{folder} was drawn from data in {root}, which is not there: say data.root=FOLDER, where they lie now"
        )
    return {}
