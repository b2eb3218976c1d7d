"""Kills a command again and again, gives it again until it is done, and compares what it left with an undisturbed run.

What is compared: the bytes of every file that the command makes. Left out are seconds (of JSON, of log.csv, beside the
weights), TensorBoard's events, whose names hold the time, and the memory of files' hashes, which only saves time.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from tests.chain.kills.commands import Command
from tests.chain.kills.faults import EXIT_CODE
from tests.chain.kills.server import Ending, Request

ROOT = Path(__file__).resolve().parents[3]
KILLED = (EXIT_CODE, -signal.SIGKILL)
# fields of time, and the hash of a file that holds some
SECONDS = {"seconds", "seconds_of_last_start", "backbone.json"}
TWO_DAYS = 2 * 24 * 60 * 60
FIRST_POINTS = 30  # in which a command takes over what a killed one has left


class Server:
    """The process that runs the commands."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.chain.kills.server"], text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert self._answer() == "ready"

    def run(self, request: Request) -> Ending:
        assert self.process.stdin is not None
        print(json.dumps(asdict(request)), file=self.process.stdin, flush=True)
        return Ending(**json.loads(self._answer()))

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextmanager
def served() -> Iterator[Server]:
    """Inside, a server runs."""
    server = Server()
    with server.process:  # which waits for it after closing its input
        yield server


@dataclass
class Tally:
    """What was done to a command."""

    kills: int = 0
    resumes: int = 0
    compared_bytes: int = 0
    at: dict[str, int] = field(default_factory=dict)  # where it was killed, and how often
    longest: float = 0.0  # seconds from a signal to the end


@dataclass
class Trial:
    """One command in a folder of its own, which is always at the same place: paths are part of what is written."""

    command: Command
    inputs: Path
    home: Path
    server: Server
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self.folder, self.log = self.home / "work", self.home / "log"
        self.log.mkdir(parents=True)
        self.begin()
        ending = self.attempt()
        assert ending.code == 0, self.said
        self.seconds = ending.seconds
        self.points = (self.log / "passed").read_text().splitlines()
        self.expected = self.made()
        assert any(self.expected.values()), "nothing would be compared"

    def begin(self) -> None:
        """An empty folder but for what the command reads."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        for name in self.command.needs:
            source = self.inputs / name
            if source.is_dir():
                shutil.copytree(source, self.folder / name)
            else:
                shutil.copy2(source, self.folder / name)

    def attempt(self, **ends: Any) -> Ending:
        """Gives the command once."""
        words = self.words()
        request = Request(
            self.command.module, words, str(self.folder), str(self.log), self.command.prepare, **ends
        )  # fmt: skip
        return self.server.run(request)

    def words(self) -> list[str]:
        """The command's, or those with which it goes on."""
        last = max(self.folder.glob("runs/0*"), default=None) if self.command.resumes else None
        if last is None or not (last / "last.safetensors").is_file():
            return list(self.command.words)
        return [f"resume=runs/{last.name}"]

    @property
    def said(self) -> str:
        return (self.log / "out").read_text() + (self.log / "err").read_text()

    def kill(self, **ends: Any) -> bool:
        """Kills the command once; whether it was still at work."""
        (self.log / "last").write_text("at a random time")
        ending = self.attempt(**ends)
        if ending.code not in KILLED:
            assert self.is_over(ending), self.said
            return False
        where = (self.log / "last").read_text()
        kind = where.rpartition(" ")[0] if "#" in where else where
        self.tally.at[kind] = self.tally.at.get(kind, 0) + 1
        self.tally.kills += 1
        return True

    def is_over(self, ending: Ending) -> bool:
        """Whether it was done, or is refused: it was killed when all was there, and nothing is overwritten."""
        return ending.code == 0 or (ending.code == 2 and "exists already: name a new folder" in self.said)

    def interrupt(self, number: signal.Signals, after: float) -> bool:
        """Sends a signal once; whether the command was still at work, which then ends well."""
        ending = self.attempt(signal=int(number), after=after)
        if ending.after_signal is None or ending.code in (0, 2):  # it was done before
            assert self.is_over(ending), self.said
            return False
        lines = [line for line in (self.log / "err").read_text().splitlines() if line and "%|" not in line]
        assert ending.code == 130, (ending, self.said)
        assert "Traceback" not in self.said and lines[-1].startswith("interrupted: "), self.said
        assert [line for line in lines if line.startswith("interrupted: ")] == lines[-1:], self.said
        left = [name for name in hidden(self.folder) if name.endswith(".part") or ".lock" in name]
        assert not left, left  # finished chunks wait in .work
        self.tally.kills += 1
        self.tally.longest = max(self.tally.longest, ending.after_signal)
        return True

    def finish(self) -> None:
        """Gives the command until it is done; then all is as if it had never been killed."""
        let_days_pass(self.folder)
        assert self.is_over(self.attempt()), (self.tally.at, self.said)
        self.tally.resumes += 1
        made = self.made()
        assert made.keys() == self.expected.keys(), (self.tally.at, made.keys() ^ self.expected.keys())
        differing = [name for name in made if made[name] != self.expected[name]]
        assert not differing, (self.tally.at, differing)
        left = self.folder if not self.command.resumes else max(self.folder.glob("runs/0*"))
        assert not hidden(left), (self.tally.at, hidden(left))
        self.tally.compared_bytes += sum(map(len, made.values()))

    def made(self) -> dict[str, bytes]:
        """What the command made, by name, in the form that is compared."""
        return {name: comparable(path) for name, path in self.files().items()}

    def files(self) -> dict[str, Path]:
        """The files that the command made and that are compared, by name."""
        found = {}
        for root in self.command.makes:
            folder = self.folder / root
            if self.command.resumes:  # what was killed before it saved anything is begun anew, in another folder
                folder = max(folder.glob("0*"))
            for path in sorted(folder.rglob("*")):
                if path.is_file() and "tfevents" not in path.name and path.suffix not in (".sqlite", ".db"):
                    found[f"{root}/{path.relative_to(folder)}"] = path
        return found


