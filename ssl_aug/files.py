"""Files and folders that are whole or not there at all, and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from generators.files import part_beside


@contextmanager
def written_atomically(path: Path) -> Iterator[Path]:
    """A path to write to, which takes `path`'s place when the block ends well and is gone when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_beside(path)
    try:  # from here on: an interrupt may come before the next line
        part.touch()
        mode = part.stat().st_mode  # some libraries write files that only their owner may read
        yield part
        part.chmod(mode)
        part.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a failed write does not say where
        raise
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    with written_atomically(path) as part:
        part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path, way_out: str = "remove it or restore it") -> dict[str, Any]:
    """A JSON object.

    Args:
        way_out: what a person can do where the file is damaged.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no JSON object; the file is named.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError):  # no JSON, no text, a number or a nesting beyond measure
        raise ValueError(f"{path} is not readable as JSON: {way_out}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no JSON object: {way_out}")
    return content


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
