"""One process at a time works on a folder: a lock file says which, and is touched as long as that process lives.

Of a process that can be seen, the system says whether it runs. Of one on another machine, or in another container, the
touched file does: it is dead when that has been quiet for long, by the file system's own clock. A dead process's lock
is taken over, so that after a kill the same command goes on.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from generators.files import remove_parts
from ssl_aug.lock_file import Found, lives, look, put, remove_dead, remove_traces, take_over, token_of
from ssl_aug.owner import Owner, is_running, read_owner, this_process

LOCK = ".lock"
BEAT_SECONDS = 15.0  # between the touches of a lock
SHORT_SECONDS = 2.0  # of waiting, about which nothing is said
POLL_SECONDS = 1.0

_held: set[tuple[Path, int, int]] = set()  # (lock, process, thread)


class InOtherHandsError(FileExistsError):
    """Another process is at work in a folder."""

    def __init__(self, line: str, folder: Path):
        super().__init__(line)
        self.folder = folder


@contextmanager
def locked(folder: Path, doing: str, part: str = "", wait: bool = False) -> Iterator[None]:
    """Inside, no other process or thread is in a block like this one for the same folder.

    The folder is made where there is none, and taken away again if it stays empty. What killed processes left half
    written in it is removed where nobody else is at work.

    Args:
        doing: what is done there, as it stands before the folder in a sentence: "drawing into".
        part: of the work, where several processes share it: each part has a lock of its own.
        wait: for the folder to be free, in place of an error.

    Raises:
        InOtherHandsError: another process is at work there; the line says which.
        OSError: the folder cannot be written to.
    """
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder.resolve() / f"{f'.{part}' if part else ''}{LOCK}"
    try:
        with _holding(lock, folder, doing, wait):
            if not part:
                remove_leftovers(folder)
            yield
    finally:
        if is_new:
            with suppress(OSError):  # it is not empty, or already gone
                folder.rmdir()


@contextmanager
def locked_beside(path: Path, doing: str) -> Iterator[None]:
    """The same for a folder that is not there before it is whole: the lock lies beside it.

    Raises:
        InOtherHandsError, OSError: as `locked`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _holding(path.parent.resolve() / f".{path.name}{LOCK}", path, doing, wait=False):
        remove_parts(path.parent.glob(".*.part"), of=path)
        remove_traces(path.parent)
        yield


def forget_dead(folder: Path) -> None:
    """Removes what a process killed at its very end has left of a lock: with the work done, nobody takes it over.

    Args:
        folder: that is locked, by a lock in it or beside it; nothing is done where there is none.
    """
    if not folder.exists():
        return
    for lock in (folder.resolve() / LOCK, folder.parent.resolve() / f".{folder.name}{LOCK}"):
        remove_traces(lock.parent)
        with suppress(OSError):
            found = look(lock)
            if not _may_live(found.owner):
                remove_dead(lock, found, this_process("at work in"))


def is_held(folder: Path) -> bool:
    """Whether a folder is locked by a process that may be alive; what cannot be seen may be."""
    try:
        return _may_live(read_owner(folder.resolve() / LOCK))
    except FileNotFoundError:
        return False


def remove_leftovers(folder: Path, pattern: str = ".*.part") -> bool:
    """Removes what killed processes left in a folder: locks, and if this process is alone there, half-written files.

    Args:
        pattern: where those lie.

    Returns:
        Whether it is alone.
    """
    remove_traces(folder)
    me, here = (os.getpid(), threading.get_ident()), folder.resolve()
    own = {lock for lock, process, thread in _held if (process, thread) == me}
    others: dict[Path, Found] = {}
    for lock in here.glob(f"*{LOCK}"):
        if lock.name.startswith(".") and lock not in own:
            with suppress(FileNotFoundError):  # let go of meanwhile
                others[lock] = look(lock)
    if any(_may_live(found.owner) for found in others.values()):
        return False
    for lock, found in others.items():
        remove_dead(lock, found, this_process("at work in"))
    remove_parts(folder.glob(pattern))
    return True


def _may_live(owner: Owner | None) -> bool:
    return owner is None or is_running(owner) is not False


@contextmanager
def _holding(lock: Path, folder: Path, doing: str, wait: bool) -> Iterator[None]:
    key = (lock, os.getpid(), threading.get_ident())
    if key in _held:  # a command within a command
        yield
        return
    mine, alive = this_process(doing), threading.Lock()
    try:
        alive.acquire()
        _take(lock, folder, mine, wait)
        _held.add(key)
        threading.Thread(target=_beat, args=(lock, folder, mine, alive), daemon=True).start()
        yield
    finally:
        try:
            _let_go(lock, mine, key, alive)
        except KeyboardInterrupt:  # in the middle of it; a signal raises but once
            _let_go(lock, mine, key, alive)
            raise


def _let_go(lock: Path, mine: Owner, key: tuple[Path, int, int], alive: threading.Lock) -> None:
    """Removes the lock. May be begun again when it was interrupted: it waits for no thread, which may not."""
    _held.discard(key)
    with suppress(RuntimeError):  # it was released before
        alive.release()
    with suppress(OSError):
        if token_of(lock) == mine.token:
            lock.unlink()


def _beat(lock: Path, folder: Path, mine: Owner, alive: threading.Lock) -> None:
    """Touches the lock; stops the work when it is another's, as it is after this machine has slept for long.

    Args:
        alive: locked as long as the lock is held.
    """
    while not alive.acquire(timeout=BEAT_SECONDS):
        reason = "was removed"
        try:
            if token_of(lock) == mine.token:
                os.utime(lock)
                continue
            if not lock.exists() and put(lock, mine) is None:  # somebody has removed it, and nobody taken its place
                if not alive.locked():  # it was let go of meanwhile
                    lock.unlink(missing_ok=True)
                continue
            reason = f"was taken over by {read_owner(lock) or 'another process'}"
        except FileNotFoundError:
            pass
        except OSError:  # the file system does not answer: perhaps it does the next time
            continue
        if not alive.locked():
            return
        _say(f"{folder} {reason}: this process stops")
        is_deaf = signal.getsignal(signal.SIGINT) == signal.SIG_IGN  # as below nohup
        os.kill(os.getpid(), signal.SIGTERM if is_deaf else signal.SIGINT)
        return


def _take(lock: Path, folder: Path, mine: Owner, wait: bool) -> None:
    began = since = time.monotonic()
    watched, pause, has_said = None, 0.01, False
    while True:
        now = put(lock, mine)
        if now is None:
            return
        try:
            found = look(lock)
        except FileNotFoundError:  # let go of meanwhile
            continue
        is_touched = watched is not None and watched.mark == found.mark and watched.touched != found.touched
        if watched is None or watched != found:
            watched, since = found, time.monotonic()
        is_alive = True if is_touched else lives(found, now - found.touched, time.monotonic() - since)
        if is_alive is False:
            if take_over(lock, found, mine, now):
                _say(f"taking over {folder} from {found.name}, which is gone")
                return
        elif is_alive and not wait:
            began_at = "" if found.owner is None else f" since {found.owner.began}"
            raise InOtherHandsError(
                f"{found.name} has been {found.doing} {folder}{began_at}: wait until it is done, or stop it", folder
            )
        elif time.monotonic() - began >= SHORT_SECONDS and not has_said:
            sign = f" (no sign of life for {now - found.touched:.0f} s)" if is_alive is None else ""
            _say(f"waiting for {found.name}, which is {found.doing} {folder}{sign}")
            has_said = True
        time.sleep(pause)
        pause = min(2 * pause, POLL_SECONDS)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
