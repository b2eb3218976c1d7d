"""Which process holds a lock, as its file says it, and whether that process still runs."""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True)
class Owner:
    """The content of a lock file. What the system does not say is None."""

    host: str
    pid: int
    start: str | None  # of the process, in ticks since the machine started: numbers of processes come again
    boot: str | None  # of the machine: another one after each start
    pid_namespace: str | None  # where the number holds: containers count their processes each for itself
    token: str  # of this lock alone
    began: str  # local time
    doing: str  # stands before the folder in sentences: "drawing into"

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    @property
    def as_json(self) -> str:
        return json.dumps(asdict(self))


def this_process(doing: str) -> Owner:
    """The process that runs this, with a token that no other lock has."""
    return Owner(
        socket.gethostname(),
        os.getpid(),
        start_of(os.getpid()),
        _boot(),
        _pid_namespace(),
        secrets.token_hex(8),
        datetime.now().isoformat(" ", "seconds"),
        doing,
    )


def read_owner(lock: Path) -> Owner | None:
    """Who holds a lock; None where its file is torn.

    Raises:
        FileNotFoundError: there is no such lock.
    """
    try:
        content = json.loads(lock.read_text(encoding="utf-8"))
        return Owner(**{each.name: content[each.name] for each in fields(Owner)})
    except (ValueError, KeyError, TypeError):
        return None


def is_running(owner: Owner) -> bool | None:
    """Whether a lock's process runs; None where that cannot be seen: on another machine, in another container."""
    if not _counts_the_same_processes(owner):
        return None
    start = start_of(owner.pid)
    if start is not None and owner.start is not None:
        return start == owner.start
    if sys.platform == "win32":  # there os.kill ends the process
        return None
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's, hidden from this one
        return None
    return None  # a process of this number: nothing says whether it is the same


def is_of_this_start(owner: Owner) -> bool:
    """Whether a lock was taken on this machine since it started: in a container or not, its clock stops with ours."""
    return owner.boot is not None and owner.boot == _boot()


def start_of(pid: int) -> str | None:
    """When a process was started; "" for one that has ended and waits to be noticed; None where nothing says it."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    words = stat.rpartition(")")[2].split()  # the name before it may hold anything
    return "" if words[0] in "ZX" else words[19]


def _counts_the_same_processes(owner: Owner) -> bool:
    if owner.host != socket.gethostname():
        return False
    if owner.boot is None and _boot() is None:  # no Linux
        return True
    return is_of_this_start(owner) and owner.pid_namespace is not None and owner.pid_namespace == _pid_namespace()


def _boot() -> str | None:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


def _pid_namespace() -> str | None:
    try:
        return str((_PROC / "self/ns/pid").readlink())
    except OSError:
        return None
