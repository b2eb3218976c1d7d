"""data=hf reads what Hugging Face datasets writes."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssl_aug import load
from ssl_aug.data.base import Dataset
from ssl_aug.data.build import load_dataset, load_split
from ssl_aug.settings import DataSettings
from tests.conftest import contents
from tests.ssl_aug.data.layouts import check_refused, picture

pytestmark = [pytest.mark.neighbors, pytest.mark.filterwarnings("ignore")]

NAMES = ["wren", "auk", "tit"]
FORMATS = ("JPEG", "PNG", "WEBP")
SUFFIXES = (".jpg", ".png", ".webp")


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own, and no network: whoever asks for it fails."""
    monkeypatch.setenv("SSL_AUG_CACHE", str(tmp_path / "cache"))

    def refuse(*_: Any) -> Any:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def image_bytes(number: int, part: str = "train") -> bytes:
    """A picture that no other one equals, in one of three formats."""
    pixels = np.random.default_rng([number, len(part)]).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, FORMATS[number % 3])
    return file.getvalue()


def table(labels: list[Any], part: str = "train", label: Any = None, column: str = "label", **more: Any) -> Any:
    """A `datasets.Dataset` of such pictures; `label` is the feature of its labels."""
    import datasets

    features = {"image": datasets.Image(), column: label or datasets.ClassLabel(names=NAMES)}
    columns = {
        "image": [{"bytes": image_bytes(number, part), "path": None} for number in range(len(labels))],
        column: labels,
    }
    features |= {name: feature for name, (feature, _) in more.items()}
    columns |= {name: values for name, (_, values) in more.items()}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


def saved(folder: Path, **splits: Any) -> Path:
    import datasets

    datasets.DatasetDict(splits).save_to_disk(str(folder))
    return folder


def read(root: Path, **settings: Any) -> Dataset:
    return load_dataset(DataSettings("hf", str(root), None, **settings))


LABELS = [2, 0, 1, 0, 2, 1, -1, None]


def splits() -> dict[str, Any]:
    return {"train": table(LABELS), "validation": table([1, 2], "val"), "test": table([0, 1, 2], "held out"),
            "unlabeled": table([-1] * 4, "rest").remove_columns("label")}  # fmt: skip


def require_whole(dataset: Dataset) -> None:
    """The dataset of `splits`."""
    assert dataset.class_names == tuple(NAMES)
    assert dataset.train.labels == tuple(LABELS[:6]) and dataset.test.labels == (0, 1, 2)
    assert dataset.validation is not None and dataset.validation.labels == (1, 2)
    for number, path in enumerate(dataset.train.paths):
        assert path.read_bytes() == image_bytes(number) and path.suffix == SUFFIXES[number % 3]
    rest = [image_bytes(6), image_bytes(7), *(image_bytes(number, "rest") for number in range(4))]
    assert [path.read_bytes() for path in dataset.extra_unlabeled] == rest
    assert dataset.notes == ()


def test_what_save_to_disk_wrote_is_read_byte_for_byte(tmp_path: Path) -> None:
    dataset = read(saved(tmp_path / "saved", **splits()))
    require_whole(dataset)
    assert read(tmp_path / "saved") == dataset


def test_parquet_files_of_the_hub_are_read_byte_for_byte(tmp_path: Path) -> None:
    for name, each in splits().items():
        (tmp_path / "hub" / "data").mkdir(parents=True, exist_ok=True)
        each.to_parquet(str(tmp_path / "hub" / "data" / f"{name}-00000-of-00001.parquet"))
    (tmp_path / "hub" / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n"
        + "".join(f"  - split: {name}\n    path: data/{name}-*\n" for name in splits())
        + "---\n"
    )
    dataset = read(tmp_path / "hub")
    require_whole(dataset)
    assert [len(part) for part in (dataset.train, dataset.test, dataset.extra_unlabeled)] == [6, 3, 6]


def test_parquet_is_read_across_files_and_few_rows_at_once(tmp_path: Path) -> None:
    labels = [number % 3 for number in range(50)]
    (tmp_path / "hub").mkdir()
    for number, rows in enumerate((range(30), range(30, 50))):
        table(labels).select(rows).to_parquet(str(tmp_path / "hub" / f"train-{number:05d}-of-00002.parquet"))
    dataset = read(tmp_path / "hub")
    assert dataset.train.labels == tuple(labels)
    assert [path.read_bytes() for path in dataset.train.paths] == [image_bytes(number) for number in range(50)]


