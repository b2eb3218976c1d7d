"""Which drawings of a finished set are taken: those that were neither thrown out by eye nor altered.

Throwing one out is deleting its file, or listing it in `rejected.txt` in the set's folder: a path a line, as in
manifest.csv; what follows a # that begins a line or comes after a blank is a comment.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ssl_aug.data.contents import content_hashes
from ssl_aug.synthetic.manifest import Row
from ssl_aug.tables import read_text

REJECTED = "rejected.txt"


def divided(folder: Path, rows: Sequence[Row]) -> tuple[tuple[Row, ...], tuple[Row, ...], tuple[Row, ...]]:
    """A manifest's rows: those that are taken, those whose file was deleted, those that rejected.txt lists.

    Raises:
        FileNotFoundError: not one of the images is there.
        ValueError: rejected.txt names what is no image of the set, or an image was altered.
    """
    rejected = read_rejected(folder, rows)
    there = [(folder / row["path"]).is_file() for row in rows]
    if rows and not any(there):
        raise FileNotFoundError(
            f"{folder}: none of the {len(rows)} images that its manifest.csv lists is there: copy images/ again, or "
            "draw them again with the same python -m ssl_aug.generate and synthetic.refill=true"
        )
    wanted = [(row, is_there) for row, is_there in zip(rows, there, strict=True) if row["path"] not in rejected]
    taken = tuple(row for row, is_there in wanted if is_there)
    deleted = tuple(row for row, is_there in wanted if not is_there)
    refuse_altered(folder, taken)
    return taken, deleted, tuple(row for row in rows if row["path"] in rejected)


def read_rejected(folder: Path, rows: Sequence[Row]) -> set[str]:
    """The paths in rejected.txt; none where there is no such file.

    Raises:
        ValueError: a line that is no path of `rows`: what it means would else be trained on.
    """
    path = folder / REJECTED
    if not path.is_file():
        return set()
    text = read_text(path, "save it so")
    lines = [re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines()]
    named = [line.replace("\\", "/").removeprefix("./") for line in lines if line]
    known = {row["path"] for row in rows}
    unknown = next((name for name in named if name not in known), None)
    if unknown is not None:
        raise ValueError(f"{path} names {unknown}, which manifest.csv does not list: write paths as they stand there")
    return set(named)


def refuse_altered(folder: Path, rows: Sequence[Row]) -> None:
    """Raises ValueError where an image is not as it was drawn, of files that are all there."""
    altered = altered_paths(folder, rows)
    if altered:
        more = f" (and {len(altered) - 1} more)" if len(altered) > 1 else ""
        raise ValueError(
            f"{folder / altered[0]}{more} is not as it was drawn, its sha256 differs from manifest.csv: delete it or "
            f"list it in {folder / REJECTED} to leave it out, or draw it again with the same python -m "
            "ssl_aug.generate and synthetic.refill=true"
        )


def altered_paths(folder: Path, rows: Sequence[Row]) -> list[str]:
    """The images whose content is not what the manifest says, of files that are all there."""
    found = content_hashes([folder / row["path"] for row in rows])
    return [row["path"] for row, sha256 in zip(rows, found, strict=True) if sha256 != row["sha256"]]
