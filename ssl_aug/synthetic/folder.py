"""The synthetic set on disk: its manifest, what is in it, and which set a run's settings mean.

A set is a folder: `images/<class index>_<slug>/<source stem>_<k>.png`, `manifest.csv`, `generator.json` (its record),
`README.md`. A set without `manifest.csv` is not finished.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ssl_aug.data.base import Example, LabeledSet
from ssl_aug.files import read_json, written_atomically
from ssl_aug.settings import EMBEDDED, Settings, deciding_pictures, short_hash

SCORES = ("source_score", "class_score")  # empty where the generator has no CLIP (`ssl_aug/selection.py`)
COLUMNS = (
    "path", "label", "class_name", "source", "k", "seed",
    "mask_rate", "mask_box", "lender", "sampler", "steps", "guidance", "sha256", *SCORES,
)  # fmt: skip
Row = dict[str, str]


@dataclass(frozen=True)
class SyntheticSet:
    """A finished set. `examples` are labeled images like any others."""

    folder: Path
    labeled_set_id: str
    rows: tuple[Row, ...]

    @classmethod
    def open(cls, folder: Path | str) -> SyntheticSet:
        """Reads a set's manifest.

        Raises:
            FileNotFoundError: no set in this folder, an unfinished one, or an image of the manifest is missing.
        """
        folder = Path(folder)
        if not (folder / "generator.json").is_file():
            raise FileNotFoundError(
                f"{folder} holds no synthetic set: draw one with python -m ssl_aug.generate and the same settings"
            )
        if not (folder / "manifest.csv").is_file():
            raise FileNotFoundError(
                f"{folder} is not finished: run the same python -m ssl_aug.generate again, it goes on where it stopped"
            )
        rows = read_rows(folder / "manifest.csv")
        missing = next((row["path"] for row in rows if not (folder / row["path"]).is_file()), None)
        if missing:
            raise FileNotFoundError(f"{folder / missing} is in the manifest and not on disk: run generate again")
        return cls(folder, read_json(folder / "generator.json")["labeled_set_id"], tuple(rows))

    def first(self, per_sample: int) -> SyntheticSet:
        """The images with k below `per_sample`."""
        return replace(self, rows=tuple(row for row in self.rows if int(row["k"]) < per_sample))

    @cached_property
    def examples(self) -> tuple[Example, ...]:
        return tuple(Example(self.folder / row["path"], int(row["label"])) for row in self.rows)

    @cached_property
    def id(self) -> str:
        """12 hex digits of the images' names and contents."""
        lines = (f"{row['path']} {row['label']} {row['sha256']}" for row in self.rows)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]

    def __len__(self) -> int:
        return len(self.rows)


def read_rows(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def default_folder(settings: Settings) -> Path:
    """Where the set of these settings lies unless `synthetic.root` says otherwise.

    The readable part names the split; the hash stands for everything else that decides the pictures, save the
    seed and the number of images, so that a longer set replaces a shorter one.
    """
    data = settings.data
    labels = "all" if data.labels_per_class is None else data.labels_per_class
    name = f"{data.name}-{labels}-split{data.split_seed}-{settings.generator.name}"
    kept = deciding_pictures(settings)
    if settings.generator.name == "embedded":  # other versions of this package hold other weights
        kept["weights"] = [part.get("sha256") for part in read_json(EMBEDDED / "pretraining.json").values()]
    return Path("outputs/synthetic") / f"{name}-{short_hash(kept)}"


def open_for(labeled: LabeledSet, settings: Settings) -> SyntheticSet:
    """The set that `settings` name, for this labeled set: the first `per_sample` images of each labeled one.

    Raises:
        FileNotFoundError: there is none; the message names sets of the same split that are there.
        ValueError: it was drawn from another labeled set, holds fewer images per labeled one, or images that show
            no class.
    """
    folder = Path(settings.synthetic.root) if settings.synthetic.root else default_folder(settings)
    try:
        synthetic = SyntheticSet.open(folder)
    except FileNotFoundError as error:
        others = [path.parent for path in sorted(Path("outputs/synthetic").glob("*/generator.json"))]
        fitting = [
            str(other) for other in others if read_json(other / "generator.json").get("labeled_set_id") == labeled.id
        ]
        hint = (
            f"; of the same split there is synthetic.root={fitting[0]}"
            if fitting and not settings.synthetic.root
            else ""
        )
        raise FileNotFoundError(f"{error}{hint}") from None
    labeled.with_synthetic(synthetic)
    identity = read_json(folder / "generator.json")
    why = why_unlabeled(identity)
    if why:
        raise ValueError(f"{folder}: {why} decided what its images show, not the labeled image: they have no labels")
    wanted = synthetic.first(settings.per_sample)
    if len(wanted) < settings.per_sample * len(labeled) and not identity.get("imported"):
        raise ValueError(
            f"{folder} holds {len(synthetic)} images, per_sample={settings.per_sample} of {len(labeled)} labeled ones "
            f"asks for {settings.per_sample * len(labeled)}: draw more with the same settings, "
            "python -m ssl_aug.generate "
            f"--per-sample {settings.per_sample}, or ask for fewer"
        )
    return wanted


def why_unlabeled(identity: dict[str, Any]) -> str | None:
    """The setting by which a set's images do not show their references' classes, None where they do."""
    if identity.get("strength", 1.0) < 1:
        return None
    if identity.get("prompt") is not None:
        return f"prompt={identity['prompt']!r}"
    if identity.get("condition", "image") == "none":
        return "condition=none"
    approach = identity.get("tune", {}).get("approach")
    return f"tune.approach={approach}" if approach == "anl_unconditional" else None


def write_manifest(path: Path, rows: Iterable[Row]) -> None:
    """A manifest; columns that a row lacks stay empty."""
    with written_atomically(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="raise", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
