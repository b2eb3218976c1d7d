"""Test images that are training images, and images under two labels, are told; nothing but copies is refused."""

import os
import shutil
from dataclasses import replace

import pytest

import ssl_aug
from generators import hashes
from ssl_aug.data.base import Dataset, Example, LabeledSet
from ssl_aug.data.build import load_and_tell
from ssl_aug.data.copies import notes_on_copies
from tests.ssl_aug.data.layouts import image_folder, one_line, picture

ALL = {"labels_per_class": None}


def told(data, capsys):
    load_and_tell(data)
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]


def test_data_without_copies_are_told_nothing(tmp_path, capsys):
    assert told(replace(image_folder(tmp_path), **ALL), capsys) == []


def by_link(root):
    shutil.rmtree(root / "test")
    (root / "test").symlink_to(root / "train")


def by_copying(root):
    shutil.rmtree(root / "test")
    shutil.copytree(root / "train", root / "test")


def by_hard_links_under_other_names(root):
    for name in ("ant", "bee"):
        for number, path in enumerate(sorted((root / "test" / name).iterdir())):
            path.unlink()
            os.link(root / "train" / name / f"{number}.png", path.with_name(f"renamed_{number}.png"))


@pytest.mark.parametrize("make", [by_link, by_copying, by_hard_links_under_other_names])
def test_a_test_set_that_is_the_training_set_is_refused(tmp_path, make):
    data = image_folder(tmp_path)
    make(tmp_path)
    for load in (lambda: load_and_tell(replace(data, **ALL)), lambda: ssl_aug.load(tmp_path)):
        with pytest.raises(ValueError) as error:
            load()
        one_line(error, "every test image is a training image", tmp_path / "train", "put other images into test")


def test_some_copies_are_counted_with_an_example(tmp_path, capsys):
    data = replace(image_folder(tmp_path, per_class=3), **ALL)
    for part, number in (("test", 0), ("val", 1)):
        (tmp_path / part / "ant").mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / f"train/ant/{number}.png", tmp_path / part / "ant/copy.png")
    shutil.copytree(tmp_path / "test", tmp_path / "unlabeled")
    (tmp_path / "unlabeled/ant/copy.png").unlink()
    lines = told(data, capsys)
    assert lines[0].startswith(
        f"warning: 1 of 7 test images are training images as well ({tmp_path}/test/ant/copy.png is "
        f"{tmp_path}/train/ant/0.png): "
    )
    assert lines[1].startswith("warning: 6 of 7 test images are unlabeled images as well (")
    assert lines[2].startswith("warning: 1 of 1 validation images are training images as well (")
    assert len(lines) == 3


def test_an_image_under_two_labels_is_told(tmp_path, capsys):
    data = replace(image_folder(tmp_path), **ALL)
    shutil.copy(tmp_path / "train/ant/0.png", tmp_path / "train/bee/a.png")
    shutil.copy(tmp_path / "train/ant/1.png", tmp_path / "train/ant/again.png")  # harmless
    (line,) = told(data, capsys)
    assert line.startswith(
        f"warning: 1 training images have two labels ({tmp_path}/train/ant/0.png is {tmp_path}/train/bee/a.png): "
    )


def test_files_of_a_size_of_their_own_are_not_read(tmp_path, monkeypatch):
    read = []

    def reading(path):
        read.append(path.name)
        return "0"

    monkeypatch.setattr(hashes, "file_hash", reading)
    paths = [tmp_path / f"{size}.jpg" for size in (1, 2, 3)]
    for size, path in enumerate(paths, start=1):
        path.write_bytes(b"x" * size)
    (twin := tmp_path / "twin.jpg").write_bytes(b"yyy")
    train, test = (LabeledSet(tuple(Example(path, 0) for path in part), ("a",)) for part in (paths, [twin]))
    with pytest.raises(ValueError):
        notes_on_copies(Dataset("made", train, test))
    assert sorted(read) == ["3.jpg", "twin.jpg"]


def test_pictures_of_no_test_set_are_no_error(tmp_path, capsys):
    data = image_folder(tmp_path)
    shutil.rmtree(tmp_path / "test")
    picture(tmp_path / "train" / "ant" / "9.png", color=(9, 9, 9))
    assert told(replace(data, **ALL), capsys) == []
