"""Every dataset reader on a tiny layout of its own: what all have in common."""

import subprocess
import sys

import pytest

from ssl_aug.data.build import DATASETS, load_dataset
from ssl_aug.settings import DataSettings
from tests.ssl_aug.data.layouts import LAYOUTS, check_refused, picture

READ_FROM_DISK = ("image_folder", "csv", "hf", "stanford_cars", "flowers102", "celeba")
PARTS = {
    "image_folder": ("train",),
    "stanford_cars": (
        "stanford_cars/cars_train",
        "stanford_cars/cars_test",
        "stanford_cars/devkit",
        "stanford_cars/devkit/cars_meta.mat",
        "stanford_cars/devkit/cars_train_annos.mat",
        "stanford_cars/cars_test_annos_withlabels.mat",
        "stanford_cars/cars_train/00003.jpg",
        "stanford_cars/cars_test/00002.jpg",
    ),
    "flowers102": (
        "flowers-102/imagelabels.mat",
        "flowers-102/setid.mat",
        "flowers-102/jpg",
        "flowers-102/jpg/image_00007.jpg",
    ),
    "celeba": (
        "celeba/img_align_celeba",
        "celeba/list_eval_partition.txt",
        "celeba/list_attr_celeba.txt",
        "celeba/img_align_celeba/000003.jpg",
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_is_read_is_files_and_plain_integers(name, tmp_path):
    dataset = load_dataset(LAYOUTS[name](tmp_path / "data"))
    assert dataset.name == name
    for part in (dataset.train, dataset.test):
        assert len(part) > 0
        assert all(type(label) is int and 0 <= label < len(part.class_names) for label in part.labels)
    assert all(path.is_file() for path in (*dataset.training_images, *dataset.test.paths))
    assert not set(dataset.training_images) & set(dataset.test.paths)


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name != "csv"])  # which is a file
def test_a_missing_root_is_named_with_the_way_out(name, tmp_path):
    missing = tmp_path / "no such"
    check_refused(
        DataSettings(name=name, root=str(missing)),
        f"data.root={missing}",
        "no such folder",
        "expected",
        "data.root=DIR",
    )
    file = picture(tmp_path / "file.png")
    check_refused(DataSettings(name=name, root=str(file)), f"data.root={file}", "is a file", "data.root=DIR")
    (tmp_path / "empty").mkdir()
    check_refused(
        DataSettings(name=name, root=str(tmp_path / "empty")),
        "the folder is empty",
        "expected",
        "data.root=DIR",
    )
    check_refused(DataSettings(name=name), "data.root is not set", "data.root=DIR", "SSL_AUG_DATA")


@pytest.mark.parametrize(("name", "part"), [(name, part) for name, parts in PARTS.items() for part in parts])
def test_a_missing_part_is_named_with_the_way_out(name, part, tmp_path):
    data = LAYOUTS[name](tmp_path / "data")
    (tmp_path / "data" / part).rename(tmp_path / "taken away")
    layout = "unpack the images again" if part.endswith(".jpg") else "expected"
    check_refused(data, tmp_path / "data" / part, layout, "data.root=DIR")


@pytest.mark.parametrize(
    ("name", "part"),
    [(name, part) for name, parts in PARTS.items() for part in parts if part.endswith((".mat", ".txt"))],
)
@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe not it", b"<html>404</html>" * 20], ids=["empty", "binary", "html"]
)
def test_a_damaged_list_is_named(name, part, content, tmp_path):
    data = LAYOUTS[name](tmp_path / "data")
    (tmp_path / "data" / part).write_bytes(content)
    check_refused(data, tmp_path / "data" / part, "copy it again")


@pytest.mark.parametrize(("name", "inner"), [("stanford_cars",) * 2, ("flowers102", "flowers-102"), ("celeba",) * 2])
def test_the_folder_itself_may_be_named_as_the_root(name, inner, tmp_path):
    data = LAYOUTS[name](tmp_path / "data")
    assert load_dataset(DataSettings(name=name, root=f"{data.root}/{inner}")) == load_dataset(data)


def test_a_dataset_that_does_not_exist_is_answered_with_those_that_do():
    check_refused(DataSettings(name="imagenet"), "data=imagenet", *DATASETS)


@pytest.mark.parametrize("name", [name for name in DATASETS if name not in READ_FROM_DISK])
def test_a_root_for_a_dataset_that_is_made_is_an_error(name, cache):
    check_refused(DataSettings(name=name, root="/data"), "data.root=/data", name, "leave it out", "data=image_folder")
    assert not cache.exists()


@pytest.mark.parametrize("name", DATASETS)
def test_a_setting_without_effect_is_an_error(name):
    if name != "stanford_cars":
        check_refused(DataSettings(name=name, crop_to_box=True), "data.crop_to_box=true", name, "leave it out")
    if name != "celeba":
        check_refused(DataSettings(name=name, attribute="Male"), "data.attribute=Male", name, "leave it out")
    if name != "hf":
        for column in (DataSettings(name=name, image_column="x"), DataSettings(name=name, label_column="x")):
            check_refused(column, f"_column=x has no effect on {name}", "leave it out")


def test_readers_import_no_torch():
    modules = ", ".join(DATASETS.values())
    program = f"import sys, {modules}, ssl_aug.data.reading; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
