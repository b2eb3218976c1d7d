"""Other libraries read our exports and live objects. `make neighbors` installs them and runs these tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssl_aug.data.reading import read_rgb
from ssl_aug.export.__main__ import main as export
from ssl_aug.export.content import Content
from ssl_aug.export.live import huggingface_dataset
from ssl_aug.export.settings import ExportSettings
from ssl_aug.export.writing import export_content
from ssl_aug.import_set import main as import_set
from tests.conftest import write_image_folder
from tests.ssl_aug.export.world import HOSTILE, labels, make_content

pytestmark = [pytest.mark.neighbors, pytest.mark.filterwarnings("ignore")]

ROOT = Path(__file__).resolve().parents[3]
LIBRARY = Path(sys.prefix) / "neighbors"  # where `make neighbors` puts semilearn, which no resolver would take


def snippet_of(folder: Path) -> str:
    """The lines that an export's README gives to load it."""
    return (folder / "README.md").read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def test_hugging_face_reads_labels_in_the_order_of_the_classes(content: Content, tmp_path: Path, offline: None) -> None:
    out = export_content(content, ExportSettings(to="hf", out=str(tmp_path / "out")))
    names: dict[str, Any] = {}
    exec(snippet_of(out), names)
    both, unlabeled, test, real = (names[name] for name in ("labeled", "unlabeled", "test", "real"))
    assert both.features["label"].names == list(HOSTILE)
    assert both["label"] == labels(content, "real", "synthetic")
    assert test["label"] == labels(content, "test")
    assert real["label"] == labels(content, "real")
    assert unlabeled["label"] == [-1] * 17
    assert content.synthetic is not None
    assert both["seed"][40:] == [int(row["seed"]) for row in content.synthetic.rows]
    for row, picture in zip(both, content.pictures("real", "synthetic"), strict=True):
        assert np.array_equal(np.asarray(row["image"]), np.asarray(read_rgb(picture.path)))


def test_hugging_face_takes_a_labeled_set_live(content: Content, offline: None) -> None:
    dataset = huggingface_dataset(content.split.test)
    assert dataset.features["label"].names == list(HOSTILE)
    assert dataset["label"] == list(content.split.test.labels)
    for row, path in zip(dataset, content.split.test.paths, strict=True):
        with Image.open(path) as image:
            assert np.array_equal(np.asarray(row["image"]), np.asarray(image))


def test_webdataset_reads_the_shards(content: Content, tmp_path: Path) -> None:
    out = export_content(content, ExportSettings(to="webdataset", out=str(tmp_path / "out")))
    names: dict[str, Any] = {}
    exec(snippet_of(out), names)
    found = list(names["labeled"])
    assert [label for _, label in found] == labels(content, "real", "synthetic")
    for (image, _), picture in zip(found, content.pictures("real", "synthetic"), strict=True):
        assert np.array_equal(np.asarray(image), np.asarray(read_rgb(picture.path)))
    assert len(list(names["unlabeled"])) == 17
    assert [label for _, label in names["test"]] == labels(content, "test")
    assert names["class_names"] == list(HOSTILE)


def test_usb_reads_the_export_and_trains_on_it_and_on_live_objects(content: Content, tmp_path: Path) -> None:
    out = export_content(content, ExportSettings(to="usb", out=str(tmp_path / "out")))
    root = write_image_folder(tmp_path / "photos", train=9)
    words = ["data=image_folder", f"data.root={root}", "data.labels_per_class=4"]
    (tmp_path / "made" / "dog").mkdir(parents=True)
    read_rgb(root / "train" / "dog" / "0.png").rotate(90).save(tmp_path / "made" / "dog" / "x.png")
    import_set([str(tmp_path / "made"), "--out", str(tmp_path / "set"), "--made-by", "rotation", *words])
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("semilearn_run.py")), str(LIBRARY), str(out), *words,
         f"synthetic.root={tmp_path / 'set'}"],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=280,
    )  # fmt: skip
    results = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert results, done.stdout[-2000:] + done.stderr[-4000:]
    said = json.loads(results[0].removeprefix("RESULT "))
    pictures = list(content.pictures("real", "synthetic"))
    assert said["labels"] == [picture.label for picture in pictures]
    assert said["pixel_sums"] == [sum(np.asarray(read_rgb(picture.path)).tobytes()) for picture in pictures]
    assert said["test_labels"] == labels(content, "test")
    assert (said["num_unlabeled"], said["num_classes"]) == (17, len(HOSTILE))
    assert said["by_readme"] == [160, 17, 20]
    assert said["live_labels"] == [0] * 4 + [1] * 4 + [2] * 4 + [1]
    assert said["live_item"] == ["idx_ulb", "x_ulb_s", "x_ulb_w"]
    assert said["fixmatch_moved"] and said["flexmatch_moved"]


@pytest.mark.parametrize(
    ("heading", "to"),
    [
        ("torchvision and its like", "folder"),
        ("Arrays: TorchSSL, FixMatch-pytorch, LAMDA-SSL, scikit-learn", "numpy"),
        ("Hugging Face datasets", "hf"),
        ("WebDataset", "webdataset"),
    ],
)
def test_the_lines_of_the_documentation_run(
    heading: str, to: str, tmp_path: Path, offline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = make_content(tmp_path / "world", ("cat", "test pilot", "ü"))
    out = export_content(content, ExportSettings(to=to, out=str(tmp_path / "out")))
    chapter = (ROOT / "docs" / "plug_in.md").read_text(encoding="utf-8").partition(f"## {heading}\n")[2]
    code = chapter.partition("```python\n")[2].partition("```")[0]
    assert "/tmp/cars" in code
    names: dict[str, Any] = {}
    exec(code.replace("/tmp/cars", str(out)), names)
    if to == "folder":
        assert Counter(names["labeled"].targets) == Counter(labels(content, "real", "synthetic"))
    elif to == "numpy":
        assert names["model"].classes_.tolist() == [0, 1, 2]
    elif to == "hf":
        assert names["real"]["label"] == labels(content, "real")
    else:
        assert [label for _, label in names["labeled"]] == labels(content, "real", "synthetic")


def test_the_class_folders_export_needs_no_library_of_ours(tmp_path: Path) -> None:
    root = write_image_folder(tmp_path / "photos", ("train", "test pilot", "ü"))
    words = ["--real-only", "data=image_folder", f"data.root={root}", "data.labels_per_class=2"]
    export(["--to", "folder", "--out", str(tmp_path / "out"), *words])
    names: dict[str, Any] = {}
    exec(snippet_of(tmp_path / "out"), names)
    assert names["labeled"].targets == [0, 0, 1, 1, 2, 2]
    assert names["class_names"] == ["test pilot", "train", "ü"]
