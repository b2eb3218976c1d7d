"""Datasets that are made once and kept in the cache: digits, toycars, and the cache itself."""

import os
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssl_aug.data.build import load_dataset
from ssl_aug.data.cached import made_once
from ssl_aug.settings import DataSettings
from ssl_aug.world import toycars
from tests.ssl_aug.data.layouts import check_refused, one_line, picture


def test_digits_are_scikit_learns_scans(cache):
    from sklearn.datasets import load_digits

    dataset = load_dataset(DataSettings(name="digits"))
    assert (len(dataset.train), len(dataset.test)) == (1201, 596)
    assert dataset.class_names[7] == "seven"
    scans = load_digits()
    numbers = {int(example.path.stem): example for example in (*dataset.train.examples, *dataset.test.examples)}
    assert sorted(numbers) == list(range(1797))
    assert all(scans.target[number] == example.label for number, example in numbers.items())
    shares = np.bincount(dataset.test.labels) / np.bincount(scans.target)
    assert np.all((shares > 0.32) & (shares <= 1 / 3))
    for number in (0, 700, 1796):
        with Image.open(numbers[number].path) as image:
            assert (image.size, image.mode) == ((64, 64), "RGB")
            small = np.asarray(image.convert("L").resize((8, 8), Image.Resampling.BOX), dtype=float)
        assert np.corrcoef(small.ravel(), scans.images[number].ravel())[0, 1] > 0.98

    next(cache.glob("digits-*/train/zero/*.png")).unlink()
    check_refused(DataSettings(name="digits"), "1200 images of 1201", "remove", cache)


def test_toycars_are_rendered_once_in_the_renderers_class_order(monkeypatch, capsys):
    rendered = []

    def materialize(folder, progress=None):
        rendered.append(folder)
        for number, path in enumerate(f"{part}/{name}/1.png" for part in ("train", "test") for name in ("z", "a")):
            picture(folder / path)
            progress(number + 1, 4)

    monkeypatch.setattr(toycars, "materialize", materialize)
    monkeypatch.setattr(toycars, "CLASS_NAMES", ("z", "a"))
    monkeypatch.setattr(toycars, "NUM_TRAIN_PER_CLASS", 1)
    monkeypatch.setattr(toycars, "NUM_TEST_PER_CLASS", 1)
    first, second = load_dataset(DataSettings()), load_dataset(DataSettings())
    assert first == second
    assert len(rendered) == 1
    assert [example.path.parent.name for example in first.train.examples] == ["z", "a"]
    assert first.train.labels == first.test.labels == (0, 1)
    assert "4/4" in capsys.readouterr().err


def test_toycars_renderer_writes_what_the_reader_lists(monkeypatch, capsys):
    monkeypatch.setattr(toycars, "SPLITS", {"train": 1, "test": 1})
    monkeypatch.setattr(toycars, "NUM_TRAIN_PER_CLASS", 1)
    monkeypatch.setattr(toycars, "NUM_TEST_PER_CLASS", 1)
    dataset = load_dataset(DataSettings())
    assert dataset.train.labels == tuple(range(len(toycars.CLASS_NAMES)))
    assert "rendering toycars: 100%" in capsys.readouterr().err


def test_a_rendering_that_is_stopped_leaves_nothing(cache, monkeypatch):
    rendered: list[int] = []

    def stop(class_index, split, number):
        if len(rendered) == 3:
            raise KeyboardInterrupt
        rendered.append(number)
        return np.zeros((64, 64, 3), np.uint8)

    monkeypatch.setattr(toycars, "image", stop)
    with pytest.raises(KeyboardInterrupt):
        load_dataset(DataSettings())
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("name", ["digits", "toycars"])
def test_a_cache_that_cannot_be_written_to_is_named(name, tmp_path, monkeypatch):
    picture(tmp_path / "file.png")
    monkeypatch.setenv("SSL_AUG_CACHE", str(tmp_path / "file.png" / "cache"))
    check_refused(DataSettings(name=name), tmp_path / "file.png" / "cache", "cannot be written to", "SSL_AUG_CACHE")


def test_of_makers_that_start_at_once_one_folder_stays_and_it_is_whole(cache):
    together = threading.Barrier(4)

    def make(folder):
        together.wait(timeout=20)  # all are making: none has found a finished folder
        for number in range(20):
            (folder / str(number)).write_text("whole")

    found = []
    threads = [threading.Thread(target=lambda: found.append(made_once("made", make))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [cache / "made"] * 4
    assert len(list((cache / "made").iterdir())) == 20
    assert [path.name for path in cache.iterdir()] == ["made"]


def test_what_a_killed_maker_left_is_removed_a_day_later_where_data_are_read(cache):
    old, new = (cache / f".made.{number:016x}.part" for number in range(2))
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "half").write_text("half")
        os.utime(folder, (0, 0))
    (cache / "image_hashes").mkdir()
    (cache / "image_hashes" / ".x.json.0000000000000000.part").touch()
    for path in (old / "half", cache / "image_hashes" / ".x.json.0000000000000000.part"):
        os.utime(path, (0, 0))
    load_dataset(DataSettings(name="digits"))
    assert {path.name for path in cache.iterdir()} >= {new.name, "image_hashes"} and not old.exists()
    assert not list((cache / "image_hashes").iterdir())


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_a_maker_that_is_stopped_leaves_nothing(stop, cache):
    def make(folder):
        (folder / "half").write_text("half")
        raise stop

    with pytest.raises(stop):
        made_once("made", make)
    assert list(cache.iterdir()) == []


def test_a_full_disk_is_named_with_the_way_out(cache):
    def make(folder):
        (folder / "half").write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(ValueError) as error:
        made_once("made", make)
    one_line(error, cache, "no space left", "SSL_AUG_CACHE")
    assert list(cache.iterdir()) == []


def test_a_file_in_the_way_of_what_is_made_is_named_and_left_alone(cache):
    cache.mkdir()
    (cache / "made").write_text("a file")
    with pytest.raises(FileExistsError, match=re.escape(f"{cache / 'made'} exists already")):
        made_once("made", lambda folder: (folder / "0").touch())
    assert (cache / "made").read_text() == "a file"


def test_what_lies_in_a_finished_cache_is_read_without_the_right_to_write(cache, monkeypatch):
    (cache / "made").mkdir(parents=True)
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: pytest.fail("nothing is to be made"))
    assert made_once("made", lambda _: pytest.fail("it is there")) == cache / "made"
