"""How far the work is, told to a function beside the bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Progress = Callable[[int, int, str], None]  # done, total, what is being done

_listener: ContextVar[Progress | None] = ContextVar("listener", default=None)


@contextmanager
def told_to(progress: Progress | None) -> Iterator[None]:
    """Inside, every bar tells this function how far it is: as it opens, and after each step; None tells nobody."""
    before = _listener.set(progress)
    try:
        yield
    finally:
        _listener.reset(before)


class ToldBar:
    """A bar that tells a function what it shows."""

    def __init__(self, bar: Any, progress: Progress, total: int, label: str, done: int):
        self.bar, self.progress, self.total, self.label, self.done = bar, progress, total, label, done
        progress(done, total, label)

    def update(self, number: int = 1) -> None:
        self.bar.update(number)
        self.done += number
        self.progress(self.done, self.total, self.label)

    def write(self, line: str, file: Any) -> None:
        self.bar.write(line, file=file)

    def set_postfix(self, shown: dict[str, Any] | None = None, refresh: bool = True, loss: str | None = None) -> None:
        self.bar.set_postfix(shown or {"loss": loss}, refresh)


def reporting(bar: Any, total: int, label: str, done: int) -> Any:
    """The bar, or one around it that also tells the function of `told_to`."""
    progress = _listener.get()
    return bar if progress is None else ToldBar(bar, progress, total, label, done)
