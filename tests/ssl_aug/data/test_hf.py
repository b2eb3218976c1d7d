"""Hugging Face folders, as far as no `datasets` is needed: labels, columns, the cache, and exports of our own."""

from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssl_aug.command_line import compose
from ssl_aug.data import hf_library
from ssl_aug.data.build import load_dataset, load_split
from ssl_aug.data.counts import told
from ssl_aug.data.hf_columns import BYTES, CLASSES, IMAGE, LABELS, OTHER, Column, image_column, label_column
from ssl_aug.data.hf_labels import LabelColumn, settled
from ssl_aug.data.reading import read_rgb
from ssl_aug.export.content import Content
from ssl_aug.export.settings import ExportSettings
from ssl_aug.export.writing import export_content
from ssl_aug.settings import DataSettings, Settings
from tests.ssl_aug.data.layouts import check_refused, hf, one_line, picture

ROOT = Path("saved")


# ---------------------------------------------------------------------------------------------------------------------
# labels


def settle(*columns):
    return settled(ROOT, [LabelColumn(*column) for column in columns])


def test_named_classes_keep_their_order_and_minus_one_or_null_is_no_label():
    found = settle(
        ("train", "train", [1, None, 0, -1, 2], ("z", "a", "m")),
        ("val", "validation", [2], ("z", "a", "m")),
        ("unlabeled", "unlabeled", [9, "x"], None),
    )
    assert found.class_names == ("z", "a", "m")
    assert found.indices == {"train": [1, None, 0, None, 2], "val": [2], "unlabeled": [None, None]}
    assert found.notes == ()


@pytest.mark.parametrize(
    ("labels", "names", "indices"),
    [
        (["b", "", "a", None, "b"], ("a", "b"), [1, None, 0, None, 1]),
        ([10, 9, -1, 10], ("9", "10"), [1, 0, None, 1]),
        ([1.0, float("nan"), 2.0], ("1", "2"), [0, None, 1]),  # a table with gaps
        ([True, False], ("False", "True"), [1, 0]),
    ],
)
def test_texts_and_numbers_are_sorted(labels, names, indices):
    found = settle(("train", "train", labels, None))
    assert (found.class_names, found.indices["train"]) == (names, indices)


def test_classes_without_images_and_test_images_without_label_are_left_out_and_told():
    names = ("a", "b", "c", "d")
    found = settle(("train", "train", [3, 1], names), ("test", "test", [1, -1, 3], names))
    assert found.class_names == ("b", "d")
    assert found.indices == {"train": [1, 0], "test": [0, None, 1]}
    assert found.notes == (
        "warning: 2 classes have no images in train: left out 'a', 'c'",
        "warning: left out 1 images of test, which have no label",
    )


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ([("train", "train", [0, 2], ("a", "b"))], "the label of train[1] is 2: it must be from 0 to 1"),
        ([("train", "train", [0, -2], None)], "the label of train[1] is -2"),
        ([("train", "train", [0.5, 1.0], None)], "the label of train[0] is 0.5: whole numbers and names are labels"),
        ([("train", "train", [[0], [1]], None)], "the label of train[0] is [0]"),
        ([("train", "train", [float("inf")], None)], "the label of train[0] is inf"),
        ([("train", "train", ["c"], ("a", "b"))], "the label of train[0] is 'c', which is no class's name"),
        ([("train", "train", [1, 1], ("a", "b"))], "the images of train have one label, 'b'"),
        ([("train", "train", [-1, None], ("a", "b"))], "the images of train have no labels"),
        ([("train", "train", [], None)], "the split train has no rows"),
        ([("train", "train", [0, 1], None), ("test", "test", [], None)], "the split test has no rows"),
        ([("train", "train", [0, 1], None), ("dev", "validation", [0, 2], None)], "dev[1] is 2, which no training"),
        ([("train", "train", [0, 1], ("a", "b")), ("test", "test", [0], ("b", "a"))], "the classes of test are not"),
    ],
)
def test_labels_that_do_not_fit_are_named_by_split_and_row(columns, said):
    with pytest.raises(ValueError) as error:
        settle(*columns)
    one_line(error, ROOT, said)


# ---------------------------------------------------------------------------------------------------------------------
# columns


