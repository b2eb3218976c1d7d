"""pretraining.json: what was trained, how, and the hashes of the weights beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from generators.hashes import file_hash
from ssl_aug.files import read_json, write_json
from ssl_aug.shipped import CONFIGS, WEIGHTS
from ssl_aug.shipped import RECORD as NAME


def done(out: Path) -> dict[str, Any]:
    """The facts of each stage whose weights are in `out`."""
    return read_json(out / NAME) if (out / NAME).is_file() else {}


def note(out: Path, stage: str, facts: dict[str, Any]) -> None:
    """Writes a stage down as done. Autoencoder and CLIP are written, in half precision, with the UNet."""
    written = {**done(out), stage: facts}
    for part, content in written.items():
        weights = out / WEIGHTS.get(part, f"{part}.safetensors")
        written[part] = content | ({"sha256": file_hash(weights)} if weights.is_file() else {})
        there = [name for name in CONFIGS.get(part, ()) if (out / name).is_file()]
        written[part] |= {"configs": {name: file_hash(out / name) for name in there}} if there else {}
    if "decoder" in written:
        written["autoencoder"].pop("sha256", None)  # its file holds the later decoder
    write_json(out / NAME, written)


def forget(out: Path, stage: str) -> None:
    """Takes a stage out whose weights were overwritten."""
    write_json(out / NAME, {name: facts for name, facts in done(out).items() if name != stage})