def test_parquet_of_another_program_is_read(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow.parquet import write_table

    rows = {"image": [{"bytes": image_bytes(i), "path": f"{i}.jpg"} for i in range(4)], "label": ["b", "a", "b", None]}
    (tmp_path / "plain").mkdir()
    write_table(pyarrow.table(rows), tmp_path / "plain" / "train.parquet")
    dataset = read(tmp_path / "plain")
    assert (dataset.class_names, dataset.train.labels) == (("a", "b"), (1, 0, 1))
    assert dataset.extra_unlabeled[0].read_bytes() == image_bytes(3)


def test_an_imagefolder_is_read(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for label, name in enumerate(("cat", "dog")):
            picture(tmp_path / "photos" / part / name / "0.png", color=(label, 0, 0))
    dataset = read(tmp_path / "photos")
    assert (dataset.class_names, dataset.train.labels, dataset.test.labels) == (("cat", "dog"), (0, 1), (0, 1))
    assert dataset.train.paths[1].read_bytes() == (tmp_path / "photos/train/dog/0.png").read_bytes()


def test_one_dataset_alone_is_the_training_images_whatever_its_format(tmp_path: Path) -> None:
    import datasets

    labels = ["b", "a", "b", "", "a"]
    one = table(labels, label=datasets.Value("string"), column="species", size=(datasets.Value("float32"), [1.0] * 5))
    one.with_format("numpy", columns=["size"]).save_to_disk(str(tmp_path / "one"))
    dataset = read(tmp_path / "one")
    assert (dataset.class_names, dataset.train.labels) == (("a", "b"), (1, 0, 1, 0))
    assert len(dataset.extra_unlabeled) == 1 and not dataset.test.examples


def test_of_several_columns_settings_choose(tmp_path: Path) -> None:
    import datasets

    coarse = datasets.ClassLabel(names=["x", "y"])
    root = saved(
        tmp_path / "two",
        train=table([0, 1, 2], column="fine_label", coarse_label=(coarse, [1, 0, 1])),
    )
    check_refused(DataSettings("hf", str(root)), "'fine_label', 'coarse_label'", "data.label_column=fine_label")
    assert read(root, label_column="fine_label").class_names == tuple(NAMES)
    assert read(root, label_column="coarse_label").train.labels == (1, 0, 1)
    none = saved(tmp_path / "none", train=table([0, 1], label=datasets.Value("int64"), column="age"))
    check_refused(DataSettings("hf", str(none)), "image (images), age (names or numbers)", "data.label_column=COLUMN")
    assert read(none, label_column="age").class_names == ("0", "1")
    bare = saved(tmp_path / "bare", train=table([0, 1]).remove_columns("image"))
    check_refused(DataSettings("hf", str(bare)), "no column is known to hold images")
    lists = saved(tmp_path / "lists", train=table([[0], [1, 2]], label=datasets.List(datasets.ClassLabel(names=NAMES))))
    check_refused(DataSettings("hf", str(lists)), "no column is known to hold labels", "label (something else)")


def test_splits_that_do_not_fit_are_named(tmp_path: Path) -> None:
    import datasets

    check_refused(DataSettings("hf", str(saved(tmp_path / "a", test=table([0, 1])))), "none of its splits (test)")
    both = saved(tmp_path / "b", val=table([0]), dev=table([1]), train=table([0, 1]))
    check_refused(DataSettings("hf", str(both)), "the splits val and dev are both validation images")
    empty = saved(tmp_path / "c", train=table([0, 1]), test=table([]))
    check_refused(DataSettings("hf", str(empty)), "the split test has no rows")
    other = datasets.ClassLabel(names=NAMES[::-1])
    order = saved(tmp_path / "d", train=table([0, 1]), test=table([0], label=other))
    check_refused(DataSettings("hf", str(order)), "the classes of test are not those of train")
    lacks = saved(tmp_path / "e", train=table([0, 1]), test=table([0]).remove_columns("label"))
    check_refused(DataSettings("hf", str(lacks)), "the split test has no column label")
    more = saved(tmp_path / "f", train=table([0, 1, 2]), extra=table([0, 1]))
    assert "left out the splits 'extra'" in read(more).notes[0]


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)})
    for bad, said in ((b"no image", "the image of train[1] cannot be read"), (None, "train[1] has no image")):
        images = [{"bytes": image_bytes(0), "path": None}, bad and {"bytes": bad, "path": None}]
        root = tmp_path / said.replace(" ", "-")
        saved(root, train=datasets.Dataset.from_dict({"image": images, "label": [0, 1]}, features=features))
        check_refused(DataSettings("hf", str(root)), said)


