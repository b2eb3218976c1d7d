"""Damaged images are found before anything is trained, and those that were read once are not read again."""

import os

import pytest

from ssl_aug.data import readable
from ssl_aug.data.readable import check_readable
from tests.ssl_aug.data.layouts import one_line, picture


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_AUG_CACHE", str(tmp_path / "cache"))
    paths = [picture(tmp_path / f"{number}.png") for number in range(4)]
    monkeypatch.setattr("generators.hashes.SETTLED_NS", -(10**12))  # as if they had lain there
    return paths


def test_all_damaged_ones_are_counted_and_the_first_is_named(images):
    for path in images[1:3]:
        path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError) as error:
        check_readable(images)
    one_line(error, "2 of 4 images cannot be read, the first: ", images[1], "remove it or replace it")
    images[1].unlink()
    with pytest.raises(FileNotFoundError) as gone:
        check_readable(images)
    one_line(gone, images[1], "put it back")


def test_what_was_read_once_is_read_again_only_where_it_changed(images, monkeypatch):
    read = []

    def counted(path):
        read.append(path)
        return read_rgb(path)

    read_rgb = readable.read_rgb
    monkeypatch.setattr(readable, "read_rgb", counted)
    check_readable([*images, images[0]])
    assert sorted(read) == images, "each once"
    read.clear()
    check_readable(images)
    assert read == []
    images[2].write_bytes(b"torn")
    os.utime(images[2], ns=(0, 0))  # whatever its time says
    with pytest.raises(ValueError) as error:
        check_readable(images)
    one_line(error, images[2], "cannot be read as an image")
    assert set(read) == {images[2]}
