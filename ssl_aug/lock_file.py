"""The file that is a lock: put in place where there is none, looked at, and taken over from a dead process.

All times are those of the file system's clock.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from generators.files import removed_at_last
from ssl_aug.owner import Owner, is_of_this_start, is_running, read_owner

WATCHED_SECONDS = 20.0  # how long a lock is looked at before it is called dead: its process may have slept as we did
DEAD_SECONDS = 600.0  # without a touch: a server of files may be away for minutes
DEAD_SECONDS_HERE = 120.0  # the same on one machine
CLAIM_SECONDS = 60.0  # how long a claim to a dead lock holds
TRACE_SECONDS = 3600.0  # after which a claim, or a lock on its way into place, is a killed process's: they last no time
_TRACE = re.compile(r"\.(.+\.)?lock\.([0-9a-f]{16}|torn-\d+)(\.[0-9a-f]{16}\.new)?|\.(.+\.)?lock\.[0-9a-f]{16}\.new")


@dataclass(frozen=True)
class Found:
    """A lock as it was looked at."""

    owner: Owner | None  # None: the file is torn
    mark: str  # tells this lock from those before and after it
    touched: float

    @property
    def name(self) -> str:
        return "another process" if self.owner is None else str(self.owner)

    @property
    def doing(self) -> str:
        return "at work in" if self.owner is None else self.owner.doing


def lives(found: Found, quiet: float, watched: float) -> bool | None:
    """Whether a lock's process lives; None where that is not known yet.

    Args:
        quiet: seconds since its last touch.
        watched: seconds in which this process has seen none.
    """
    running = None if found.owner is None else is_running(found.owner)
    if running is not None:
        return running
    is_here = found.owner is not None and is_of_this_start(found.owner)
    is_dead = quiet > (DEAD_SECONDS_HERE if is_here else DEAD_SECONDS) and watched >= WATCHED_SECONDS
    return False if is_dead else None


def take_over(lock: Path, found: Found, mine: Owner, now: float) -> bool:
    """Puts this process's lock in a dead one's place; False where another process was faster."""
    with _claimed(lock, found, mine, now) as is_claimed:
        if is_claimed:
            with _written(lock, mine) as fresh:
                fresh.replace(lock)
        return is_claimed


def remove_dead(lock: Path, found: Found, mine: Owner) -> None:
    """Removes a dead lock, unless another process takes it over."""
    with _claimed(lock, found, mine, now=0.0) as is_claimed:
        if is_claimed:
            lock.unlink()


@contextmanager
def _claimed(lock: Path, found: Found, mine: Owner, now: float) -> Iterator[bool]:
    """Inside, this process alone may act on a dead lock, if True: of all that find it one holds the claim to it."""
    claim = lock.with_name(f"{lock.name}.{found.mark}")
    if put(claim, mine) is not None:
        with suppress(FileNotFoundError):
            if now - claim.stat().st_mtime > CLAIM_SECONDS:  # killed in between
                claim.unlink()
        yield False
        return
    with removed_at_last(claim):
        yield _is_there(lock, found)  # it may have been acted on before


def _is_there(lock: Path, found: Found) -> bool:
    try:
        return look(lock).mark == found.mark
    except FileNotFoundError:
        return False


def put(lock: Path, mine: Owner) -> float | None:
    """Puts a lock where there is none: None. Where there is one: the file system's time."""
    with _written(lock, mine) as fresh:
        now = fresh.stat().st_mtime
        try:
            os.link(fresh, lock)
            return None
        except FileExistsError:
            return None if token_of(lock) == mine.token else now  # a server may repeat what it has done and say so
        except OSError:  # no hard links there, or what hinders the next lines too
            pass
        try:
            with lock.open("x", encoding="utf-8") as file:
                file.write(mine.as_json)
        except FileExistsError:
            return now
        return None


@contextmanager
def _written(lock: Path, mine: Owner) -> Iterator[Path]:
    fresh = lock.with_name(f"{lock.name}.{secrets.token_hex(8)}.new")
    with removed_at_last(fresh):
        try:
            fresh.write_text(mine.as_json, encoding="utf-8")
            yield fresh
        except OSError as error:
            error.filename, error.filename2 = str(lock.parent), None
            raise


def remove_traces(folder: Path) -> None:
    """Removes what processes that were killed as they took a lock have left: claims, and locks not yet in place."""
    for path in folder.glob(".*"):
        if _TRACE.fullmatch(path.name):
            with suppress(OSError):  # another process removes it as well
                if time.time() - path.stat().st_mtime > TRACE_SECONDS:
                    path.unlink()


def look(lock: Path) -> Found:
    touched, owner = lock.stat(), read_owner(lock)
    return Found(owner, f"torn-{touched.st_ino}" if owner is None else owner.token, touched.st_mtime)


def token_of(lock: Path) -> str | None:
    try:
        owner = read_owner(lock)
    except FileNotFoundError:
        return None
    return None if owner is None else owner.token