def comparable(path: Path) -> bytes:
    """A file's bytes without the seconds in it."""
    content = path.read_bytes()
    if path.suffix == ".json":
        return json.dumps(_without_seconds(json.loads(content))).encode()
    if path.name == "log.csv":
        rows = list(csv.DictReader(io.StringIO(content.decode())))
        return json.dumps([_without_seconds(row) for row in rows]).encode()
    if path.suffix == ".safetensors":
        length = 8 + int.from_bytes(content[:8], "little")
        head = json.loads(content[8:length])
        facts = _without_seconds(json.loads(head.pop("__metadata__", {}).get("ssl_aug", "{}")))
        return json.dumps([head, facts]).encode() + content[length:]
    if path.suffix == ".pt":  # a pickle differs where two of its tensors were one before
        return repr(_without_tensors(torch.load(path, weights_only=True))).encode()
    return content


def _without_tensors(content: Any) -> Any:
    if isinstance(content, torch.Tensor):
        return content.dtype, content.shape, hashlib.sha256(content.numpy().tobytes()).hexdigest()
    if isinstance(content, dict):
        return [(name, _without_tensors(value)) for name, value in content.items()]
    return [_without_tensors(value) for value in content] if isinstance(content, list | tuple) else content


def _without_seconds(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _without_seconds(value) for name, value in content.items() if name not in SECONDS}
    return [_without_seconds(value) for value in content] if isinstance(content, list) else content


def hidden(folder: Path) -> list[str]:
    """What nobody asked for: half-written files, locks, scratch folders."""
    found = [path for path in folder.rglob("*") if path.name.startswith((".", "tmp"))]
    return [str(path.relative_to(folder)) for path in found]


def let_days_pass(folder: Path) -> None:
    """What others may be at work with, in the cache and beside a grid's runs, is taken for dead only after a day."""
    before = time.time() - TWO_DAYS
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if any(part.startswith((".", "tmp")) for part in parts) and path.name != ".lock":
            os.utime(path, (before, before))
    for lock in folder.glob("runs/.grid-*/.lock"):
        os.utime(lock, (before, before))


def killed_again_and_again(trial: Trial, num_kills: int, seed: int) -> Tally:
    """Kills a command at fault points and at random times, three times in a row, until it was killed often enough."""
    rng = random.Random(seed)
    kinds: dict[str, list[str]] = {}
    for point in trial.points:
        kinds.setdefault(point.rpartition(" ")[0], []).append(point)
    while trial.tally.kills < num_kills:
        trial.begin()
        kinds_left = [kind for kind in kinds if kind not in trial.tally.at] or list(kinds)  # each once, then again
        ways: list[dict[str, Any]] = [
            {"end_at": rng.choice(kinds[rng.choice(kinds_left)])},
            {"end_at_number": rng.randrange(FIRST_POINTS)},
            {"signal": int(signal.SIGKILL), "after": rng.uniform(0, trial.seconds)},
        ]
        rng.shuffle(ways)  # so that few kills are of all sorts as well
        for way in ways[: num_kills - trial.tally.kills]:
            if not trial.kill(**way):
                break
        trial.finish()
    return trial.tally


def killed_at_each_kind(trial: Trial) -> Tally:
    """Kills a command once at the last fault point of each kind, where the least is left to do that would mend it."""
    last = {point.rpartition(" ")[0]: point for point in trial.points}
    for point in last.values():
        trial.begin()
        trial.kill(end_at=point)
        trial.finish()
    return trial.tally


def interrupted_again_and_again(trial: Trial, num_signals: int, seed: int) -> Tally:
    """Sends a command SIGTERM and SIGINT at random times, each followed by the same command again."""
    rng = random.Random(seed)
    numbers = [signal.SIGTERM, signal.SIGINT]
    while trial.tally.kills < num_signals:
        trial.begin()
        trial.interrupt(numbers[trial.tally.kills % 2], rng.uniform(0, trial.seconds))
        trial.finish()
    return trial.tally
