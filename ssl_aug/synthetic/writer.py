"""From drawn chunks to a set, without half states: finished chunks lie under `.work/` until the set is whole."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ssl_aug.data.base import LabeledSet
from ssl_aug.files import write_json, written_atomically
from ssl_aug.lock import LOCK, locked, remove_leftovers
from ssl_aug.synthetic.folder import SyntheticSet, is_finished
from ssl_aug.synthetic.kept import altered_paths, refuse_altered
from ssl_aug.synthetic.manifest import Row, read_rows, write_manifest
from ssl_aug.synthetic.requests import Request
from ssl_aug.synthetic.set_record import COMPILED, record_of


class SetWriter:
    """Turns chunks of drawn images into a set. Several processes may write to one folder, each its own chunks."""

    def __init__(self, folder: Path, identity: dict[str, Any], labeled: LabeledSet, refill: bool = False):
        """Claims the folder, or goes on with the set that is there.

        Args:
            identity: everything that decides the pictures; a folder that holds a set of another identity is refused.
            refill: draw again what was deleted from a finished set, or altered.

        Raises:
            FileExistsError: the folder holds a set of another split or of other settings, or something else.
        """
        self.folder, self.refill = folder, refill
        self.work = folder / ".work"
        self.class_names = labeled.class_names
        self.identity = {"labeled_set_id": labeled.id, **identity}
        refuse_folder(folder, self.identity)
        # the claim of a run that failed before its first image binds nobody; another shard's own is left as it is
        if not _has_begun(folder) and not _is_claimed_for(folder, self._record()):
            write_json(folder / "generator.json", self._record())
        (folder / "images").mkdir(exist_ok=True)

    def withdraw(self) -> None:
        """Takes back the claim of a folder that nothing was drawn into; no other process may draw there."""
        if not _has_begun(self.folder):
            (self.folder / "generator.json").unlink(missing_ok=True)
            with suppress(OSError):  # it is not empty, or not there
                (self.folder / "images").rmdir()

    def begin(self, compiled: bool) -> None:
        """Notes before the first image whether a compiled network draws the set: it goes on that way."""
        if not _has_begun(self.folder):
            write_json(self.folder / "generator.json", self._record() | {COMPILED: compiled})

    def done(self) -> set[str]:
        """As `images_done`."""
        return images_done(self.folder, self.refill)

    def write(self, chunk: Sequence[Request], pngs: Sequence[bytes], facts: Sequence[dict[str, str]]) -> None:
        """Puts one chunk's images in their places, then lists them. What is killed in between is drawn again.

        Args:
            pngs: encoded images, one per request.
            facts: the manifest's columns that only the generator knows (mask_box and so on), one dict per request.
        """
        _refuse_other_identity(self.folder, record_of(self.folder), self.identity)
        for request, png in zip(chunk, pngs, strict=True):
            with written_atomically(self.folder / request.path) as part:
                part.write_bytes(png)
        rows = [self._row(*parts) for parts in zip(chunk, pngs, facts, strict=True)]
        name = hashlib.sha256("\n".join(request.path for request in chunk).encode()).hexdigest()[:16]
        write_manifest(self.work / f"{name}.csv", rows)

    def finish(self, requests: Sequence[Request], dataset_card: str, facts: dict[str, Any]) -> SyntheticSet | None:
        """Merges the chunks into manifest.csv, in the order of the requests; None while other shards still draw.

        Rows that an earlier, longer run listed stay behind those of this one.
        """
        with locked(self.folder, "merging", part="merge", wait=True):  # one shard after another
            if not self._merge(requests, dataset_card, facts):
                return None
        return SyntheticSet.open(self.folder)

    def _merge(self, requests: Sequence[Request], dataset_card: str, facts: dict[str, Any]) -> bool:
        """Whether every image was listed, so that the set is whole now."""
        parts, lists = _rows_of_chunks(self.folder)  # before manifest.csv, which another shard may merge them into
        rows = _rows_of_manifest(self.folder) | parts
        if any(request.path not in rows for request in requests):
            return False
        wanted = {request.path for request in requests}
        ordered = [rows[request.path] for request in requests]
        ordered += [row for path, row in rows.items() if path not in wanted]
        write_manifest(self.folder / "manifest.csv", ordered)
        way = {COMPILED: record_of(self.folder).get(COMPILED, False)}
        write_json(self.folder / "generator.json", self._record() | way | facts | {"num_images": len(ordered)})
        with written_atomically(self.folder / "README.md") as part:
            part.write_text(dataset_card, encoding="utf-8")
        for path in lists:  # those of chunks that others wrote meanwhile stay
            path.unlink(missing_ok=True)
        if remove_leftovers(self.folder, "images/*/.*.part"):
            remove_leftovers(self.work)
            with suppress(OSError):  # it is not empty, or not there
                self.work.rmdir()
        return True

    def _record(self) -> dict[str, Any]:
        return {**self.identity, "class_names": list(self.class_names)}

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


def images_done(folder: Path, refill: bool) -> set[str]:
    """Paths of the images that need no drawing: listed, and on disk.

    What a finished set has listed was on disk once: where it is not, it was thrown out, and stays so.

    Args:
        refill: what was deleted from a finished set, or altered, needs drawing too.

    Raises:
        ValueError: without `refill`, what is there is not as it was drawn (`SyntheticSet.open`).
    """
    parts, _ = _rows_of_chunks(folder)  # before manifest.csv, as in `SetWriter.finish`
    if is_finished(folder) and not refill:
        drawn = SyntheticSet.open(folder)
        listed = {row["path"] for rows in (drawn.rows, drawn.deleted, drawn.rejected) for row in rows}
        return listed | {path for path in parts if (folder / path).is_file()}
    rows = _rows_of_manifest(folder)
    there = {path: row for path, row in (rows | parts).items() if (folder / path).is_file()}
    if refill:
        return there.keys() - altered_paths(folder, list(there.values()))
    refuse_altered(folder, list(there.values()))
    return there.keys() | rows.keys()


def refuse_folder(folder: Path, identity: dict[str, Any]) -> None:
    """Raises FileExistsError where a folder holds a set of another identity, or something else; writes nothing."""
    record = folder / "generator.json"
    if record.is_file():
        if _has_begun(folder):
            _refuse_other_identity(folder, record_of(folder), identity)
    elif folder.is_dir() and not all(_is_left_behind(path.name) for path in folder.iterdir()):
        raise FileExistsError(f"{folder} holds other files: name an empty or new folder with --out")


def _is_left_behind(name: str) -> bool:
    """Whether a folder that nobody has claimed yet may hold a file of this name: a lock, or half a claim."""
    return name.startswith(".") and (LOCK in name or name.startswith(".generator.json."))


def _has_begun(folder: Path) -> bool:
    """Whether a set's folder is claimed and an image is there, or was listed."""
    listed = (folder / "manifest.csv").is_file() or any((folder / ".work").glob("*.csv"))
    begun = listed or any(path.is_file() for path in folder.glob("images/*/*"))
    return begun and (folder / "generator.json").is_file()


def begun_compiled(folder: Path) -> bool | None:
    """Whether the images that are there are of a compiled network; None where there is none yet."""
    return record_of(folder).get(COMPILED, False) if _has_begun(folder) else None


def _is_claimed_for(folder: Path, record: dict[str, Any]) -> bool:
    path = folder / "generator.json"
    return path.is_file() and record.items() <= record_of(folder).items()


def _rows_of_chunks(folder: Path) -> tuple[dict[str, Row], list[Path]]:
    """The rows that are not merged yet by their images, and the lists that they were read from."""
    parts: dict[str, Row] = {}
    lists = []
    for path in sorted((folder / ".work").glob("*.csv")):
        with suppress(FileNotFoundError):  # merged meanwhile by another shard: the manifest, read after it, has them
            parts |= {row["path"]: row for row in read_rows(path)}
            lists.append(path)
    return parts, lists


def _rows_of_manifest(folder: Path) -> dict[str, Row]:
    """The rows that are merged by their images; none where nothing is yet."""
    manifest = folder / "manifest.csv"
    return {row["path"]: row for row in (read_rows(manifest) if manifest.is_file() else ())}


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
