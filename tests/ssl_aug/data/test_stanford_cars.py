"""The reader of StanfordCars: the order of its lists, its boxes, and files of something else."""

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from ssl_aug.data.build import load_dataset
from ssl_aug.data.reading import read_rgb
from ssl_aug.data.stanford_cars import crop_box
from ssl_aug.settings import DataSettings
from tests.ssl_aug.data.layouts import annotations, check_refused, names, stanford_cars


def test_cars_come_in_the_order_of_the_mat_files_with_ids_from_0(tmp_path):
    dataset = load_dataset(stanford_cars(tmp_path))
    assert dataset.class_names == ("AM Hummer", "Acura RL")
    assert names(dataset.train.examples) == [("00002.jpg", 1), ("00001.jpg", 0), ("00003.jpg", 1)]
    assert names(dataset.test.examples) == [("00001.jpg", 0), ("00002.jpg", 1)]


def test_cars_are_those_of_torchvision(tmp_path):
    from torchvision.datasets import StanfordCars

    dataset = load_dataset(stanford_cars(tmp_path))
    for split, mine in (("train", dataset.train), ("test", dataset.test)):
        theirs = StanfordCars(tmp_path, split=split)
        assert [(str(example.path), example.label) for example in mine.examples] == theirs._samples
        assert list(mine.class_names) == theirs.classes


def test_a_single_photo_is_read_too(tmp_path):
    one = [(1, 1, 6, 4, 1, "00001.jpg")]
    assert len(load_dataset(stanford_cars(tmp_path, train=one, test=one)).train) == 1


def test_cropped_cars_are_cut_to_their_boxes_once_and_keep_their_names(tmp_path, cache):
    data = stanford_cars(tmp_path / "data")
    cut = DataSettings(name=data.name, root=data.root, crop_to_box=True)
    whole, cropped = load_dataset(data), load_dataset(cut)
    assert [read_rgb(path).size for path in cropped.train.paths] == [(3, 2), (6, 4), (6, 4)]
    assert [each.key for each in cropped.train.examples] == [each.key for each in whole.train.examples]
    assert cropped.train.id != whole.train.id, "other pixels are another labeled set"
    again = load_dataset(cut)
    assert (again.train.id, again.test.id) == (cropped.train.id, cropped.test.id)
    assert all(path.is_relative_to(cache) for path in (*cropped.train.paths, *cropped.test.paths))
    made = [path.stat().st_mtime_ns for path in cropped.train.paths]
    assert [path.stat().st_mtime_ns for path in load_dataset(cut).train.paths] == made
    assert len(list(cache.iterdir())) == 1


def test_a_box_is_of_the_pixels_as_a_turned_photo_is_stored(tmp_path):
    data = stanford_cars(tmp_path, train=[(9, 1, 32, 16, 1, "00001.jpg")])
    photo = Image.new("RGB", (48, 32), "black")
    photo.paste((255, 255, 255), (8, 0, 32, 16))
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(tmp_path / "stanford_cars" / "cars_train" / "00001.jpg", exif=exif, quality=100)
    cropped = load_dataset(DataSettings(name=data.name, root=data.root, crop_to_box=True))
    cut = read_rgb(cropped.train.paths[0])
    assert cut.size == (16, 24), "upright"
    assert np.asarray(cut).min() > 200, "all of the object and nothing else"


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((1, 1, 6, 4), (0, 0, 6, 4)),
        ((2, 3, 2, 3), (1, 2, 2, 3)),
        ((0, -7, 99, 4), (0, 0, 6, 4)),
    ],
    ids=["the whole picture", "one pixel", "clipped"],
)
def test_boxes_count_from_one_and_are_clipped(box, expected):
    assert crop_box(box, width=6, height=4) == expected


def test_a_box_outside_its_photo_is_named_and_leaves_nothing(tmp_path, cache):
    data = stanford_cars(tmp_path, train=[(50, 1, 60, 4, 1, "00001.jpg")])
    cut = DataSettings(name=data.name, root=data.root, crop_to_box=True)
    check_refused(cut, "00001.jpg", "(50, 1, 60, 4)", "6x4", "replace")
    assert list(cache.iterdir()) == []


def test_a_truncated_photo_is_named_and_leaves_nothing(tmp_path, cache):
    data = stanford_cars(tmp_path)
    photo = tmp_path / "stanford_cars" / "cars_train" / "00001.jpg"
    photo.write_bytes(photo.read_bytes()[:-40])
    check_refused(DataSettings(name=data.name, root=data.root, crop_to_box=True), photo, "remove it or replace it")
    assert list(cache.iterdir()) == []


def test_the_devkit_file_without_labels_is_told_from_the_one_with(tmp_path):
    data = stanford_cars(tmp_path)
    table = np.zeros(1, dtype=[(f, object) for f in ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "fname")])
    table[:] = [(1, 1, 6, 4, "00001.jpg")]
    path = tmp_path / "stanford_cars" / "cars_test_annos_withlabels.mat"
    savemat(path, {"annotations": table})
    check_refused(data, path, "'class'", "devkit/cars_test_annos.mat")


def test_mat_files_of_something_else_are_named(tmp_path):
    data = stanford_cars(tmp_path)
    path = tmp_path / "stanford_cars" / "devkit" / "cars_train_annos.mat"
    savemat(path, {"other": [1]})
    check_refused(data, path, "holds no annotations", "copy")
    savemat(path, annotations([(1, 1, 6, 4, 3, "00001.jpg")]))
    check_refused(data, path, "00001.jpg has class 3", "1 to 2", "one source")


def test_the_message_says_that_torchvision_cannot_download_the_cars(tmp_path):
    (tmp_path / "other").mkdir()
    check_refused(
        DataSettings(name="stanford_cars", root=str(tmp_path)),
        "cars_meta.mat",
        "torchvision's download is broken",
    )
