"""Files and folders that are whole or not there at all, and JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any

from generators.files import NAME_LENGTH, part_beside, read_json, remove_parts, removed_at_last

__all__ = [
    "new_run_folder", "read_json", "refuse_existing", "remove_old", "write_json", "written_atomically",
]  # fmt: skip
DAY = 24 * 60 * 60.0  # seconds


@contextmanager
def written_atomically(path: Path, sweep: bool = False) -> Iterator[Path]:
    """A path to write to, which takes `path`'s place when the block ends well and is gone when it does not.

    Args:
        sweep: what a killed process has left half-written of the same file is removed, a day after: for a file in a
            folder that no lock guards.
    """
    if sweep:
        remove_old(path.parent.glob(f".{escape(path.name[:NAME_LENGTH])}.*.part"))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_beside(path)
    with removed_at_last(part):
        try:
            part.touch()
            mode = part.stat().st_mode  # some libraries write files that only their owner may read
            yield part
            part.chmod(mode)
            part.replace(path)
        except OSError as error:
            error.filename = error.filename or str(path)  # a failed write does not say where
            raise


def remove_old(parts: Iterable[Path]) -> None:
    """Removes of what is half made that which nobody has written to for a day: its process was killed."""
    for path in parts:
        with suppress(OSError):  # another process removes it as well
            if time.time() - max(each.stat().st_mtime for each in (path, *path.rglob("*"))) > DAY:
                remove_parts([path])


def write_json(path: Path, content: Any) -> None:
    with written_atomically(path) as part:
        part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def refuse_existing(out: Path) -> None:
    """A command's `--out` names a new folder: asked before the work, for nothing is overwritten after it either.

    Raises:
        FileExistsError: something is there.
    """
    if out.exists() or out.is_symlink():
        raise FileExistsError(f"--out {out} exists already: name a new folder, nothing is overwritten")


def new_run_folder(root: Path, name: str) -> Path:
    """Makes `root/0001-name`, `root/0002-name`, ...: never a folder that exists."""
    root.mkdir(parents=True, exist_ok=True)
    number = 1 + max((int(f.name[:4]) for f in root.iterdir() if f.name[:4].isdigit()), default=0)
    while True:
        try:
            folder = root / f"{number:04d}-{name}"
            if not any(root.glob(f"{number:04d}-*")):
                folder.mkdir()
                return folder
        except FileExistsError:
            pass  # another process took it
        number += 1
