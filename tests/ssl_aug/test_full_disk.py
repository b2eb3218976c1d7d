"""A disk that is full: one line that names what could not be written, and nothing half-written.

A limit on the size of files stands in for it, which fails the same calls.
"""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from generators.kept_weights import write_state, write_weights
from ssl_aug.arrays import new_array
from ssl_aug.data.copying import put
from ssl_aug.endings import error_line
from ssl_aug.files import write_json, written_atomically
from tests.ssl_aug.export.world import save_picture

ROOM = 2000  # bytes a file may have
WEIGHTS = {"weight": torch.zeros(ROOM)}


@contextmanager
def full_disk() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_weights(WEIGHTS, path, ""),
        lambda path: write_state(WEIGHTS, path),
        lambda path: new_array(path, np.float32, (ROOM, 3)),
        lambda path: path.write_bytes(bytes(2 * ROOM)),
    ],
    ids=["weights", "state", "array", "bytes"],
)
def test_what_has_no_room_is_named_and_nothing_is_left(write: Callable[[Path], None], tmp_path: Path) -> None:
    with full_disk(), pytest.raises(OSError) as caught, written_atomically(tmp_path / "kept") as part:
        write(part)
    assert error_line(caught.value).startswith(f"no space left on the disk of {tmp_path}")
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_stays_where_its_successor_has_no_room(tmp_path: Path) -> None:
    write_json(tmp_path / "facts.json", {"step": 1})
    with full_disk(), pytest.raises(OSError):
        write_json(tmp_path / "facts.json", {"steps": list(range(ROOM))})
    assert (tmp_path / "facts.json").read_text() == '{\n  "step": 1\n}\n'


def test_of_a_copy_the_disk_that_is_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    picture = save_picture(tmp_path / "photos" / "a.png", 0, 0, size=64)
    with full_disk(), pytest.raises(OSError) as caught:
        put(picture, tmp_path / "set" / "a", "copy")
    assert f"no space left on the disk of {tmp_path / 'set' / 'a.png'}" in error_line(caught.value)


def test_an_array_is_all_there_before_it_is_filled(tmp_path: Path) -> None:
    array = new_array(tmp_path / "rows.npy", np.float32, (100, 7))
    assert (tmp_path / "rows.npy").stat().st_blocks * 512 >= array.nbytes and not array.any()
    array[:] = np.arange(700).reshape(100, 7)
    array.flush()
    assert np.array_equal(np.load(shutil.copy(tmp_path / "rows.npy", tmp_path / "copy.npy")), array)
