"""How a command ends that did not do its work: which exit code, and the one line that says why."""

from __future__ import annotations

import errno
import io
import json
import os
import select
import sys
import time
from contextlib import suppress
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, the account's share of it, or what a file may be
CLOSED_PIPE = 141  # as the shell names a program that nobody listened to any more (128 + SIGPIPE)
LONGEST_LINE = 400  # characters of what another library says
OF_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc", "ALLOC_FAILED")

# what takes less memory, command by command
MEMORY_OF_TUNING = (
    "to tune, give tune.accumulation=4 or tune.gradient_checkpointing=true (the same result), or a lower "
    "tune.batch_size"
)
MEMORY_OF_DRAWING = f"to draw, lower batch_size; {MEMORY_OF_TUNING}"
MEMORY_OF_TRAINING = "lower train.batch_size, train.unlabeled_batch_size, train.eval_batch_size or model.image_size"


def error_line(error: BaseException) -> str:
    """One line that names the thing and the way out."""
    if isinstance(error, OSError) and error.errno in FULL:
        where = error.filename2 or error.filename or "the output folder"  # of a copy the second is written to
        return f"no space left on the disk of {where}: free some and run again"
    if isinstance(error, PermissionError):
        return f"no permission to write or read {error.filename}: choose another folder or change its rights"
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def ending(error: Exception, memory: str = "") -> tuple[int, str]:
    """(exit code, line): 2 for what a person can mend, 1 for what only we can.

    Args:
        memory: which settings of the command take less of it.
    """
    line = error_line(error)
    if is_out_of_memory(error):
        way = memory or "close other programs, or use a machine with more"
        return 2, f"out of memory: {way}"
    if isinstance(error, ValueError | OSError):
        return 2, line
    said = line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}..."
    return 1, (
        f"{type(error).__name__}: {said}; this is a bug of ssl_aug, please report it, SSL_AUG_DEBUG=1 shows more of it"
    )


def tell_torchrun(line: str, path: str | None) -> None:
    """Has torchrun end its own report with a command's line, which its traceback would bury.

    Args:
        path: $TORCHELASTIC_ERROR_FILE, the file in which it looks for the line; None: it did not start this process.
    """
    if path:
        with suppress(OSError):  # the line stands on stderr as well
            Path(path).write_text(json.dumps({"message": line, "timestamp": int(time.time())}), encoding="utf-8")


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory was asked for and not given, by Python, the system, or torch, on a CPU or a GPU."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in OF_NO_MEMORY)


def nobody_reads() -> bool:
    """Whether the reader of our output is gone (`| head -1`); what is left of it then goes nowhere, in silence."""
    gone = False
    for stream in (sys.stdout, sys.stderr):
        try:
            number = stream.fileno()
        except (io.UnsupportedOperation, ValueError):
            continue
        watch = select.poll()
        watch.register(number, select.POLLOUT)
        if any(event & (select.POLLERR | select.POLLHUP) for _, event in watch.poll(0)):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            gone = True
    return gone
