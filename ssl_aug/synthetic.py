"""The synthetic set on disk: what is asked for, what is there, and how one becomes the other without half states.

A set is a folder: `images/<class index>_<slug>/<source stem>_<k>.png`, `manifest.csv`, `generator.json`, `README.md`.
While it is being drawn, finished chunks lie under `.work/`; a set without `manifest.csv` is not finished.
"""

from __future__ import annotations

import csv
import hashlib
import re
import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ssl_aug.data.base import Example, LabeledSet
from ssl_aug.runtime import derived_seed, read_json, write_json, written_atomically
from ssl_aug.settings import EMBEDDED, Settings, deciding_pictures, short_hash

SCORES = ("source_score", "class_score")  # empty where the generator has no CLIP (`ssl_aug/selection.py`)
COLUMNS = (
    "path", "label", "class_name", "source", "k", "seed",
    "mask_rate", "mask_box", "lender", "sampler", "steps", "guidance", "sha256", *SCORES,
)  # fmt: skip
Row = dict[str, str]


# ---------------------------------------------------------------------------------------------------------------------
# requests


@dataclass(frozen=True)
class Request:
    """One synthetic image: the `k`-th drawn from `source`. Its seed comes from run seed, source and k alone."""

    source: Example
    k: int
    seed: int
    path: str  # inside the set's folder


def make_requests(labeled: LabeledSet, per_sample: int, seed: int) -> list[Request]:
    """All requests, by k first and then by source, so that fewer per sample are a prefix of more."""
    stems = _unique_stems(labeled)
    return [
        Request(
            source,
            k,
            derived_seed(seed, source.key, k),
            f"images/{class_folder(source.label, labeled.class_names)}/{stem}_{k}.png",
        )
        for k in range(per_sample)
        for source, stem in zip(labeled.examples, stems, strict=True)
    ]


def make_chunks(requests: Sequence[Request], size: int) -> list[list[Request]]:
    """Requests cut into the units of work, resume and sharding; none spans two values of k.

    A network's output depends on the batch's size in the last bits. Chunks that depend on neither `per_sample` nor
    the number of processes make a resumed, a sharded and a longer run equal to a plain one, byte for byte.
    """
    chunks: list[list[Request]] = []
    for request in requests:
        if not chunks or len(chunks[-1]) == size or chunks[-1][0].k != request.k:
            chunks.append([])
        chunks[-1].append(request)
    return chunks


def class_folder(label: int, class_names: Sequence[str]) -> str:
    """`007_audi-tt`: the index padded so that string order is index order, and an ASCII slug of the name."""
    ascii_name = unicodedata.normalize("NFKD", class_names[label]).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_name.lower()).strip("-")[:60]
    width = max(2, len(str(len(class_names) - 1)))
    return f"{label:0{width}d}_{slug or 'class'}"


def _unique_stems(labeled: LabeledSet) -> list[str]:
    """File stems of the labeled images; with some digits more where two of a class share one (a/1.jpg, b/1.jpg)."""
    stems = [re.sub(r"\s+", "-", example.path.stem) for example in labeled.examples]
    count = Counter((example.label, stem) for example, stem in zip(labeled.examples, stems, strict=True))
    return [
        stem if count[example.label, stem] == 1 else f"{stem}-{hashlib.sha256(example.key.encode()).hexdigest()[:6]}"
        for example, stem in zip(labeled.examples, stems, strict=True)
    ]


# ---------------------------------------------------------------------------------------------------------------------
# reading


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
            raise FileNotFoundError(f"{folder} holds no synthetic set: draw one with python -m ssl_aug.generate")
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
    name = f"{data.name}-{data.labels_per_class}-split{data.split_seed}-{settings.generator.name}"
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
            f"asks for {settings.per_sample * len(labeled)}: draw more with python -m ssl_aug.generate "
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


# ---------------------------------------------------------------------------------------------------------------------
# writing