COLUMNS = {"img": Column(IMAGE), "fine_label": Column(CLASSES, ("a", "b")), "id": Column(LABELS), "box": Column(OTHER)}


def test_columns_are_found_by_what_they_hold_or_by_a_usual_name():
    assert (image_column(ROOT, COLUMNS, None), label_column(ROOT, COLUMNS, None)) == ("img", "fine_label")
    plain = {"image": Column(BYTES), "Label": Column(LABELS), "caption": Column(LABELS)}
    assert (image_column(ROOT, plain, None), label_column(ROOT, plain, None)) == ("image", "Label")
    both = {**COLUMNS, "coarse_label": Column(CLASSES, ("x", "y"))}
    assert label_column(ROOT, both, "coarse_label") == "coarse_label"
    assert label_column(ROOT, both, "id") == "id"


@pytest.mark.parametrize(
    ("find", "columns", "asked", "said"),
    [
        (label_column, {**COLUMNS, "class": Column(LABELS)}, None, "'fine_label', 'class': choose one, data.label_col"),
        (image_column, {**COLUMNS, "mask": Column(IMAGE)}, None, "'img', 'mask': choose one, data.image_column=img"),
        (label_column, {"img": Column(IMAGE), "id": Column(LABELS)}, None, "id (names or numbers): name one with data"),
        (image_column, {"label": Column(LABELS)}, None, "no column is known to hold images"),
        (label_column, COLUMNS, "klass", "data.label_column=klass: saved has no such column, its columns are img"),
        (label_column, COLUMNS, "box", "data.label_column=box: this column of saved holds no labels"),
        (image_column, COLUMNS, "id", "data.image_column=id: this column of saved holds no images"),
    ],
)
def test_no_column_or_several_are_a_line_that_says_what_there_is(find, columns, asked, said):
    with pytest.raises(ValueError) as error:
        find(ROOT, columns, asked)
    one_line(error, said)


def test_columns_are_named_as_they_are_written():
    words = ["data=hf", "data.image_column=Image, front", "data.label_column=it's"]
    data = compose("generate", words, Settings).data
    assert (data.image_column, data.label_column) == ("Image, front", "it's")


# ---------------------------------------------------------------------------------------------------------------------
# files


def test_images_become_files_byte_for_byte_and_keep_their_place(tmp_path, cache):
    dataset = load_dataset(hf(tmp_path / "data"))
    assert dataset.class_names == ("bee", "ant")
    assert dataset.train.labels == (1, 0, 0, 1)
    for number, path in enumerate(dataset.train.paths):
        assert path.read_bytes() == (tmp_path / "data" / "labeled" / "images" / f"{number}.png").read_bytes()
        assert path.is_relative_to(cache) and path.name.startswith(f"{number:06d}-")
    assert [path.parent.name for path in dataset.train.paths[:2]] == ["01_ant", "00_bee"]
    assert len(dataset.extra_unlabeled) == 1


def test_the_first_line_is_that_of_every_dataset(tmp_path):
    settings = compose("generate", ["data=hf", f"data.root={hf(tmp_path / 'data').root}"], Settings).data
    assert settings.labels_per_class is None
    dataset, split = load_split(settings)
    line = told(dataset, split, settings.labels_per_class)
    assert line == "hf: 2 classes, 4 labeled, 1 unlabeled, 0 validation, 2 test images"


def test_suffixes_are_those_of_the_bytes(tmp_path):
    data = hf(tmp_path / "data")
    for number, image_format in enumerate(("JPEG", "WEBP", "PPM")):
        Image.new("RGB", (6, 4)).save(tmp_path / "data" / "labeled" / "images" / f"{number}.png", image_format)
    suffixes = [path.suffix for path in load_dataset(data).train.paths]
    assert suffixes == [".jpg", ".webp", ".ppm", ".png"]


def test_the_cache_is_read_again_and_never_for_other_content(tmp_path, cache):
    data = hf(tmp_path / "data")
    first = load_dataset(data)
    assert load_dataset(data) == first and len(list(cache.iterdir())) == 1
    (tmp_path / "data").rename(tmp_path / "moved")
    assert load_dataset(DataSettings("hf", str(tmp_path / "moved"))) == first
    picture(tmp_path / "moved" / "labeled" / "images" / "0.png", color=(1, 2, 3))
    other = load_dataset(DataSettings("hf", str(tmp_path / "moved")))
    assert other.train.id != first.train.id and other.train.paths[1].name == first.train.paths[1].name


