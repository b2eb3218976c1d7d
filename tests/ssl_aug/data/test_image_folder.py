"""The reader of image folders: any name may be a class, and what is not a class is named."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ssl_aug.data.build import load_dataset, load_split
from ssl_aug.settings import DataSettings
from tests.ssl_aug.data.layouts import (
    check_refused,
    image_folder,
    names,
    one_line,
    picture,
)

HOSTILE = (
    'it\'s "quoted"',
    "two  spaces",
    "žluťoučký kůň",
    "🚗 emoji",
    "a,b;c",
    "-dash",
    "%d{x}",
    "CON",
    "# hash",
)


def test_classes_are_sorted_and_hidden_files_are_none(tmp_path):
    data = image_folder(tmp_path, class_names=("b", "B", "a10", "a9"))
    picture(tmp_path / "train" / ".ipynb_checkpoints" / "1.png")
    picture(tmp_path / "train" / "b" / "._0.png")
    (tmp_path / "train" / "b" / ".DS_Store").write_bytes(b"")
    (tmp_path / "train" / "b" / "notes.txt").write_text("no image")
    (tmp_path / "train" / "readme.md").write_text("no class")
    dataset = load_dataset(data)
    assert dataset.class_names == ("B", "a10", "a9", "b")
    assert names(dataset.train.examples) == [(f"{i}.png", label) for label in range(4) for i in range(2)]


def test_file_order_is_that_of_torchvision(tmp_path):
    from torchvision.datasets import ImageFolder

    data = image_folder(tmp_path)
    for name in ("x/2.PNG", "10.jpeg", "9.webp", "x-y/1.png", "x/z/1.bmp", "X/1.tiff"):
        picture(tmp_path / "train" / "ant" / name)
    expected = [(Path(path), label) for path, label in ImageFolder(tmp_path / "train").samples]
    assert [(example.path, example.label) for example in load_dataset(data).train.examples] == expected


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sets(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=12).filter(
            lambda name: not name.startswith(".")
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_name_may_be_a_class(tmp_path_factory, class_names):
    dataset = load_dataset(image_folder(tmp_path_factory.mktemp("any"), sorted(class_names), per_class=1))
    assert dataset.class_names == dataset.test.class_names == tuple(sorted(class_names))


def test_hostile_class_names_make_a_split(tmp_path):
    _, split = load_split(
        DataSettings(name="image_folder", root=image_folder(tmp_path, HOSTILE).root, labels_per_class=1)
    )
    assert split.labeled.class_names == tuple(sorted(HOSTILE))
    assert len(split.labeled.id) == 12


def test_unlabeled_images_may_lie_flat_or_nested_and_join_the_unlabeled_set(tmp_path):
    data = image_folder(tmp_path)
    extra = [picture(tmp_path / "unlabeled" / name) for name in ("2.png", "deep/er/1.jpg", ".hidden/1.png")]
    dataset, split = load_split(DataSettings(name=data.name, root=data.root, labels_per_class=1))
    assert dataset.extra_unlabeled == (extra[0], extra[1])
    assert split.unlabeled[-2:] == dataset.extra_unlabeled
    assert len(split.unlabeled) == 2 + 2


def test_links_are_followed_and_rings_of_links_end(tmp_path):
    data = image_folder(tmp_path / "data")
    elsewhere = picture(tmp_path / "elsewhere" / "7.png").parent
    (tmp_path / "data" / "train" / "ant" / "linked").symlink_to(elsewhere)
    (tmp_path / "data" / "train" / "ant" / "8.png").symlink_to(elsewhere / "7.png")
    (tmp_path / "data" / "train" / "ant" / "ring").symlink_to(tmp_path / "data" / "train" / "ant")
    ants = [example for example in load_dataset(data).train.examples if example.label == 0]
    assert names(ants) == [("0.png", 0), ("1.png", 0), ("8.png", 0), ("7.png", 0)]


def test_an_empty_class_folder_is_named(tmp_path):
    data = image_folder(tmp_path)
    for part in ("train", "test"):
        (tmp_path / part / "wasp").mkdir()
    check_refused(data, tmp_path / "train" / "wasp", "no images", "remove the class")
    picture(tmp_path / "train" / "wasp" / "1.png")
    check_refused(data, tmp_path / "test" / "wasp", "no images", "remove the class")


def test_a_difference_between_the_classes_of_train_and_test_is_named(tmp_path):
    data = image_folder(tmp_path)
    picture(tmp_path / "train" / "wasp" / "1.png")
    picture(tmp_path / "test" / "🐝" / "1.png")
    check_refused(data, tmp_path, "only train has 'wasp'", "only test has '🐝'", "add the folders")


def test_images_beside_the_class_folders_are_not_taken_for_classes(tmp_path):
    for part in ("train", "test"):
        picture(tmp_path / part / "1.png")
    data = DataSettings(name="image_folder", root=str(tmp_path))
    check_refused(data, tmp_path / "train", "no class folders", "train/<class>/*.jpg", "into a folder with its name")


def test_two_images_that_share_folder_and_file_name_are_both_named(tmp_path):
    data = image_folder(tmp_path)
    one = picture(tmp_path / "train" / "ant" / "one" / "day" / "1.png")
    two = picture(tmp_path / "train" / "ant" / "two" / "day" / "1.png")
    check_refused(data, one, two, "rename")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names themselves")
def test_a_name_that_is_not_utf8_is_named(tmp_path):
    data = image_folder(tmp_path)
    os.mkdir(os.fsencode(tmp_path / "train") + b"/caf\xe9")  # noqa: PTH102
    check_refused(data, "caf\\xe9", "UTF-8", "rename")


def test_a_class_with_fewer_images_than_labels_is_named(tmp_path):
    data = image_folder(tmp_path, per_class=3)
    with pytest.raises(ValueError) as error:
        load_split(data)
    one_line(error, "'ant'", "3 training images", "data.labels_per_class=4", "use at most 3")
