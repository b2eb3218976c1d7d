"""Folders that are whole or not there at all, JSON, and whether a file of weights is one. Knows no torch."""

from __future__ import annotations

import errno
import json
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
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
_PART = re.compile(r"\.(.+)\.([0-9a-f]{16,32}|\d+)\.part")  # as below, and as earlier versions named them
NAME_LENGTH = 56  # characters: a name that is as long as the file system takes has no room for more


def part_beside(path: Path) -> Path:
    """A hidden name beside `path` for what is written before it takes path's place: another one at each call.

    Never by the process's number: in a container that is started again it is the one of the time before.
    """
    return path.with_name(f".{path.name[:NAME_LENGTH]}.{secrets.token_hex(8)}.part")


def remove_parts(candidates: Iterable[Path], of: Path | None = None) -> None:
    """Removes those of some files and folders that `part_beside` named: what killed processes have left.

    Args:
        of: only those beside this path that are its own; none where its name was cut short, as another's may be.
    """
    if of is not None and len(of.name) >= NAME_LENGTH:
        return
    for path in candidates:
        named = _PART.fullmatch(path.name)
        if named is None or (of is not None and named[1] != of.name):
            continue
        _remove(path)


def stamps(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    """What tells, without reading, that files beneath a folder are as they were: name, size, time (ns), inode."""
    found = ((path, path.stat()) for path in sorted(folder.rglob("*")) if path.is_file())
    return tuple((str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino) for path, stat in found)


@contextmanager
def removed_at_last(path: Path) -> Iterator[None]:
    """Whatever comes to lie at `path` inside is gone afterwards, also where an interrupt comes as it is removed."""
    try:
        yield
    finally:
        try:
            _remove(path)
        except KeyboardInterrupt:  # a signal raises but once
            _remove(path)
            raise


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """A new folder to write into, which becomes `folder` when the block ends well and is gone when it does not.

    It lies beside `folder` under a hidden name of its own, so that processes that write the same one do not meet.

    Raises:
        FileExistsError: something was at `folder` before, or came there meanwhile; it is left as it is.
    """
    if folder.exists() or folder.is_symlink():
        raise FileExistsError(f"{folder} exists already: nothing is overwritten")
    part = part_beside(folder)
    with removed_at_last(part):
        part.mkdir(parents=True)
        yield part
        _rename(part, folder)


def _rename(part: Path, folder: Path) -> None:
    try:
        part.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        raise FileExistsError(f"{folder} was made by another process meanwhile: it is left as it is") from error


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
        raise ValueError(f"{path} is damaged, not readable as JSON: {way_out}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged, it holds no JSON object: {way_out}")
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
