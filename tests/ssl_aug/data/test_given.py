"""Images from a program become files in the cache, and are from there on a dataset like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import TensorDataset

from ssl_aug import DataSettings, load
from ssl_aug.data.given import pixels_of
from ssl_aug.data.reading import read_rgb
from tests.conftest import write_image_folder

Arrays = tuple[NDArray[np.uint8], list[int]]


def make(count: int, seed: int = 0) -> Arrays:
    """`count` pictures of three classes in turn."""
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 6, 8, 3), dtype=np.uint8)
    return pixels, [position % 3 for position in range(count)]


class Pairs:
    """A map-style dataset without torch."""

    def __init__(self, items: list[Any]):
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, position: int) -> Any:
        return self.items[position]


def test_arrays_become_files_with_the_same_pixels_and_labels() -> None:
    images, labels = make(15)
    data = load(images, labels, class_names=["cat", "a/b", "ü"], test=make(6, 1), unlabeled=make(4, 2)[0],
                labels_per_class=2)  # fmt: skip
    assert data.class_names == ("cat", "a/b", "ü")
    assert (len(data.labeled), len(data.unlabeled), len(data.test)) == (6, 9 + 4, 6)
    assert data.dataset.train.labels == tuple(labels)
    for path, image in zip(data.dataset.train.paths, images, strict=True):
        assert np.array_equal(np.asarray(read_rgb(path)), image)
    assert np.array_equal(np.asarray(read_rgb(data.unlabeled[-1])), make(4, 2)[0][-1])


def test_the_same_images_are_the_same_files_and_others_are_not() -> None:
    images, labels = make(12, 7)
    told: list[tuple[int, int, str]] = []
    first = load(images, labels, progress=lambda *state: told.append(state))
    assert (told[0], told[-1]) == ((0, 12, "writing images"), (12, 12, "writing images"))
    second = load(list(images.copy()), labels, progress=lambda *state: told.append(state))
    assert first == second and len(told) == 13 and first.dataset.name.startswith("images-")
    other = images.copy()
    other[0, 0, 0, 0] ^= 1
    assert load(other, labels).split.labeled.id != first.split.labeled.id  # all are labeled: 4 of each class
    assert load(images, labels, name="birds").dataset.name.startswith("birds-")


def test_a_dataset_of_pictures_arrays_or_tensors_is_the_same_data() -> None:
    images, labels = make(12)
    tensors = torch.from_numpy(images.copy()).permute(0, 3, 1, 2)
    pictures = [Image.fromarray(image) for image in images]
    same = [
        load(Pairs([(picture, label) for picture, label in zip(pictures, labels, strict=True)])),
        load(TensorDataset(tensors, torch.tensor(labels))),
        load(TensorDataset(tensors / 255, torch.tensor(labels))),
        load(pictures, labels),
        load(tensors, torch.tensor(labels)),
    ]
    assert all(data == load(images, labels) for data in same)


def test_a_folder_and_settings_are_what_the_commands_read(tmp_path: Path) -> None:
    root = write_image_folder(tmp_path / "photos")
    data = load(root, labels_per_class=2, split_seed=1)
    settings = DataSettings(name="image_folder", root=str(root), labels_per_class=2, split_seed=1)
    assert data == load(settings) and data.class_names == ("cat", "dog", "eel")


def test_gray_pictures_are_read_as_three_equal_channels() -> None:
    gray = np.array([[0, 100], [200, 255]], dtype=np.uint8)
    expected = np.repeat(gray[..., None], 3, axis=2)
    for image in (gray, gray[..., None], Image.fromarray(gray), torch.from_numpy(gray)[None], gray / 255):
        assert np.array_equal(pixels_of(image), expected)


class Fleeting(Pairs):
    """Another image at each reading."""

    def __getitem__(self, position: int) -> Any:
        self.items[position] = (self.items[position][0] + np.uint8(1), self.items[position][1])
        return self.items[position]


@pytest.mark.parametrize(
    ("source", "labels", "said"),
    [
        (make(6)[0], [0, 1], "train: 6 images and 2 labels"),
        (make(6)[0], [0, 1, 2, 0, 1, "b"], "train: the label of item 5 is 'b': give whole numbers"),
        (make(6)[0], [0, 1, 2, 0, 1, -2], "train: the label of item 5 is -2: give 0 to 2"),
        (make(6)[0].astype(np.int64), make(6)[1], "train: item 0: an image has numbers of type int64: give uint8"),
        (make(6)[0] / 100, make(6)[1], "without normalization"),
        (make(6)[0][..., :2], make(6)[1], "of shape (6, 8, 2): give a PIL picture"),
        (make(6)[0], None, "train: item 0 is a ndarray, no pair (image, label)"),
        ([{"image": 0, "label": 1}], None, "item 0 is a dict with 'image', 'label', no pair (image, label): give the"),
        (iter([]), None, "train: a list_iterator has no length: give a folder, images, or a map-style dataset"),
        (Pairs([]), None, "train: there are no images"),
        (Fleeting([(image, i % 3) for i, image in enumerate(make(12)[0])]), None, "item 0 is another image each time"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(source: Any, labels: Any, said: str) -> None:
    with pytest.raises(ValueError) as error:
        load(source, labels)
    assert said in str(error.value)


def test_all_labels_are_known_unless_a_number_says_otherwise() -> None:
    images, labels = make(6)
    assert (len(load(images, labels).labeled), len(load(images, labels, labels_per_class=1).labeled)) == (6, 3)
    assert len(load(images, labels, labels_per_class=4).labeled) == 6  # of a smaller class all, as of a folder


def test_arguments_without_effect_are_named(tmp_path: Path) -> None:
    root = write_image_folder(tmp_path / "photos")
    with pytest.raises(ValueError, match="class_names has no effect where the source is a folder"):
        load(root, class_names=["a"])
    with pytest.raises(ValueError, match="labels_per_class and split_seed have no effect beside DataSettings"):
        load(DataSettings(name="image_folder", root=str(root)), labels_per_class=2)


def test_files_that_were_taken_away_are_named() -> None:
    images, labels = make(12, 5)
    data = load(images, labels)
    data.labeled.paths[0].unlink()
    with pytest.raises(FileNotFoundError, match="was taken away: remove"):
        load(images, labels)