def test_nothing_is_fetched_and_no_script_is_run(tmp_path: Path) -> None:
    hub, ran = tmp_path / "hub", tmp_path / "ran"
    (hub / "data").mkdir(parents=True)
    table([0, 1]).to_parquet(str(hub / "data" / "train.parquet"))
    (hub / "hub.py").write_text(f"open({str(ran)!r}, 'w')\n")
    check_refused(DataSettings("hf", str(hub)), f"data.root={hub} cannot be opened", "scripts")
    assert not ran.exists()
    (hub / "hub.py").unlink()
    (hub / "README.md").write_text(
        "---\nconfigs:\n- config_name: a\n  data_files: https://example.com/a.parquet\n---\n"
    )
    check_refused(DataSettings("hf", str(hub)), "README.md names files that lie elsewhere", "nothing is fetched")


def test_an_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        picture(tmp_path / "photos" / "train" / name / "0.png")
    (tmp_path / "packed").mkdir()
    shutil.make_archive(str(tmp_path / "packed" / "train"), "zip", tmp_path / "photos" / "train")
    check_refused(DataSettings("hf", str(tmp_path / "packed")), "train.zip is an archive: unpack it")


def test_folders_that_are_none_are_named(tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("words\n")
    check_refused(DataSettings("hf", str(tmp_path / "text")), "no column is known to hold images")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.xyz").write_bytes(b"")
    check_refused(DataSettings("hf", str(tmp_path / "other")), f"data.root={tmp_path / 'other'} cannot be opened")
    root = saved(tmp_path / "torn", train=table([0, 1]))
    arrow = next(root.rglob("*.arrow"))
    arrow.write_bytes(arrow.read_bytes()[:300])
    check_refused(DataSettings("hf", str(root)), tmp_path / "torn")
    pointer = tmp_path / "cloned" / "train.parquet"
    pointer.parent.mkdir()
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    check_refused(DataSettings("hf", str(pointer.parent)), f"{pointer} is a Git LFS pointer", "git lfs pull")


def test_it_writes_nowhere_but_into_its_cache(tmp_path: Path) -> None:
    root = saved(tmp_path / "saved", **splits())
    table([0, 1]).to_parquet(str(tmp_path / "hub.parquet"))
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub.parquet").rename(tmp_path / "hub" / "train.parquet")
    before = {folder: contents(folder) for folder in (root, tmp_path / "hub")}
    code = (
        "import sys; from ssl_aug.data.build import load_split; from ssl_aug.settings import DataSettings\n"
        "for root in sys.argv[1:]: load_split(DataSettings('hf', root, None))"
    )
    home = tmp_path / "home"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, before)], capture_output=True, text=True,
        env={**os.environ, "HOME": str(home), "HF_HOME": str(home / "hf")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not home.exists() and {folder: contents(folder) for folder in before} == before


def test_a_dataset_at_hand_goes_in_by_its_columns() -> None:
    train = table([0, 1, 2, 0])
    data = load(train["image"], train["label"], class_names=train.features["label"].names, labels_per_class=None)
    assert (data.class_names, data.labeled.labels) == (tuple(NAMES), (0, 1, 2, 0))
    with pytest.raises(ValueError, match=r"item 0 is a dict with 'image', 'label', .*load\(data\['image'\]"):
        load(train)


def test_a_few_labels_are_drawn_as_from_every_dataset(tmp_path: Path) -> None:
    root = saved(tmp_path / "saved", train=table([number % 3 for number in range(12)]))
    _, split = load_split(DataSettings("hf", str(root), 2))
    assert (len(split.labeled), len(split.unlabeled)) == (6, 6)