class SetWriter:
    """Turns chunks of drawn images into a set. Several processes may write to one folder, each its own chunks."""

    def __init__(self, folder: Path, identity: dict[str, Any], labeled: LabeledSet):
        """Claims the folder, or goes on with the set that is there.

        Args:
            identity: everything that decides the pictures; a folder that holds a set of another identity is refused.

        Raises:
            FileExistsError: the folder holds a set of another split or of other settings, or something else.
        """
        self.folder = folder
        self.work = folder / ".work"
        self.class_names = labeled.class_names
        self.identity = {"labeled_set_id": labeled.id, **identity}
        card = folder / "generator.json"
        if card.is_file() and self._has_begun():
            _refuse_other_identity(folder, read_json(card), self.identity)
        elif card.is_file():  # the claim of a run that failed before its first image: it binds nobody
            write_json(card, self.identity)
        elif folder.is_dir() and any(not path.name.startswith(".generator.json.") for path in folder.iterdir()):
            raise FileExistsError(f"{folder} holds other files: name an empty or new folder with --out")
        else:
            write_json(card, self.identity)
        (folder / "images").mkdir(exist_ok=True)

    def done(self) -> set[str]:
        """Paths of the images that are finished: listed, and on disk."""
        rows = self._all_rows()
        return {path for path in rows if (self.folder / path).is_file()}

    def write(self, chunk: Sequence[Request], pngs: Sequence[bytes], facts: Sequence[dict[str, str]]) -> None:
        """Puts one chunk's images in their places, then lists them. What is killed in between is drawn again.

        Args:
            pngs: encoded images, one per request.
            facts: the manifest's columns that only the generator knows (mask_box and so on), one dict per request.
        """
        _refuse_other_identity(self.folder, read_json(self.folder / "generator.json"), self.identity)
        for request, png in zip(chunk, pngs, strict=True):
            with written_atomically(self.folder / request.path) as part:
                part.write_bytes(png)
        rows = [self._row(*parts) for parts in zip(chunk, pngs, facts, strict=True)]
        name = hashlib.sha256("\n".join(request.path for request in chunk).encode()).hexdigest()[:16]
        write_manifest(self.work / f"{name}.csv", rows)

    def finish(self, requests: Sequence[Request], card: str, facts: dict[str, Any]) -> SyntheticSet | None:
        """Merges the chunks into manifest.csv, in the order of the requests; None while other shards still draw.

        Rows that an earlier, longer run listed stay behind those of this one.
        """
        rows = self._all_rows()
        if any(request.path not in rows for request in requests):
            return None
        wanted = {request.path for request in requests}
        ordered = [rows[request.path] for request in requests]
        ordered += [row for path, row in rows.items() if path not in wanted]
        write_manifest(self.folder / "manifest.csv", ordered)
        write_json(self.folder / "generator.json", {**self.identity, **facts, "num_images": len(ordered)})
        with written_atomically(self.folder / "README.md") as part:
            part.write_text(card, encoding="utf-8")
        shutil.rmtree(self.work, ignore_errors=True)
        for leftover in self.folder.glob("images/*/.*.part"):  # of a process that was killed
            leftover.unlink(missing_ok=True)
        return SyntheticSet.open(self.folder)

    def _has_begun(self) -> bool:
        """Whether an image is there, or was listed."""
        listed = (self.folder / "manifest.csv").is_file() or any(self.work.glob("*.csv"))
        return listed or any(path.is_file() for path in self.folder.glob("images/*/*"))

    def _all_rows(self) -> dict[str, Row]:
        listed = [self.folder / "manifest.csv", *sorted(self.work.glob("*.csv"))]
        # a shard that finishes first merges and removes the parts under the others: its manifest has them all
        return {row["path"]: row for path in listed if path.is_file() for row in read_rows(path)}

    def _row(self, request: Request, png: bytes, facts: dict[str, str]) -> Row:
        return {
            "path": request.path,
            "label": str(request.source.label),
            "class_name": self.class_names[request.source.label],
            "source": request.source.key,
            "k": str(request.k),
            "seed": str(request.seed),
            **facts,
            "sha256": hashlib.sha256(png).hexdigest(),
        }


def _refuse_other_identity(folder: Path, there: dict[str, Any], here: dict[str, Any]) -> None:
    if there.get("labeled_set_id") != here["labeled_set_id"]:
        raise FileExistsError(
            f"{folder} holds images drawn from labeled set {there.get('labeled_set_id')}, "
            f"this split's is {here['labeled_set_id']}: name another folder with synthetic.root (generate: --out)"
        )
    different = [key for key in here if there.get(key) != here[key]]
    if different:
        key = different[0]
        raise FileExistsError(
            f"{folder} holds a set with {key}={there.get(key)}, asked for is {key}={here[key]}: "
            "name another folder with synthetic.root (generate: --out), or go on with the settings of "
            f"{folder / 'generator.json'}"
        )


def write_manifest(path: Path, rows: Iterable[Row]) -> None:
    """A manifest; columns that a row lacks stay empty."""
    with written_atomically(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="raise", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
