"""Points at which a process may end as by SIGKILL: before and after each change in a folder, and in each write.

All that writes goes through a few functions of Python, numpy and safetensors, which are taken hold of here.
"""

from __future__ import annotations

import builtins
import io
import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from generators import kept_weights

EXIT_CODE = 137  # as a shell names a process that SIGKILL ended
CHANGES = ("replace", "rename", "link", "unlink", "remove", "mkdir", "rmdir")  # of os, which pathlib and shutil call
_RANDOM = re.compile(r"[0-9a-f]{8,}|(?<=^tmp)\w+|(?<=grid-)\w+")  # what differs from run to run in a name


@dataclass
class Faults:
    """The points that a process has passed, and the one at which it ends."""

    root: Path  # only what happens beneath counts
    end_at: str | None = None  # the name of a point
    end_at_number: int | None = None  # or which one, from 0
    passed: list[str] = field(default_factory=list)
    times: Counter[str] = field(default_factory=Counter)  # how often each name came
    last: Callable[[str], object] = str  # told where the process ends

    def is_end(self, what: str, path: str | os.PathLike[str]) -> bool:
        """Notes a point; whether it is the last one."""
        name = f"{what} {_RANDOM.sub('*', Path(path).name)}"
        number = len(self.passed)
        self.passed.append(f"{name} #{self.times[name]}")
        self.times[name] += 1
        return self.passed[-1] == self.end_at or number == self.end_at_number

    def end(self) -> None:
        self.last(self.passed[-1])
        os._exit(EXIT_CODE)

    def point(self, what: str, path: str | os.PathLike[str]) -> None:
        if self.is_end(what, path):
            self.end()

    def concerns(self, path: object) -> bool:
        return isinstance(path, str | os.PathLike) and Path(os.fspath(path)).absolute().is_relative_to(self.root)


def put_in_place(faults: Faults) -> None:
    """Takes hold of this process's writing; there is no way back."""
    for name in CHANGES:
        setattr(os, name, _around(getattr(os, name), name, faults))
    builtins.open = io.open = _opening(io.open, faults)
    kept_weights.save_file = _saving(kept_weights.save_file, faults)
    flush = np.memmap.flush

    def flushing(self: np.memmap) -> None:
        faults.point("before flush", str(self.filename))
        flush(self)

    np.memmap.flush = flushing  # type: ignore[method-assign]


def _around(change: Callable[..., Any], name: str, faults: Faults) -> Callable[..., Any]:
    def changing(path: Any, *arguments: Any, **named: Any) -> Any:
        if named.get("dir_fd") is not None or not faults.concerns(path):  # rmtree's, beneath one of these
            return change(path, *arguments, **named)
        target = arguments[0] if name in ("replace", "rename", "link") else path
        faults.point(f"before {name}", target)
        done = change(path, *arguments, **named)
        faults.point(f"after {name}", target)
        return done

    return changing


def _opening(opens: Callable[..., Any], faults: Faults) -> Callable[..., Any]:
    def opening(path: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        writes = any(letter in mode for letter in "wax+")
        if not (writes and faults.concerns(path)):
            return opens(path, mode, *arguments, **named)
        file = opens(path, mode, *arguments, **named)
        faults.point("opened", path)
        write = file.write

        def writing(content: Any) -> Any:
            if faults.is_end("in write", path):
                write(content[: len(content) // 2])
                file.flush()
                faults.end()
            return write(content)

        file.write = writing
        return file

    return opening


def _saving(save: Callable[..., None], faults: Faults) -> Callable[..., None]:
    """The library writes from Rust, under a name of its own beside the file: half of that is what a kill leaves."""

    def saving(tensors: Any, path: Path, facts: Any) -> None:
        faults.point("before save", path)
        save(tensors, path, facts)
        if faults.is_end("in save", path):
            os.truncate(path, path.stat().st_size // 2)
            path.rename(path.with_name(".tmpIm0nKt"))
            faults.end()

    return saving
