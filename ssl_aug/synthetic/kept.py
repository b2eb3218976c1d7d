"""Which drawings of a finished set are taken: those that were neither thrown out by eye nor altered.

Throwing one out is deleting its file, or listing it in `rejected.txt` in the set's folder: a path a line, as in
manifest.csv; what follows a # that begins a line or comes after a blank is a comment.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from ssl_aug.files import file_hash, read_json, write_json
from ssl_aug.runtime import cache_folder

REJECTED = "rejected.txt"
SETTLED_NS = 2 * 10**9  # a younger file may change again within one tick of its time
Row = dict[str, str]


def divided(folder: Path, rows: Sequence[Row]) -> tuple[tuple[Row, ...], tuple[Row, ...], tuple[Row, ...]]:
    """A manifest's rows: those that are taken, those whose file was deleted, those that rejected.txt lists.

    Raises:
        FileNotFoundError: not one of the images is there.
        ValueError: rejected.txt names what is no image of the set, or an image was altered.
    """
    rejected = read_rejected(folder, rows)
    there = [row for row in rows if (folder / row["path"]).is_file()]
    if rows and not there:
        raise FileNotFoundError(
            f"{folder}: none of the {len(rows)} images that its manifest.csv lists is there: copy images/ again, or "
            "draw them again with the same python -m ssl_aug.generate and synthetic.refill=true"
        )
    taken = tuple(row for row in there if row["path"] not in rejected)
    deleted = tuple(row for row in rows if not (folder / row["path"]).is_file() and row["path"] not in rejected)
    altered = altered_paths(folder, taken)
    if altered:
        more = f" (and {len(altered) - 1} more)" if len(altered) > 1 else ""
        raise ValueError(
            f"{folder / altered[0]}{more} is not as it was drawn, its sha256 differs from manifest.csv: delete it or "
            f"list it in {folder / REJECTED} to leave it out, or draw it again with the same python -m "
            "ssl_aug.generate and synthetic.refill=true"
        )
    return taken, deleted, tuple(row for row in rows if row["path"] in rejected)


def read_rejected(folder: Path, rows: Sequence[Row]) -> set[str]:
    """The paths in rejected.txt; none where there is no such file.

    Raises:
        ValueError: a line that is no path of `rows`: what it means would else be trained on.
    """
    path = folder / REJECTED
    if not path.is_file():
        return set()
    lines = [re.sub(r"(^|\s)#.*", "", line).strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    named = [line.replace("\\", "/").removeprefix("./") for line in lines if line]
    known = {row["path"] for row in rows}
    unknown = next((name for name in named if name not in known), None)
    if unknown is not None:
        raise ValueError(f"{path} names {unknown}, which manifest.csv does not list: write paths as they stand there")
    return set(named)


def altered_paths(folder: Path, rows: Sequence[Row]) -> list[str]:
    """The images whose content is not what the manifest says, of files that are all there."""
    found = hashes(folder, [row["path"] for row in rows])
    return [row["path"] for row in rows if found[row["path"]] != row["sha256"]]


def hashes(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """sha256 of files by their path in a folder; from the cache where size, time and inode are those of last time."""
    folder = folder.resolve()
    cache = cache_folder() / "image_hashes" / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}.json"
    known = _read_cache(cache)
    marks = {name: _mark(folder / name) for name in names}
    todo = [name for name in names if known.get(name, [])[:3] != marks[name]]
    with ThreadPoolExecutor() as threads:
        fresh = dict(zip(todo, threads.map(file_hash, [folder / name for name in todo]), strict=True))
    settled = time.time_ns() - SETTLED_NS
    remembered = {name: [*marks[name], sha256] for name, sha256 in fresh.items() if marks[name][1] < settled}
    if remembered:
        with suppress(OSError):  # no room or no right to write there: hashed again the next time
            write_json(cache, {**known, **remembered})
    return {name: fresh[name] if name in fresh else known[name][3] for name in names}


def _mark(path: Path) -> list[int]:
    """What changes with a file's content: size, time of the last change, inode."""
    facts = path.stat()
    return [facts.st_size, facts.st_mtime_ns, facts.st_ino]


def _read_cache(path: Path) -> dict[str, list]:
    try:
        return read_json(path)
    except (ValueError, OSError):  # not there, or torn: it only saves time
        return {}
