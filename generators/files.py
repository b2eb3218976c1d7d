"""Folders that are whole or not there at all, JSON, and whether a file of weights is one. Knows no torch."""

from __future__ import annotations

import errno
import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

_POINTER = b"version https://git-lfs"  # how the few lines begin that Git keeps in place of a large file
_NO_WEIGHTS = {  # how files begin that lie where weights should, in lower case, and what they are
    _POINTER: "a Git LFS pointer, not the weights: run git lfs pull in its folder",
    b"<!doctype html": "a web page, not the weights: fetch the file itself, its page may ask for a login first",
    b"<html": "a web page, not the weights: fetch the file itself, its page may ask for a login first",
    b"<?xml": "an error message of the server, not the weights: fetch the file again",
    b'{"error"': "an error message of the server, not the weights: fetch the file again",
}


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """A new folder to write into, which becomes `folder` when the block ends well and is gone when it does not.

    It lies beside `folder` under a hidden name of its own, so that processes that write the same one do not meet.

    Raises:
        FileExistsError: something was at `folder` before, or came there meanwhile; it is left as it is.
    """
    if folder.exists() or folder.is_symlink():
        raise FileExistsError(f"{folder} exists already: nothing is overwritten")
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.part")
    part.mkdir(parents=True)
    try:
        yield part
        _rename(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _rename(part: Path, folder: Path) -> None:
    try:
        part.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        raise FileExistsError(f"{folder} was made by another process meanwhile: it is left as it is") from error


def read_json(path: Path, way_out: str) -> dict[str, Any]:
    """A JSON object.

    Args:
        way_out: what a person can do where the file is damaged.

    Raises:
        ValueError: a damaged file, named with the way out.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged ({error}): {way_out}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged (no JSON object): {way_out}")
    return content


def check_present(path: Path) -> None:
    """Says whether a file is there, and not what Git or a server puts in its place.

    Raises:
        FileNotFoundError: no such file.
        ValueError: something else is there; it says what, and where the file is to be had.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    with path.open("rb") as file:
        head = file.read(64).lstrip().lower()
    for start, what in _NO_WEIGHTS.items():
        if head.startswith(start):
            raise ValueError(f"{path} is {what}")


def is_pointer(path: Path) -> bool:
    """Whether a file is Git's stand-in for a large one."""
    with path.open("rb") as file:
        return file.read(len(_POINTER)) == _POINTER


def check_head(path: Path) -> None:
    """Says whether a .safetensors file is as long as its head says; reads no more than that.

    Raises:
        FileNotFoundError, ValueError: as `check_present`, or a damaged file, or one that is shorter.
    """
    check_present(path)
    try:
        with safe_open(path, "np"):
            pass
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or not all there ({error}): fetch it again") from error
