"""generator.json, a set's record, with its fields of the kinds that readers rely on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ssl_aug.records import kinds_of, read_record
from ssl_aug.settings import Settings

NAME = "generator.json"
PLACES = "places"  # where data and weights lay, which decides nothing and may change
COMPILED = "compiled"  # whether the network was, which moves the pictures by rounding; sets of before: it was not
WAY_OUT = "restore the file from a copy, or draw the set again into another folder (generate: --out)"
# beside the settings; generator.checkpoint: owner/name@commit of weights of the hub
OWN = {
    "labeled_set_id": (str,), "imported": (bool,), "num_images": (int,), "class_names": (list,), PLACES: (dict,),
    COMPILED: (bool,),
    "generator.checkpoint": (str,),
}  # fmt: skip


def record_of(folder: Path) -> dict[str, Any]:
    """A set's record.

    Raises:
        ValueError: no JSON, or a field that is missing or of another kind; the field is named.
    """
    path = folder / NAME
    record = read_record(path, {**kinds_of(Settings), **OWN}, WAY_OUT, ["labeled_set_id"])
    if not all(isinstance(name, str) for name in record.get("class_names", ())):
        raise ValueError(f"{path}: class_names holds something else than names: {WAY_OUT}")
    if not all(isinstance(place, str) for place in record.get(PLACES, {}).values()):
        raise ValueError(f"{path}: {PLACES} holds something else than paths: {WAY_OUT}")
    return record
