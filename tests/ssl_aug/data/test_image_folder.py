"""The reader of image folders: any name may be a class, and what is not a class is named."""

import importlib
import os
import shutil
import socket
import sys
import unicodedata
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ssl_aug.command_line import compose
from ssl_aug.data import formats
from ssl_aug.data.build import load_and_tell, load_dataset, load_split
from ssl_aug.data.finding import is_foreign
from ssl_aug.data.formats import readable_suffixes, unreadable_suffixes
from ssl_aug.data.reading import read_rgb
from ssl_aug.settings import DataSettings, Settings
from tests.ssl_aug.data.layouts import (
    celeba,
    check_refused,
    flowers102,
    image_folder,
    names,
    picture,
    stanford_cars,
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


def bound_socket(path):
    with socket.socket(socket.AF_UNIX) as unbound, pytest.MonkeyPatch.context() as patch:
        patch.chdir(path.parent)  # a socket's path may be 100 bytes long
        unbound.bind(path.name)


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
            lambda name: not is_foreign(name)
        ),
        min_size=2,
        max_size=4,
    ).filter(lambda names: len({unicodedata.normalize("NFC", name) for name in names}) == len(names))
)
def test_any_name_may_be_a_class(tmp_path_factory, class_names):
    dataset = load_dataset(image_folder(tmp_path_factory.mktemp("any"), sorted(class_names), per_class=1))
    composed = tuple(unicodedata.normalize("NFC", name) for name in sorted(class_names))
    assert dataset.class_names == dataset.test.class_names == composed


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


def test_of_a_class_with_fewer_images_than_labels_all_are_labeled_and_that_is_said(tmp_path, capsys):
    data = image_folder(tmp_path, per_class=3)
    for number in range(3, 9):
        picture(tmp_path / "train" / "ant" / f"{number}.png")
    _, split = load_and_tell(DataSettings(data.name, data.root, labels_per_class=4))
    assert [split.labeled.labels.count(label) for label in range(2)] == [4, 3]
    assert capsys.readouterr().err == (
        "image_folder: 2 classes, 7 labeled, 5 unlabeled, 0 validation, 6 test images (data.labels_per_class=4 sets "
        "aside the labels of 5 images; null uses all; classes with fewer images: 1, among them 'bee')\n"
    )


def test_every_label_is_used_unless_a_number_is_given(tmp_path):
    root = image_folder(tmp_path).root
    picture(tmp_path / "train" / "bee" / "9.png")
    extra = picture(tmp_path / "unlabeled" / "1.png")
    settings = compose("generate", ["data=image_folder", f"data.root={root}"], Settings)
    assert settings.data.labels_per_class is None
    dataset, split = load_split(settings.data)
    assert (split.labeled, split.unlabeled) == (dataset.train, (extra,))
    assert compose("generate", [], Settings).data.labels_per_class == 4  # the benchmarks' number
    _, held = load_split(DataSettings("image_folder", root, None, validation_per_class=1))
    assert held.validation is not None
    assert [held.validation.labels.count(label) for label in range(2)] == [1, 1]
    assert set(held.labeled.paths) | set(held.validation.paths) == set(dataset.train.paths)
    assert len(held.labeled) == 3


def test_test_images_are_not_needed_and_validation_images_are_understood(tmp_path):
    data = image_folder(tmp_path)
    shutil.rmtree(tmp_path / "test")
    assert len(load_dataset(data).test) == 0
    held = picture(tmp_path / "valid" / "bee" / "1.png")
    _, split = load_split(data)
    assert split.validation is not None
    assert (split.validation.paths, split.validation.labels) == ((held,), (1,))
    assert held not in split.unlabeled
    with pytest.raises(ValueError, match=r"^data.validation_per_class=1: image_folder has 1 validation images"):
        load_split(DataSettings(data.name, data.root, 1, validation_per_class=1))
    picture(tmp_path / "val" / "bee" / "1.png")
    check_refused(data, "val and valid are both there", "keep one")


