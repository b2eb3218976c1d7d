"""Ctrl-C and SIGTERM: what is finished is kept, one line is said, the exit code is 130.

A command takes hold of both signals before it imports anything that takes time (`end_commands_at_once`). While it works
the first signal raises KeyboardInterrupt (`raised_in_main`), which passes through the code that puts things in order; a
loop that saves its state does so at a place of its choice (`interrupts_deferred`). A second signal ends at once.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from types import FrameType

EXIT_CODE = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM)
PACKAGES = ("ssl_aug", "benchmarks")
OPTIONS_WITH_VALUE = ("-W", "-X")  # of the interpreter, as words of their own
PATIENCE = 4.5  # seconds: what a library swallowed, or waits for in vain, does not keep a command alive for five
KEPT = "interrupted: what is finished is kept"
GOES_ON = "the same command goes on from there"


class _Command:
    """Of a process that is one of our commands: what it says when it is ended, and how many signals came."""

    def __init__(self, line: str):
        self.line, self.came = line, 0
        self.before_raising: list[Callable[[], None]] = []


_command = _Command(f"{KEPT}, {GOES_ON}")


def end_commands_at_once(arguments: list[str]) -> None:
    """In a process that is one of our commands, ends it in one line when it is interrupted, from now on.

    Args:
        arguments: those of the interpreter, `sys.orig_argv`; nothing is done in any other process.
    """
    if is_our_command(arguments) and threading.current_thread() is threading.main_thread():
        for number in heard():
            signal.signal(number, _end)


def is_our_command(arguments: list[str]) -> bool:
    """Whether an interpreter was started with one of our modules (-m), or with our console script."""
    words = iter(arguments[1:])
    for word in words:
        if word == "-m":
            return next(words, "").split(".")[0] in PACKAGES
        if word in OPTIONS_WITH_VALUE:
            next(words, None)
        elif not word.startswith("-") or word == "-c":  # a script of somebody's, and its own words
            return os.path.basename(word) == "ssl-aug"  # noqa: PTH119 (pathlib takes time)
    return False


def heard() -> list[signal.Signals]:
    """Those of the signals that this process is not told to ignore, as Ctrl-C is behind nohup or a shell's &."""
    return [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]


@contextmanager
def raised_in_main(line: str) -> Iterator[None]:
    """Inside, the first signal raises KeyboardInterrupt in the main thread, and the second ends the process.

    Where the exception gets lost, in a library's import for one, the process ends a few seconds later all the same.

    Args:
        line: what is said then.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread alone
        return
    global _command
    outer, _command = _command, _Command(line)
    before = {number: signal.signal(number, _raise) for number in heard()}
    try:
        yield
    except BaseException:
        if not _command.came:
            raise
        # Python remembers an interrupt that passed through exec(), as in a library's import, and would end by the
        # signal whatever exit code is given: another exec() makes it forget.
        exec("0")
        raise KeyboardInterrupt from None  # whatever a library has made of it
    finally:
        _watchdog.disarm()
        for number, handler in before.items():
            signal.signal(number, handler)
        _command = outer


def pass_interrupt_on() -> None:
    """For code that goes on after somebody's error: raises KeyboardInterrupt where a signal came.

    Native code makes an error of its own of an interrupt: a read of weights, a ValueError of a storage without shape.
    """
    if _command.came:
        raise KeyboardInterrupt


@contextmanager
def before_raising(act: Callable[[], None]) -> Iterator[None]:
    """Inside, this is called when the command that runs is interrupted, before the exception is raised."""
    acts = _command.before_raising
    acts.append(act)
    try:
        yield
    finally:
        acts.remove(act)


def _raise(number: int, frame: FrameType | None) -> None:
    _command.came += 1
    if _command.came > 1:
        _end(number, frame)
    _watchdog.arm()
    for act in _command.before_raising:
        act()
    raise KeyboardInterrupt


def _end(number: int, frame: FrameType | None) -> None:
    with suppress(OSError, RuntimeError, ValueError):  # closed, or the signal came in the middle of a write
        sys.stdout.flush()
    os.write(2, f"\n{_command.line}\n".encode())
    os._exit(EXIT_CODE)


class _Watchdog:
    """Ends the process some seconds after it was armed, unless it is disarmed before."""

    timer: threading.Timer | None = None

    def arm(self) -> None:
        self.timer = threading.Timer(PATIENCE, _end, (signal.SIGTERM, None))
        self.timer.daemon = True
        self.timer.start()

    def disarm(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


_watchdog = _Watchdog()


class Deferred:
    """Whether a signal came, while it does not stop the work at once."""

    def __init__(self) -> None:
        self.came = 0
        self.is_free = False

    def __call__(self) -> bool:
        return self.came > 0

    @contextmanager
    def _freed(self) -> Iterator[None]:
        if self.came:
            raise KeyboardInterrupt
        self.is_free = True
        try:
            yield
        finally:
            self.is_free = False

    def at_once(self, where: bool = True) -> AbstractContextManager[None]:
        """Inside, a signal raises KeyboardInterrupt at once: work that changes nothing that is kept.

        Args:
            where: False: it waits inside as well.
        """
        return self._freed() if where else nullcontext()


@contextmanager
def interrupts_deferred() -> Iterator[Deferred]:
    """Ctrl-C and SIGTERM inside do not stop at once: what is yielded says whether one came.

    So work can be left at a place from where it goes on. A second signal is not deferred.
    """
    deferred = Deferred()
    if threading.current_thread() is not threading.main_thread():
        yield deferred  # signals reach the main thread alone
        return
    before = {number: signal.getsignal(number) for number in heard()}
    is_command = _raise in before.values()

    def note(number: int, frame: FrameType | None) -> None:
        deferred.came += 1
        _command.came += 1
        if deferred.came > 1 and is_command:
            _end(number, frame)
        if deferred.came > 1 or deferred.is_free:
            raise KeyboardInterrupt

    for number in before:
        signal.signal(number, note)
    try:
        yield deferred
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
