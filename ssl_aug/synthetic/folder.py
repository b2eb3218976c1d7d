"""The synthetic set on disk: its manifest, what is in it, and which set a run's settings mean.

A set is a folder: `images/<class index>_<slug>/<source stem>_<k>.png`, `manifest.csv`, `generator.json` (its record),
`README.md`. A set without `manifest.csv` is not finished. Of a finished set drawings may be thrown out (`kept.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from unicodedata import normalize

from ssl_aug.data.base import Example, LabeledSet
from ssl_aug.data.contents import short_id
from ssl_aug.files import read_json
from ssl_aug.settings import EMBEDDED, Settings, deciding_pictures, short_hash
from ssl_aug.shipped import RECORD
from ssl_aug.synthetic.kept import REJECTED, divided
from ssl_aug.synthetic.manifest import WAY_OUT as RESTORE
from ssl_aug.synthetic.manifest import Row, read_rows, require_classes
from ssl_aug.synthetic.set_record import record_of

SETS = Path("outputs/synthetic")  # where they lie by default
NUM_NAMED = 3  # other sets that an error lists


@dataclass(frozen=True)
class SyntheticSet:
    """A finished set. `examples` are labeled images like any others."""

    folder: Path
    labeled_set_id: str
    rows: tuple[Row, ...]
    deleted: tuple[Row, ...] = ()  # thrown out: the file is gone
    rejected: tuple[Row, ...] = ()  # thrown out: rejected.txt lists it

    @classmethod
    def open(cls, folder: Path | str) -> SyntheticSet:
        """Reads a set's manifest and record, and sees to it that its images are as they were drawn.

        Raises:
            FileNotFoundError: no set in this folder, an unfinished one, or one without its images.
            ValueError: an image was altered; a row of the manifest or a field of the record is none of a set's, or they
                contradict each other; a path leads out of the folder; or rejected.txt names something else.
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
        manifest, record = folder / "manifest.csv", record_of(folder)
        rows = read_rows(manifest)
        if len(rows) < record.get("num_images", 0):
            raise ValueError(
                f"{manifest} lists {len(rows)} of the set's {record['num_images']} images: {RESTORE}; to leave some "
                f"out delete their files or list them in {REJECTED}"
            )
        names = record.get("class_names")
        require_classes(manifest, rows, None if names is None else tuple(names))
        if not record.get("imported"):  # those may be links
            _require_inside(folder, rows)
        return cls(folder, record["labeled_set_id"], *divided(folder, rows))

    def first(self, per_sample: int) -> SyntheticSet:
        """The images with k below `per_sample`."""
        taken, deleted, rejected = (
            tuple(row for row in rows if int(row["k"]) < per_sample)
            for rows in (self.rows, self.deleted, self.rejected)
        )
        return replace(self, rows=taken, deleted=deleted, rejected=rejected)

    @property
    def num_drawn(self) -> int:
        """How many images were drawn, with those that were thrown out since."""
        return len(self.rows) + len(self.deleted) + len(self.rejected)

    @property
    def left_out(self) -> str:
        """What was thrown out, in words; empty where nothing was."""
        counts = {"deleted": len(self.deleted), f"in {REJECTED}": len(self.rejected)}
        words = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
        return f"{self.num_drawn - len(self)} of {self.num_drawn} drawings are left out ({words})" if words else ""

    @cached_property
    def examples(self) -> tuple[Example, ...]:
        return tuple(Example(self.folder / row["path"], int(row["label"])) for row in self.rows)

    @property
    def sources(self) -> set[tuple[str, str]]:
        """The class's name and the key of each labeled image that something was drawn from."""
        drawn = (*self.rows, *self.deleted, *self.rejected)
        return {(row["class_name"], row["source"]) for row in drawn if row["source"]}

    @cached_property
    def id(self) -> str:
        """12 hex digits of the images' names and contents."""
        lines = (f"{row['path']} {row['label']} {row['sha256']}" for row in self.rows)
        return short_id(lines)

    def __len__(self) -> int:
        return len(self.rows)

    def require_sources(self, labeled: LabeledSet) -> None:
        """Sees to it that each image has the class of the labeled one that it was drawn from.

        Raises:
            ValueError: it has not, or the labeled set has no such image or class.
        """
        manifest = self.folder / "manifest.csv"
        require_classes(manifest, self.rows, labeled.class_names)
        known = {(example.key, example.label) for example in labeled.examples}
        keys = {key for key, _ in known}
        for row in self.rows:
            source = normalize("NFC", row["source"])
            if source and (source, int(row["label"])) not in known:
                why = "which has another label" if source in keys else "which is no labeled image of this split"
                raise ValueError(
                    f"{manifest}: {row['path']} has the label {row['label']} and the source {source!r}, {why}: "
                    f"{RESTORE}"
                )