def test_images_that_were_taken_out_of_the_cache_are_named(tmp_path):
    data = hf(tmp_path / "data")
    path = load_dataset(data).train.paths[2]
    path.unlink()
    check_refused(data, path, "was taken away", "it is made anew")


def test_an_image_that_cannot_be_read_is_named_by_split_and_row_and_nothing_is_kept(tmp_path, cache):
    data = hf(tmp_path / "data")
    image = tmp_path / "data" / "labeled" / "images" / "2.png"
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(image)
    whole = image.read_bytes()
    for content, why in (
        (b"no image", "cannot identify"),
        (whole[:1000], "truncated"),
        (b"", "labeled[2] has no image"),
    ):
        image.write_bytes(content)
        said = check_refused(data, tmp_path / "data", "labeled[2]", why)
        assert "BytesIO" not in said
    image.unlink()
    check_refused(data, "labeled[2]", image, "is not there")
    assert not list(cache.iterdir())


def test_an_image_elsewhere_is_not_read(tmp_path):
    data = hf(tmp_path / "data")
    rows = tmp_path / "data" / "labeled" / "metadata.jsonl"
    picture(tmp_path / "secret.png")
    rows.write_text(rows.read_text().replace("images/1.png", "../../secret.png"))
    check_refused(data, "labeled[1]", "outside of the folder", "data=csv")


def test_an_export_of_ours_comes_back_without_its_synthetic_images(content: Content, tmp_path):
    out = export_content(content, ExportSettings(to="hf", out=str(tmp_path / "out")))
    dataset, split = load_split(DataSettings("hf", str(out), None))
    assert dataset.class_names == content.class_names
    for own, there in ((split.labeled, content.split.labeled), (split.test, content.split.test)):
        assert own.labels == there.labels
        for path, other in zip(own.paths, there.paths, strict=True):
            assert np.array_equal(np.asarray(read_rgb(path)), np.asarray(read_rgb(other)))
    assert split.validation is not None and content.split.validation is not None
    assert split.validation.labels == content.split.validation.labels
    assert len(split.unlabeled) == len(content.split.unlabeled)
    assert content.synthetic is not None and dataset.notes == (
        f"left out {len(content.synthetic)} synthetic images: synthetic.root=SET brings a set's into a training",
    )


def test_the_folder_may_be_named_from_here(tmp_path, monkeypatch):
    whole = load_dataset(hf(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SSL_AUG_CACHE", str(tmp_path / "another cache"))
    assert load_dataset(replace(hf(tmp_path / "again"), root="again")).train.id == whole.train.id


def test_an_export_for_others_is_named(tmp_path):
    check_refused(hf(tmp_path / "data", facts={"to": "usb"}), "was exported with --to usb", "--to hf")


# ---------------------------------------------------------------------------------------------------------------------
# the library


@pytest.mark.parametrize(
    ("there", "said"),
    [(None, "needs the library datasets: pip install"), ("3.6.0", "needs datasets 4 or later, 3.6.0 is installed")],
)
def test_without_the_library_the_line_says_how_to_install_it(there, said, tmp_path, monkeypatch):
    def version(name):
        if there is None:
            raise PackageNotFoundError(name)
        return there

    monkeypatch.setattr(hf_library, "version", version)
    picture(tmp_path / "data" / "train" / "cat" / "0.png")
    data = DataSettings("hf", str(tmp_path / "data"))
    with pytest.raises(ValueError) as error:
        hf_library.refuse_at_once(data)
    assert check_refused(data, said, "pip install 'ssl_aug[hf]'") == str(error.value)
    hf_library.refuse_at_once(hf(tmp_path / "export"))  # needs none
    load_dataset(hf(tmp_path / "export"))
    hf_library.refuse_at_once(data)  # what is in the cache may be this


def test_image_folder_says_whose_a_saved_folder_is(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train"]}')
    check_refused(DataSettings("image_folder", str(tmp_path)), f"data.root={tmp_path}", "use data=hf")
