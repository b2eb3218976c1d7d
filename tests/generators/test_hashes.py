"""Hashes of files: remembered, never wrong."""

import os
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from generators import hashes
from generators.hashes import file_hashes


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Three files of one size that count as settled at once."""
    monkeypatch.setattr(hashes, "SETTLED_NS", 0)
    paths = [tmp_path / f"{letter}.bin" for letter in "abc"]
    for path in paths:
        path.write_bytes(path.stem.encode() * 9)
    return paths


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are read from here on."""
    found: list[Path] = []
    file_hash = hashes.file_hash

    def reading(path: Path) -> str:
        found.append(path)
        return file_hash(path)

    monkeypatch.setattr(hashes, "file_hash", reading)
    return found


def slow_hashes(paths: list[Path]) -> list[str]:
    return [sha256(path.read_bytes()).hexdigest() for path in paths]


def test_a_file_is_read_once(files: list[Path], tmp_path: Path, read: list[Path]) -> None:
    memory = tmp_path / "cache" / "hashes.sqlite"
    assert file_hashes([*files, files[0]], memory) == slow_hashes([*files, files[0]])
    assert read == files
    assert file_hashes(files[::-1], memory) == slow_hashes(files[::-1])
    assert read == files
    assert file_hashes(files) == slow_hashes(files)
    assert read == [*files, *files], "without a memory all are read"


def test_what_may_have_changed_is_read_again(files: list[Path], tmp_path: Path) -> None:
    memory = tmp_path / "hashes.sqlite"
    file_hashes(files, memory)
    times = (files[0].stat().st_atime_ns, files[0].stat().st_mtime_ns)
    files[0].write_bytes(b"x" * 9)
    os.utime(files[0], ns=times)  # as large, as old, in the same place: what unpacks archives sets times as well
    files[1].unlink()
    shutil.copy2(files[2], files[1])
    assert file_hashes(files, memory) == slow_hashes(files)


def test_a_young_file_is_not_remembered(files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    memory = tmp_path / "hashes.sqlite"
    file_hashes(files, memory)
    assert not memory.exists(), "another change within the same tick of its time would not show"


def test_a_file_that_changes_while_it_is_read_is_not_remembered(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "hashes.sqlite"
    file_hash = hashes.file_hash

    def changing(path: Path) -> str:
        found = file_hash(path)
        path.write_bytes(b"changed")
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashes, "file_hash", changing)
        file_hashes(files, memory)
    assert file_hashes(files, memory) == slow_hashes(files)


def damaged(memory: Path) -> None:
    memory.write_bytes(b"no database" * 1000)


def cut(memory: Path) -> None:
    memory.write_bytes(memory.read_bytes()[:1500])


def emptied(memory: Path) -> None:
    memory.write_bytes(b"")


def a_folder(memory: Path) -> None:
    memory.unlink()
    memory.mkdir()


def of_other_columns(memory: Path) -> None:
    memory.unlink()
    with closing(sqlite3.connect(memory)) as connection, connection:
        connection.execute("CREATE TABLE hashes (path BLOB)")


def of_mixed_rows(memory: Path) -> None:
    with closing(sqlite3.connect(memory)) as connection, connection:
        connection.execute("UPDATE hashes SET sha256 = (SELECT MAX(sha256) FROM hashes)")


@pytest.mark.parametrize("spoil", [damaged, cut, emptied, a_folder, of_other_columns, of_mixed_rows])
def test_a_spoiled_memory_costs_time_alone(spoil, files: list[Path], tmp_path: Path) -> None:
    memory = tmp_path / "hashes.sqlite"
    file_hashes(files, memory)
    spoil(memory)
    for _ in range(2):
        assert file_hashes(files, memory) == slow_hashes(files)


def test_a_locked_memory_costs_time_alone(files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "WAIT_SECONDS", 0.0)
    memory = tmp_path / "hashes.sqlite"
    file_hashes(files, memory)
    with closing(sqlite3.connect(memory, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert file_hashes(files, memory) == slow_hashes(files)
        other.execute("ROLLBACK")
    assert memory.is_file()


def test_many_at_once_write_one_memory(
    tmp_path: Path, files: list[Path], read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes, "WAIT_SECONDS", 60.0)  # on a machine that does much else
    memory = tmp_path / "hashes.sqlite"
    paths = [tmp_path / f"{number}.bin" for number in range(40)]
    for path in paths:
        path.write_bytes(path.name.encode())
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda first: file_hashes(paths[first:], memory), range(8)))
    assert all(each == slow_hashes(paths[first:]) for first, each in enumerate(found))
    read.clear()
    file_hashes(paths, memory)
    assert read == []


def test_a_missing_file_is_an_error(files: list[Path], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.bin"):
        file_hashes([*files, tmp_path / "none.bin"], tmp_path / "hashes.sqlite")
