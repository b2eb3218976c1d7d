"""A hub on this machine: as much of the Hugging Face hub's API as huggingface_hub asks for, over folders."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[2]
FIND = """
from ssl_aug.runtime import command

def main(words):
    from generators import hub
    found = hub.find(words[0])
    print(found.id, found.folder)

command(main)
"""


@dataclass
class Hub:
    """Repositories, and what was asked of them."""

    address: str = ""
    commits: dict[str, dict[str, Path]] = field(default_factory=dict)  # owner/name -> commit -> its files' folder
    branches: dict[str, dict[str, str]] = field(default_factory=dict)  # owner/name -> branch -> commit
    gated: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)  # method and path

    def publish(self, name: str, folder: Path, branch: str = "main") -> str:
        """A commit with the folder's files, at the tip of the branch."""
        commit = hashlib.sha1(f"{name} {folder}".encode()).hexdigest()
        self.commits.setdefault(name, {})[commit] = folder
        self.branches.setdefault(name, {})[branch] = commit
        return commit

    def sent(self) -> list[str]:
        """The files whose content was asked for, in order."""
        return [path.split("/", 5)[5] for method, path in self.asked if method == "GET" and "/resolve/" in path]

    def forget(self) -> None:
        self.asked.clear()


@dataclass
class Machine:
    """One with a cache of its own, on which the hub may be asked unless the environment says otherwise."""

    hub: Hub
    home: Path

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Python with these words, as a process: huggingface_hub reads the environment once."""
        given = {
            **os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HOME": str(self.home),
            "HF_HUB_CACHE": str(self.home / "hub"), "HF_ENDPOINT": self.hub.address, "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1", **environment,
        }  # fmt: skip
        return subprocess.run(
            [sys.executable, *words], capture_output=True, text=True, cwd=self.home, env=given, timeout=240
        )

    def found(self, name: str, **environment: str) -> tuple[str, Path]:
        """What `generators.hub.find` gives."""
        done = self.run("-c", FIND, name, **environment)
        assert done.returncode == 0, done.stderr
        found, folder = done.stdout.split()
        return found, Path(folder)

    def refused(self, name: str, **environment: str) -> str:
        """The one line with which `generators.hub.find` ends in exit code 2."""
        return error_of(self.run("-c", FIND, name, **environment))

    def held(self) -> set[str]:
        """The files of all repositories in the cache, without the repository and the commit."""
        snapshots = (self.home / "hub").glob("models--*/snapshots/*")
        return {
            path.relative_to(folder).as_posix() for folder in snapshots for path in folder.rglob("*") if path.is_file()
        }


def error_of(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a command that ended in exit code 2."""
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    return line


class _RefusedError(Exception):
    """status, what the hub calls it."""


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub that answers while the block runs; HF_ENDPOINT is its address."""
    hub = Hub()

    class Handler(_Handler):
        shared = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    shared: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *words: Any) -> None:
        pass

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.shared.asked.append((self.command, path))
        try:
            if path.startswith("/api/models/"):
                owner, name, what, revision = path.removeprefix("/api/models/").split("/", 3)
                commit, folder = self._commit(f"{owner}/{name}", revision)
                files = sorted(file for file in folder.rglob("*") if file.is_file())
                sizes = [(file.relative_to(folder).as_posix(), file.stat().st_size) for file in files]
                listed: Any = [{"type": "file", "path": one, "size": size, "oid": one} for one, size in sizes]
                if what == "revision":
                    siblings = [{"rfilename": one, "size": size} for one, size in sizes]
                    listed = {"id": f"{owner}/{name}", "sha": commit, "siblings": siblings}
                self._send(200, json.dumps(listed).encode(), {"Content-Type": "application/json"})
            else:
                owner, name, _, revision, file_name = path.removeprefix("/").split("/", 4)
                commit, folder = self._commit(f"{owner}/{name}", revision)
                if f"{owner}/{name}" in self.shared.gated:
                    raise _RefusedError(403, "GatedRepo")
                if not (folder / file_name).is_file():
                    raise _RefusedError(404, "EntryNotFound")
                content = (folder / file_name).read_bytes()
                etag = f'"{hashlib.sha1(content).hexdigest()}"'
                self._send(200, content, {"X-Repo-Commit": commit, "ETag": etag})
        except _RefusedError as refused:
            status, code = refused.args
            self._send(status, b"", {"X-Error-Code": code})

    def _commit(self, name: str, revision: str) -> tuple[str, Path]:
        if name not in self.shared.commits:
            raise _RefusedError(404, "RepoNotFound")
        commit = self.shared.branches[name].get(revision, revision)
        if commit not in self.shared.commits[name]:
            raise _RefusedError(404, "RevisionNotFound")
        return commit, self.shared.commits[name][commit]

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)