def _require_inside(folder: Path, rows: Sequence[Row]) -> None:
    """Raises ValueError where an image of the set lies, by a link, outside its folder."""
    root = folder.resolve()
    of_parent: dict[str, Path] = {}
    for row in rows:
        path, parent = folder / row["path"], row["path"].rpartition("/")[0]
        if parent not in of_parent:
            of_parent[parent] = path.parent.resolve()
        target = path.resolve() if path.is_symlink() else of_parent[parent]
        if not target.is_relative_to(root):
            raise ValueError(
                f"{folder / 'manifest.csv'}: {row['path']} leads out of the set's folder to {target}: put the image "
                "itself there, or the whole set into another folder and a link to that"
            )


def is_finished(folder: Path) -> bool:
    """Whether a folder holds a set that was drawn to its end."""
    return (folder / "generator.json").is_file() and (folder / "manifest.csv").is_file()


def is_imported(folder: Path) -> bool:
    """Whether another program made a set's images."""
    return bool(record_of(folder).get("imported"))


def default_folder(settings: Settings, labeled_set_id: str) -> Path:
    """Where the set of these settings and labeled images lies unless `synthetic.root` says otherwise.

    The readable part names the split and its labeled images; the hash stands for everything else that decides the
    pictures, save the seed and the number of images, so that a longer set replaces a shorter one.
    """
    data = settings.data
    labels = "all" if data.labels_per_class is None else data.labels_per_class
    name = f"{data.name}-{labels}-split{data.split_seed}-{settings.generator.name}"
    kept = deciding_pictures(settings)
    if settings.generator.name == "embedded":  # other versions of this package hold other weights
        kept["weights"] = [part.get("sha256") for part in read_json(EMBEDDED / RECORD).values()]
    return SETS / f"{name}-{labeled_set_id}-{short_hash(kept)}"


def finished_sets(labeled_set_id: str) -> list[Path]:
    """The finished sets of these labeled images that lie where sets lie by default, newest first."""
    own = []
    for path in (each.parent for each in SETS.glob("*/manifest.csv") if is_finished(each.parent)):
        with suppress(ValueError):  # a damaged one is no set to name
            if record_of(path)["labeled_set_id"] == labeled_set_id:
                own.append(path)
    return sorted(own, key=lambda path: (path / "manifest.csv").stat().st_mtime_ns, reverse=True)


def open_for(labeled: LabeledSet, settings: Settings) -> SyntheticSet:
    """The set that `settings` name, for this labeled set: the first `per_sample` images of each labeled one.

    Raises:
        FileNotFoundError: there is none; the message names sets of the same split that are there.
        ValueError: it was drawn from another labeled set, holds fewer images per labeled one, or images that show
            no class; an image was altered, or all were thrown out.
    """
    if settings.synthetic.refill:
        raise ValueError("synthetic.refill=true has no effect here: give it to python -m ssl_aug.generate")
    folder = Path(settings.synthetic.root) if settings.synthetic.root else default_folder(settings, labeled.id)
    try:
        synthetic = SyntheticSet.open(folder)
    except FileNotFoundError as error:
        fitting = [] if settings.synthetic.root else finished_sets(labeled.id)[:NUM_NAMED]
        named = ", ".join(f"synthetic.root={path}" for path in fitting)
        hint = f"; finished ones of the same labeled images, newest first: {named}" if fitting else ""
        raise FileNotFoundError(f"{error}{hint}") from None
    labeled.with_synthetic(synthetic)
    refuse_unlabeled(folder)
    wanted = synthetic.first(settings.per_sample)
    if wanted.num_drawn < settings.per_sample * len(labeled) and not is_imported(folder):
        raise ValueError(
            f"{folder} holds {synthetic.num_drawn} images, per_sample={settings.per_sample} of {len(labeled)} labeled "
            f"ones asks for {settings.per_sample * len(labeled)}: draw more with the same settings, "
            "python -m ssl_aug.generate "
            f"--per-sample {settings.per_sample}, or ask for fewer"
        )
    if wanted.left_out:
        print(f"{folder}: {wanted.left_out}", file=sys.stderr)
    if wanted.num_drawn and not wanted.rows:
        raise ValueError(f"{folder}: {wanted.left_out}, so that none is left to train on: draw another set")
    return wanted


def refuse_set_of_others(labeled: LabeledSet, folder: Path) -> None:
    """Raises ValueError where a folder holds a set that was drawn from another labeled set, finished or not."""
    record = folder / "generator.json"
    if record.is_file():
        listed = tuple(read_rows(folder / "manifest.csv")) if is_finished(folder) else ()
        drawn = SyntheticSet(folder, record_of(folder)["labeled_set_id"], listed)
        if drawn.labeled_set_id != labeled.id:
            labeled.with_synthetic(drawn)


def refuse_unlabeled(folder: Path) -> None:
    """Raises ValueError where a set's images do not show their references' classes, and so have no labels."""
    why = why_unlabeled(record_of(folder))
    if why:
        raise ValueError(f"{folder}: {why} decided what its images show, not the labeled image: they have no labels")


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