def test_the_class_folders_may_be_the_root_s_own(tmp_path):
    data = image_folder(tmp_path)
    alone = load_dataset(DataSettings("image_folder", str(tmp_path / "train")))
    assert (alone.train, len(alone.test)) == (load_dataset(data).train, 0)


def test_parts_with_other_names_are_not_taken_for_classes(tmp_path):
    for part in ("Training", "Test"):
        for name in ("cat", "dog"):
            picture(tmp_path / part / name / "1.png")
    data = DataSettings("image_folder", str(tmp_path))
    check_refused(data, f"but {tmp_path / 'Training'} is: rename it to train")
    shutil.rmtree(tmp_path / "Training")
    picture(tmp_path / "cat" / "1.png")
    check_refused(data, tmp_path / "train", "no such folder", "expected")


def test_a_single_class_is_refused_with_the_likely_cause(tmp_path):
    picture(tmp_path / "one" / "train" / "cat" / "1.png")
    check_refused(DataSettings("image_folder", str(tmp_path / "one")), "one class folder, 'cat'", "2 classes or more")
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            picture(tmp_path / "deep" / part / "images" / name / "1.png")
    deep = tmp_path / "deep" / "train"
    check_refused(
        DataSettings("image_folder", str(tmp_path / "deep")),
        "'cat', 'dog'", "one level too deep", f"did you mean data.root={deep / 'images'}", f"up into {deep}",
    )  # fmt: skip
    check_refused(DataSettings("image_folder", str(tmp_path)), f"did you mean data.root={tmp_path / 'deep'}")


def test_images_without_class_folders_are_counted(tmp_path):
    picture(tmp_path / "1.png")
    data = DataSettings("image_folder", str(tmp_path))
    check_refused(data, "holds 1 images and no class folders", "train/<class>/*.jpg")
    picture(tmp_path / "train" / "1.png")
    check_refused(data, tmp_path / "train", "holds 1 images and no class folders")
    for name in ("cat", "dog"):
        picture(tmp_path / "train" / name / "1.png")
    assert load_dataset(data).notes == (
        f"warning: 1 images lie in {tmp_path / 'train'} in no class folder: left out",
    )  # fmt: skip


@pytest.mark.parametrize("make", [stanford_cars, flowers102, celeba], ids=lambda make: make.__name__)
def test_another_dataset_s_folder_is_told_by_its_name(make, tmp_path):
    name = make(tmp_path).name
    (inner,) = tmp_path.iterdir()
    for root in (tmp_path, inner):
        check_refused(DataSettings("image_folder", str(root)), f"data.root={root}", f"data={name}")


def test_names_are_the_same_in_both_normalizations(tmp_path):
    composed, apart = (unicodedata.normalize(form, "Citroën") for form in ("NFC", "NFD"))
    for part, name in (("train", composed), ("test", apart), ("val", apart)):
        picture(tmp_path / part / name / "1.png")
        picture(tmp_path / part / "Audi" / "1.png")
    data = DataSettings("image_folder", str(tmp_path), None)
    dataset = load_dataset(data)
    assert dataset.validation is not None
    assert dataset.class_names == dataset.test.class_names == dataset.validation.class_names == ("Audi", composed)
    assert dataset.test.labels == (0, 1)
    picture(tmp_path / "train" / apart / "1.png")
    check_refused(data, "two class folders", "put their images into one")


def test_folders_that_programs_make_for_themselves_are_passed_over_and_named_once(tmp_path):
    data = image_folder(tmp_path)
    plain = load_dataset(data)
    for place in ("train/__MACOSX", "train/ant/@eaDir", "train/bee/@eaDir", "test/.thumbs", "train/bee/Thumbs.db"):
        picture(tmp_path / place / "1.png")
    dataset = load_dataset(data)
    assert (dataset.train, dataset.test) == (plain.train, plain.test)
    assert dataset.notes == (
        "passed over 5 folders that programs make for themselves: .thumbs, @eaDir (2 times), Thumbs.db, __MACOSX",
    )


