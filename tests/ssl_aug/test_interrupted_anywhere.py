"""What puts things in order on the way out does so too when the interrupt comes in the middle of it."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from generators.files import written_whole
from ssl_aug.files import written_atomically
from ssl_aug.lock import locked


class Interrupt:
    """Raises at the n-th point at which Python looks for signals: a function of its begins, or one in C has ended."""

    def __init__(self, number: int):
        self.left, self.came = number, False

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event not in ("call", "c_return") or argument is sys.setprofile:
            return
        self.left -= 1
        if self.left < 0:
            sys.setprofile(None)
            self.came = True
            raise KeyboardInterrupt


def written(block: AbstractContextManager[Path | None]) -> None:
    with block as part:
        if part is not None and part.is_file():
            part.write_text("half")
        elif part is not None:
            (part / "file").write_text("half")


BLOCKS: dict[str, Callable[[Path], AbstractContextManager[Path | None]]] = {
    "locked": lambda folder: locked(folder, "at work in"),
    "written_whole": lambda folder: written_whole(folder / "set"),
    "written_atomically": lambda folder: written_atomically(folder / "file"),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("name", BLOCKS)
def test_an_interrupt_at_any_point_leaves_nothing_hidden(name: str, tmp_path: Path) -> None:
    for number in itertools.count():
        interrupt = Interrupt(number)
        folder = tmp_path / str(number)
        folder.mkdir()
        sys.setprofile(interrupt)
        try:
            written(BLOCKS[name](folder))
        except (KeyboardInterrupt, RuntimeError):  # the latter is what Python's threading makes of it
            assert interrupt.came
        finally:
            sys.setprofile(None)
        assert not list(folder.rglob(".*")), number
        if not interrupt.came:
            break
    assert number > 20
