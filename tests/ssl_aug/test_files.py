"""Files that are whole or not there at all, and folders of runs."""

import errno
import os
from pathlib import Path

import pytest

from ssl_aug import endings, files


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.txt"
    with pytest.raises(RuntimeError), files.written_atomically(target) as part:
        part.write_text("half")
        raise RuntimeError
    assert list(target.parent.iterdir()) == []
    with files.written_atomically(target) as part:
        part.write_text("whole")
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_what_a_killed_process_left_of_a_file_goes_a_day_later_whatever_its_name(tmp_path: Path) -> None:
    for name in ("table[1].md", "long" * 20):
        old, young = (files.part_beside(tmp_path / name) for _ in range(2))
        for left in (old, young):
            left.touch()
        os.utime(old, (0, 0))
        with files.written_atomically(tmp_path / name, sweep=True) as part:
            part.write_text("whole")
        assert not old.exists() and young.exists() and (tmp_path / name).read_text() == "whole"


def test_a_failed_write_says_where(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    with pytest.raises(OSError, match="full") as caught, files.written_atomically(target):
        raise OSError(errno.ENOSPC, "full")  # as write() raises it, without a name
    assert endings.error_line(caught.value).startswith(f"no space left on the disk of {target}")
    assert list(tmp_path.iterdir()) == []


def test_run_folders_are_numbered_and_never_reused(tmp_path: Path) -> None:
    names = [files.new_run_folder(tmp_path / "runs", "erm").name for _ in range(3)]
    (tmp_path / "runs" / "0002-erm").rmdir()
    names.append(files.new_run_folder(tmp_path / "runs", "uda").name)
    assert names == ["0001-erm", "0002-erm", "0003-erm", "0004-uda"]


def test_broken_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(ValueError, match=r"x\.json is damaged, not readable as JSON"):
        files.read_json(tmp_path / "x.json")
