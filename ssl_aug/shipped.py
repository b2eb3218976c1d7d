"""The weights that come with the package: whole, or not used.

`pretraining.json` beside them holds the sha256 of each file that they are loaded from.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssl_aug.data.contents import content_hashes
from ssl_aug.files import read_json

RECORD = "pretraining.json"
WEIGHTS = {"decoder": "autoencoder.safetensors"}  # files that are not named after their stage
CONFIGS = {  # what says how weights are read, of the stage that wrote it last
    "backbone": ("backbone.json",), "unet": ("unet.json", "model.json"), "decoder": ("autoencoder.json",),
}  # fmt: skip
GENERATOR, BACKBONE = ("clip", "unet", "decoder"), ("backbone",)  # what is loaded together


def files_of_stage(stage: str) -> tuple[str, ...]:
    """Names of a stage's files, its weights first."""
    return WEIGHTS.get(stage, f"{stage}.safetensors"), *CONFIGS.get(stage, ())


def refuse_altered_weights(folder: Path, stages: Sequence[str]) -> None:
    """Reads each file, or remembers that it was read, before anything is loaded from it.

    Args:
        folder: of the weights that come with the package.
        stages: whose files are wanted.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: one is not as it was written, or nothing says how it was.
    """
    names = [name for stage in stages for name in files_of_stage(stage)]
    for name in (RECORD, *names):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name} is missing: {_way_out(folder)}")
    record = read_json(folder / RECORD)
    found = dict(zip(names, content_hashes([folder / name for name in names]), strict=True))
    for name, sha256 in written_hashes(record, stages).items():
        if found[name] != sha256:
            raise ValueError(
                f"{folder / name} is not the file that {RECORD} describes, its sha256 is another: {_way_out(folder)}"
            )


def written_hashes(record: dict[str, Any], stages: Sequence[str]) -> dict[str, str | None]:
    """What the record says of these stages' files; None where it says nothing."""
    of_stage = {stage: record.get(stage, {}) for stage in stages}
    return {
        name: of_stage[stage].get("sha256") if number == 0 else of_stage[stage].get("configs", {}).get(name)
        for stage in stages
        for number, name in enumerate(files_of_stage(stage))
    }


def _way_out(folder: Path) -> str:
    return f"install the package again, or make the weights with python -m ssl_aug.pretrain out={folder}"
