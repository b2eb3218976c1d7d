"""A process that has imported what all commands import, and forks a child for each command that it is told to run.

It only imports, and reads a request a line: a fork of a process that computes would be delicate.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import signal
import sys
import time
import traceback
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# the rooms of the commands, which load all else; not the commands, which run as __main__
ROOMS = (
    "benchmarks.sweep", "benchmarks.single_run", "ssl_aug.callable_commands", "ssl_aug.data.build",
    "ssl_aug.data.image_folder", "ssl_aug.drawing.draw", "ssl_aug.drawing.next_commands", "ssl_aug.evaluation.sets",
    "ssl_aug.export.writing", "ssl_aug.importing.checkpoint", "ssl_aug.importing.images", "ssl_aug.pretrain.stages",
    "ssl_aug.tuning.adapter", "tests.chain.kills.commands", "torch.utils.tensorboard",
)  # fmt: skip
PATIENCE = 100.0  # seconds: a command that hangs is killed


@dataclass(frozen=True)
class Request:
    """A command to run, and how it is to end."""

    module: str
    words: list[str]
    folder: str  # to work in
    log: str  # folder for what it says and which points it passes
    prepare: str | None = None  # a function of commands.py that is called before
    end_at: str | None = None  # a fault point's name
    end_at_number: int | None = None  # or its number
    signal: int | None = None  # sent by the server
    after: float = 0.0  # seconds


@dataclass(frozen=True)
class Ending:
    """How it ended."""

    code: int  # minus the signal that ended it
    seconds: float
    after_signal: float | None  # seconds from the signal to the end; None: it ended before


def serve() -> None:
    """Reads requests and writes endings until there are no more."""
    for room in ROOMS:
        importlib.import_module(room)
    answers = os.fdopen(os.dup(1), "w")
    print("ready", file=answers, flush=True)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    for line in sys.stdin:
        print(json.dumps(asdict(_ended(Request(**json.loads(line))))), file=answers, flush=True)


def _ended(request: Request) -> Ending:
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(readable)
        _run(request, writable)
    os.close(writable)
    os.read(readable, 1)  # the command has taken hold of signals
    os.close(readable)
    began, sent = time.monotonic(), None
    is_over = signal.sigtimedwait([signal.SIGCHLD], request.after if request.signal else PATIENCE)
    if is_over is None:
        os.kill(pid, request.signal or signal.SIGKILL)
        sent = time.monotonic()
        if signal.sigtimedwait([signal.SIGCHLD], PATIENCE) is None:
            os.kill(pid, signal.SIGKILL)
            signal.sigtimedwait([signal.SIGCHLD], PATIENCE)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    now = time.monotonic()
    return Ending(code, now - began, None if sent is None else now - sent)


def _run(request: Request, ready: int) -> None:
    """A child's life."""
    from ssl_aug.interrupts import end_commands_at_once
    from tests.chain.kills import commands
    from tests.chain.kills.faults import Faults, put_in_place

    code = 1
    log = Path(request.log)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        for number, name in ((0, os.devnull), (1, log / "out"), (2, log / "err")):
            os.dup2(os.open(name, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115 (till the end)
        os.chdir(request.folder)
        os.environ["SSL_AUG_CACHE"] = str(Path(request.folder) / "cache")
        if request.prepare is not None:
            commands.PREPARATIONS[request.prepare]()
        faults = Faults(Path(request.folder), request.end_at, request.end_at_number, last=(log / "last").write_text)
        put_in_place(faults)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        end_commands_at_once(["python", "-m", request.module])
        os.write(ready, b"1")
        os.close(ready)
        sys.argv = [request.module, *request.words]
        warnings.simplefilter("ignore")
        code = _exit_code(request.module)
        (log / "passed").write_text("\n".join(faults.passed))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _exit_code(module: str) -> int:
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as asked:
        code: Any = asked.code
        return code if isinstance(code, int) else 0 if code is None else 1
    return 0


if __name__ == "__main__":
    serve()
