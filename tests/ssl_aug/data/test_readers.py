"""Every dataset reader on a tiny layout of its own, and every way in which such a layout can be wrong."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

from ssl_aug.data.build import DATASETS, load_dataset, load_split
from ssl_aug.data.cached import made_once
from ssl_aug.data.flowers102 import CLASS_NAMES as FLOWERS
from ssl_aug.data.reading import read_rgb, read_square
from ssl_aug.data.stanford_cars import crop_box
from ssl_aug.settings import DataSettings
from ssl_aug.world import toycars

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
READ_FROM_DISK = ("image_folder", "stanford_cars", "flowers102", "celeba")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_AUG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def picture(path, size=(6, 4), color=(200, 30, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)
    return path


def check_refused(data, *parts):
    """The one-line message of the refusal, which names all the parts."""
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        load_dataset(data)
    return one_line(error, *parts)


def one_line(error, *parts):
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert str(part) in message, message
    return message


def names(examples):
    return [(example.path.name, example.label) for example in examples]


# ------------------------------------------------------------------------------------------------------------
# layouts


def image_folder(root, class_names=("bee", "ant"), per_class=2):
    for part in ("train", "test"):
        for name in class_names:
            for number in range(per_class):
                picture(root / part / name / f"{number}.png")
    return DataSettings(name="image_folder", root=str(root))


def annotations(rows):
    fields = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname")
    table = np.zeros(len(rows), dtype=[(field, object) for field in fields])
    table[:] = rows
    return {"annotations": table}


def stanford_cars(root, train=None, test=None):
    folder = root / "stanford_cars"
    train = train or [
        (2, 2, 4, 3, 2, "00002.jpg"),
        (1, 1, 6, 4, 1, "00001.jpg"),
        (-3, 0, 99, 99, 2, "00003.jpg"),
    ]
    test = test or [(1, 1, 6, 4, 1, "00001.jpg"), (1, 1, 6, 4, 2, "00002.jpg")]
    (folder / "devkit").mkdir(parents=True)
    savemat(
        folder / "devkit" / "cars_meta.mat",
        {"class_names": np.array(["AM Hummer", "Acura RL"], dtype=object)},
    )
    savemat(folder / "devkit" / "cars_train_annos.mat", annotations(train))
    savemat(folder / "cars_test_annos_withlabels.mat", annotations(test))
    for part, rows in (("cars_train", train), ("cars_test", test)):
        for row in rows:
            picture(folder / part / row[-1])
    return DataSettings(name="stanford_cars", root=str(root))


def flowers102(root):
    folder = root / "flowers-102"
    folder.mkdir(parents=True)
    savemat(folder / "imagelabels.mat", {"labels": [[102, 1, 1, 2, 2, 102, 77]]})
    savemat(folder / "setid.mat", {"trnid": [[4, 1, 2]], "valid": [[7, 3]], "tstid": [[5, 6]]})
    for number in range(1, 8):
        picture(folder / "jpg" / f"image_{number:05d}.jpg")
    return DataSettings(name="flowers102", root=str(root))


def celeba(root, attribute=None):
    folder = root / "celeba"
    rows = [
        ("000001.jpg", 0, 1, -1),
        ("000002.jpg", 2, -1, -1),
        ("000003.jpg", 1, 1, 1),
        ("000004.jpg", 0, -1, 1),
    ]
    for row in rows:
        picture(folder / "img_align_celeba" / row[0])
    (folder / "list_eval_partition.txt").write_text("".join(f"{row[0]} {row[1]}\n" for row in rows))
    table = "".join(f"{row[0]} {row[2]:2d} {row[3]:2d}\n" for row in rows)
    (folder / "list_attr_celeba.txt").write_text(f"{len(rows)}\nSmiling Blond_Hair \n{table}")
    return DataSettings(name="celeba", root=str(root), attribute=attribute)


LAYOUTS = {
    "image_folder": image_folder,
    "stanford_cars": stanford_cars,
    "flowers102": flowers102,
    "celeba": celeba,
}
PARTS = {
    "image_folder": ("train", "test"),
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


# ------------------------------------------------------------------------------------------------------------
# every dataset on disk


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_is_read_is_files_and_plain_integers(name, tmp_path):
    dataset = load_dataset(LAYOUTS[name](tmp_path / "data"))
    assert dataset.name == name
    for part in (dataset.train, dataset.test):
        assert len(part) > 0
        assert all(type(label) is int and 0 <= label < len(part.class_names) for label in part.labels)
    assert all(path.is_file() for path in (*dataset.training_images, *dataset.test.paths))
    assert not set(dataset.training_images) & set(dataset.test.paths)


@pytest.mark.parametrize("name", LAYOUTS)
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
    for unset in (None, ""):
        check_refused(DataSettings(name=name, root=unset), "data.root is not set", "data.root=DIR", "SSL_AUG_DATA")


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


def test_readers_import_no_torch():
    modules = ", ".join(DATASETS.values())
    program = f"import sys, {modules}, ssl_aug.data.reading; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# ------------------------------------------------------------------------------------------------------------
# image_folder


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


# ------------------------------------------------------------------------------------------------------------
# stanford_cars


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


def test_cropped_cars_are_cut_to_their_boxes_once_and_keep_the_labeled_set(tmp_path, cache):
    data = stanford_cars(tmp_path / "data")
    cut = DataSettings(name=data.name, root=data.root, crop_to_box=True)
    whole, cropped = load_dataset(data), load_dataset(cut)
    assert [read_rgb(path).size for path in cropped.train.paths] == [(3, 2), (6, 4), (6, 4)]
    assert cropped.train.id == whole.train.id
    assert cropped.test.id == whole.test.id
    assert all(path.is_relative_to(cache) for path in (*cropped.train.paths, *cropped.test.paths))
    made = [path.stat().st_mtime_ns for path in cropped.train.paths]
    assert [path.stat().st_mtime_ns for path in load_dataset(cut).train.paths] == made
    assert len(list(cache.iterdir())) == 1


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


# ------------------------------------------------------------------------------------------------------------
# flowers102 and celeba


def test_flowers_validation_images_join_the_unlabeled_set(tmp_path):
    dataset = load_dataset(flowers102(tmp_path))
    assert names(dataset.train.examples) == [
        ("image_00004.jpg", 1),
        ("image_00001.jpg", 101),
        ("image_00002.jpg", 0),
    ]
    assert names(dataset.test.examples) == [("image_00005.jpg", 1), ("image_00006.jpg", 101)]
    assert [path.name for path in dataset.extra_unlabeled] == ["image_00007.jpg", "image_00003.jpg"]


def test_flowers_are_named_as_in_torchvision():
    from torchvision.datasets import Flowers102

    assert list(FLOWERS) == Flowers102.classes


def test_flowers_of_two_sources_are_refused(tmp_path):
    data = flowers102(tmp_path)
    folder = tmp_path / "flowers-102"
    savemat(folder / "setid.mat", {"trnid": [[8]], "valid": [[1]], "tstid": [[2]]})
    check_refused(data, folder / "setid.mat", "image 8", "1 to 7", "one source")
    savemat(folder / "imagelabels.mat", {"labels": [[1, 103]]})
    check_refused(data, folder / "imagelabels.mat", "1 to 102")


def test_faces_are_parted_as_the_list_says(tmp_path):
    dataset = load_dataset(celeba(tmp_path))
    assert dataset.class_names == ("not Smiling", "Smiling")
    assert names(dataset.train.examples) == [("000001.jpg", 1), ("000004.jpg", 0)]
    assert names(dataset.test.examples) == [("000002.jpg", 0)]
    assert [path.name for path in dataset.extra_unlabeled] == ["000003.jpg"]


def test_another_attribute_is_another_labeled_set(tmp_path):
    smiling = load_dataset(celeba(tmp_path / "data"))
    blond = load_dataset(DataSettings(name="celeba", root=str(tmp_path / "data"), attribute="Blond_Hair"))
    assert blond.class_names == ("not Blond Hair", "Blond Hair")
    assert blond.train.labels == (0, 1)
    assert blond.train.id != smiling.train.id


def test_an_attribute_that_does_not_exist_is_answered_with_those_that_do(tmp_path):
    check_refused(celeba(tmp_path, attribute="Blonde"), "data.attribute=Blonde", "choose one of Smiling, Blond_Hair")


def test_a_list_cut_short_is_named_with_its_line(tmp_path):
    data = celeba(tmp_path)
    attributes = tmp_path / "celeba" / "list_attr_celeba.txt"
    attributes.write_text(attributes.read_text()[:-4])
    check_refused(data, attributes, "line 6", "copy it again")
    attributes.write_text("".join(attributes.read_text().splitlines(keepends=True)[:-1]))
    check_refused(data, "lists 000004.jpg", "one source")


# ------------------------------------------------------------------------------------------------------------
# datasets that are made


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


# ------------------------------------------------------------------------------------------------------------
# reading


def test_every_kind_of_image_becomes_rgb(tmp_path):
    for mode, color, suffix in (
        ("L", 90, "png"), ("1", 1, "png"), ("P", 3, "png"), ("LA", (90, 255), "png"),
        ("RGBA", (9, 9, 9, 255), "png"), ("I;16", 4, "png"), ("RGB", (1, 2, 3), "webp"),
        ("CMYK", (0, 0, 0, 0), "jpg"), ("L", 90, "jpg"), ("P", 3, "gif"),
    ):  # fmt: skip
        path = tmp_path / f"{mode.replace(';', '')}.{suffix}"
        Image.new(mode, (5, 3), color).save(path)
        image = read_rgb(path)
        assert (image.mode, image.size) == ("RGB", (5, 3)), path


def test_transparency_lies_over_white(tmp_path):
    Image.new("RGBA", (2, 2), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_rgb(tmp_path / "clear.png").getpixel((0, 0)) == (255, 255, 255)
    palette = Image.new("P", (2, 2), 0)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((1, 1), 1)
    palette.save(tmp_path / "palette.png", transparency=bytes([0, 255]))
    image = read_rgb(tmp_path / "palette.png")
    assert (image.getpixel((0, 0)), image.getpixel((1, 1))) == ((255, 255, 255), (0, 0, 255))


def test_sixteen_bits_of_grey_are_scaled_not_clipped(tmp_path):
    Image.fromarray(np.array([[0, 257 * 100, 65535]], dtype=np.uint16)).save(tmp_path / "deep.png")
    assert [read_rgb(tmp_path / "deep.png").getpixel((x, 0))[0] for x in range(3)] == [0, 100, 255]


def test_a_photo_is_turned_upright(tmp_path):
    image = Image.new("RGB", (40, 20), "black")
    image.paste((255, 255, 255), (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: left is up
    image.save(tmp_path / "turned.png", exif=exif)
    upright = read_rgb(tmp_path / "turned.png")
    assert upright.size == (20, 40)
    assert (upright.getpixel((10, 5)), upright.getpixel((10, 35))) == ((255, 255, 255), (0, 0, 0))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif", "bmp", "tiff"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.9])
def test_a_truncated_image_is_named(suffix, kept, tmp_path):
    path = tmp_path / f"cut short.{suffix}"
    Image.fromarray(np.random.RandomState(0).randint(0, 255, (40, 40, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(ValueError) as error:
        read_rgb(path)
    assert one_line(error, path, "remove it or replace it").count(str(path)) == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"BM", b"II*\0"]),
)
def test_bytes_that_are_no_image_are_one_line(tmp_path_factory, content, start):
    path = tmp_path_factory.getbasetemp() / "noise.jpg"
    path.write_bytes(start + content)
    try:
        assert read_rgb(path).mode == "RGB"
    except ValueError as error:
        assert "\n" not in str(error)
        assert str(path) in str(error)


def test_an_image_that_is_gone_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        read_rgb(tmp_path / "gone.png")
    one_line(error, tmp_path / "gone.png", "put it back")
    with pytest.raises(ValueError) as not_a_file:
        read_rgb(tmp_path)
    one_line(not_a_file, tmp_path, "remove it or replace it")


@given(width=st.integers(1, 40), height=st.integers(1, 40), size_px=st.integers(1, 24))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_square_is_of_the_size_asked_for_and_keeps_a_plain_color(tmp_path_factory, width, height, size_px):
    path = picture(tmp_path_factory.getbasetemp() / "plain.png", (width, height), (10, 200, 90))
    square = read_square(path, size_px)
    assert (square.shape, square.dtype) == ((size_px, size_px, 3), np.uint8)
    assert np.all(square == (10, 200, 90))


def test_a_square_is_the_middle_of_the_picture(tmp_path):
    pixels = np.zeros((4, 8, 3), dtype=np.uint8)
    pixels[:, 2:6] = np.arange(4)[:, None, None] * 60
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    assert np.array_equal(read_square(tmp_path / "wide.png", 4), pixels[:, 2:6])
    Image.fromarray(pixels.transpose(1, 0, 2)).save(tmp_path / "tall.png")
    assert np.array_equal(read_square(tmp_path / "tall.png", 4), pixels[:, 2:6].transpose(1, 0, 2))
