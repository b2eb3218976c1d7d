"""The weights that come with the package are used as they were written, or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ssl_aug.files import read_json
from ssl_aug.settings import EMBEDDED
from ssl_aug.shipped import BACKBONE, GENERATOR, RECORD, refuse_altered_weights, written_hashes

STAGES = (*BACKBONE, *GENERATOR)


def test_every_file_of_the_package_that_is_loaded_has_its_hash_written_down() -> None:
    hashes = written_hashes(read_json(EMBEDDED / RECORD), STAGES)
    assert all(hashes.values())
    assert {path.name for path in EMBEDDED.iterdir()} == {*hashes, RECORD, "README.md"}
    refuse_altered_weights(EMBEDDED, STAGES)


def test_a_changed_byte_of_any_file_is_refused_in_one_line(tmp_path: Path) -> None:
    names = list(written_hashes({}, STAGES))
    for name in (*names, RECORD):
        shutil.copyfile(EMBEDDED / name, tmp_path / name)
    for name in names:
        path = tmp_path / name
        path.unlink()
        content = bytearray((EMBEDDED / name).read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name} is not the file that {RECORD} describes.*: install") as caught:
            refuse_altered_weights(tmp_path, STAGES)
        assert "\n" not in str(caught.value)
        path.unlink()
        with pytest.raises(FileNotFoundError, match=rf"{name} is missing: install the package again, or make"):
            refuse_altered_weights(tmp_path, STAGES)
        shutil.copyfile(EMBEDDED / name, path)
    refuse_altered_weights(tmp_path, STAGES)


def test_weights_that_the_record_does_not_tell_of_are_refused(tmp_path: Path) -> None:
    for name in written_hashes({}, BACKBONE):
        (tmp_path / name).touch()
    (tmp_path / RECORD).write_text("{}")
    with pytest.raises(ValueError, match="is not the file that"):
        refuse_altered_weights(tmp_path, BACKBONE)