def test_what_pillow_opens_is_read_and_the_rest_is_counted_with_the_way_out(tmp_path):
    data = image_folder(tmp_path, per_class=1)
    for name in ("a.webp", "b.avif", "c.tiff", "d.bmp", "e.GIF", "f.jfif"):
        read_rgb(picture(tmp_path / "train" / "bee" / name))
    (tmp_path / "train" / "bee" / "g.HEIC").write_bytes(b"")
    (tmp_path / "train" / "bee" / "h.cr2").write_bytes(b"")
    dataset = load_dataset(data)
    assert dataset.train.labels == (0, *[1] * 7)
    (note,) = dataset.notes
    heic = tmp_path / "train" / "bee" / "g.HEIC"
    assert note == (
        f"warning: left out 2 pictures that cannot be read here (1 .cr2, 1 .heic, the first is {heic}): "
        "pip install 'ssl_aug[heif]' to read HEIC, save the others as JPEG or PNG"
    )
    (tmp_path / "train" / "wasp").mkdir()
    heic.rename(tmp_path / "train" / "wasp" / "1.heic")
    check_refused(data, tmp_path / "train" / "wasp", "nothing but 1 pictures that cannot be read", "ssl_aug[heif]")


def test_heic_is_read_where_its_package_is_installed(monkeypatch):
    monkeypatch.delitem(Image.EXTENSION, ".heic", raising=False)
    assert ".heic" in unreadable_suffixes()
    package = ModuleType("pillow_heif")
    register = partial(monkeypatch.setitem, Image.EXTENSION, ".heic", "HEIF")
    monkeypatch.setattr(package, "register_heif_opener", register, raising=False)
    monkeypatch.setitem(sys.modules, "pillow_heif", package)
    importlib.reload(formats)
    assert ".heic" in readable_suffixes() and ".heic" not in unreadable_suffixes()


def test_a_folder_that_may_not_be_read_is_an_error(tmp_path, monkeypatch):
    data = image_folder(tmp_path)
    closed, scandir = tmp_path / "train" / "ant", os.scandir

    def refusing(path="."):
        if str(path) == str(closed):
            raise PermissionError(13, "Permission denied", str(closed))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(PermissionError, match="ant"):
        load_dataset(data)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("nowhere.png"), bound_socket, Path.mkdir])
def test_what_is_no_file_is_left_out_counted_and_named(tmp_path, capsys, make):
    data = image_folder(tmp_path)
    odd = tmp_path / "train" / "ant" / "7.png"
    make(odd)
    load_and_tell(replace(data, labels_per_class=None))
    err = capsys.readouterr().err
    if not odd.is_dir():  # a folder may have any name
        assert "warning: left out 1 names of images that are no files but broken links, pipes, " in err
        assert f"(the first is {odd})" in err
    for path in (tmp_path / "train" / "ant").glob("[01].png"):
        path.unlink()
    check_refused(data, tmp_path / "train" / "ant", "holds no images" if odd.is_dir() else "holds nothing but 1 names")


def test_a_pipe_among_listed_images_is_not_waited_for(tmp_path):
    data = stanford_cars(tmp_path)
    photo = tmp_path / "stanford_cars" / "cars_train" / "00001.jpg"
    photo.unlink()
    os.mkfifo(photo)
    check_refused(data, photo, "is missing")


def test_a_copy_from_a_mac_is_the_same_data(tmp_path):
    ids = []
    forms: tuple[Literal["NFC"], Literal["NFD"]] = ("NFC", "NFD")
    for form in forms:
        root = tmp_path / form
        data = image_folder(root, class_names=("Citroën", "Škoda"))
        for part in ("train", "test"):
            for folder in list((root / part).iterdir()):
                for path in list(folder.iterdir()):
                    path.rename(path.with_name(unicodedata.normalize(form, f"é{path.name}")))
                of_part: Literal["NFC", "NFD"] = "NFD" if part == "test" else form  # of the first copy test alone
                folder.rename(folder.with_name(unicodedata.normalize(of_part, folder.name)))
        dataset = load_dataset(data)
        assert dataset.class_names == ("Citroën", "Škoda")
        ids.append((dataset.train.id, dataset.test.id))
    assert ids[0] == ids[1]
