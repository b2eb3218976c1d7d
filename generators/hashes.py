"""sha256 of files, remembered from one run to the next. Knows no torch.

The memory is a SQLite file: of each absolute path what changes with the file's content, and the hash. It only saves
time: whatever goes wrong with it, files are read.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

# a younger file may change again within one tick of its time, so that nothing would show it (git's "racy" files)
SETTLED_NS = 2 * 10**9
WAIT_SECONDS = 2.0  # for another process's write
AT_ONCE = 500  # paths in one question; SQLite takes 999 or more
_TABLE = "CREATE TABLE IF NOT EXISTS hashes (path BLOB PRIMARY KEY, mark TEXT, sha256 TEXT, proof TEXT) WITHOUT ROWID"
Watch = Callable[[Iterator[str], int], Iterable[str]]


def file_hash(path: Path) -> str:
    """sha256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_hashes(
    paths: Sequence[Path], memory: Path | None = None, watch: Watch = lambda hashes, count: hashes
) -> list[str]:
    """sha256 of files, in hex; those that are remembered and look as they did then are not read.

    Args:
        memory: the SQLite file, made where there is none; None: every file is read.
        watch: is given the hashes of the files that are read, as they come, and how many they are; hands them on.

    Raises:
        OSError: a file that is not there, or may not be read.
    """
    return remembered(paths, file_hash, memory, watch)


def remembered(
    paths: Sequence[Path],
    told_of: Callable[[Path], str],
    memory: Path | None = None,
    watch: Watch = lambda told, count: told,
) -> list[str]:
    """What is told of each file, which depends on its content alone: as `file_hashes`.

    Args:
        told_of: called in threads; an empty answer is not remembered.

    Raises:
        OSError: a file that is not there, and whatever `told_of` raises.
    """
    keys = [os.fsencode(path.absolute()) for path in paths]
    marks = {key: _mark(path) for key, path in zip(keys, paths, strict=True)}
    found = {} if memory is None else _remembered(memory, marks)
    todo = [key for key in marks if key not in found]
    if todo:
        start = time.time_ns()
        with ThreadPoolExecutor() as threads:
            read = threads.map(told_of, [Path(os.fsdecode(key)) for key in todo])
            fresh = dict(zip(todo, watch(read, len(todo)), strict=True))
        if memory is not None:
            settled = {key for key in todo if fresh[key] and max(_times(marks[key])) < start - SETTLED_NS}
            unchanged = {key for key in settled if _mark(Path(os.fsdecode(key))) == marks[key]}
            _remember(memory, {key: (marks[key], fresh[key]) for key in unchanged})
        found |= fresh
    return [found[key] for key in keys]


def _mark(path: Path) -> str:
    """What changes with a file's content: size, time of the last change of content and of facts, inode.

    An unpacked archive gives files of one size one time of content; the time of facts nobody can set.
    """
    facts = path.stat()
    return f"{facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns} {facts.st_ino}"


def _times(mark: str) -> tuple[int, int]:
    _, modified, changed, _ = mark.split()
    return int(modified), int(changed)


def _remembered(memory: Path, marks: dict[bytes, str]) -> dict[bytes, str]:
    """The hashes of those files that look as they did."""
    found, keys = {}, list(marks)
    try:
        if not memory.is_file():
            return {}
        with closing(sqlite3.connect(memory, timeout=WAIT_SECONDS)) as connection:
            for start in range(0, len(keys), AT_ONCE):
                asked = keys[start : start + AT_ONCE]
                question = f"SELECT path, mark, sha256, proof FROM hashes WHERE path IN ({','.join('?' * len(asked))})"
                for path, mark, sha256, proof in connection.execute(question, asked):
                    if marks.get(path) == mark and proof == _proof(path, mark, sha256):
                        found[path] = sha256
    except (sqlite3.Error, OSError) as error:
        _forget_if_damaged(memory, error)
        return {}
    return found


def _remember(memory: Path, fresh: dict[bytes, tuple[str, str]]) -> None:
    rows = [(path, mark, sha256, _proof(path, mark, sha256)) for path, (mark, sha256) in fresh.items()]
    if not rows:
        return
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(memory, timeout=WAIT_SECONDS)) as connection, connection:
            connection.execute(_TABLE)
            connection.executemany("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?)", rows)
    except (sqlite3.Error, OSError) as error:  # no room or no right to write there
        _forget_if_damaged(memory, error)


def _forget_if_damaged(memory: Path, error: Exception) -> None:
    # an OperationalError is a lock, a full disk or a folder that may only be read: another process may have the file
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        with suppress(OSError):
            memory.unlink()


def _proof(path: bytes, mark: str, sha256: str) -> str:
    """Belongs to one row alone: a file of which a network disk mixed old and new pages proves nothing."""
    return hashlib.sha256(path + f" {mark} {sha256}".encode()).hexdigest()[:16]
