"""Live objects of other libraries hold what the lists hold; each library is imported when it is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from ssl_aug.data.reading import read_rgb
from ssl_aug.export.content import Content
from ssl_aug.export.live import arrays, load, sklearn_arrays, torch_dataset
from ssl_aug.import_set import main as import_set
from tests.conftest import write_image_folder

ROOT = Path(__file__).resolve().parents[3]


def test_pytorch_loads_pictures_and_labels(content: Content) -> None:
    assert content.synthetic is not None
    both = content.split.labeled.with_synthetic(content.synthetic)
    dataset = torch_dataset(both, np.array)
    assert (dataset.classes, dataset.targets) == (list(both.class_names), list(both.labels))
    loader = DataLoader(dataset, batch_size=16, num_workers=1, multiprocessing_context="spawn")
    images, labels = zip(*loader, strict=True)
    assert torch.cat(labels).tolist() == list(both.labels)
    for image, path in zip(torch.cat(images), both.paths, strict=True):
        assert np.array_equal(image.numpy(), np.asarray(read_rgb(path)))


def test_arrays_are_pixels_in_the_order_of_the_set(content: Content) -> None:
    x, y = arrays(content.split.test, 12)
    assert x.shape == (20, 12, 12, 3) and y.tolist() == list(content.split.test.labels)
    assert np.array_equal(x[3], np.asarray(read_rgb(content.split.test.paths[3])))


def test_scikit_learn_is_told_which_rows_have_no_label(content: Content) -> None:
    x, y = sklearn_arrays(content.split, 12)
    assert y.tolist() == [*content.split.labeled.labels, *[-1] * 17]
    assert x.shape == (57, 432) and x.min() >= 0 and x.max() <= 1
    assert np.allclose(x[40] * 255, np.asarray(read_rgb(content.split.unlabeled[0])).ravel())


def test_load_takes_the_words_of_the_command_line(tmp_path: Path) -> None:
    root = write_image_folder(tmp_path / "photos")
    words = ["data=image_folder", f"data.root={root}", "data.labels_per_class=2"]
    plain = load(*words, augment=False)
    assert (len(plain.labeled), len(plain.unlabeled), len(plain.test)) == (6, 9, 6)
    (tmp_path / "made" / "dog").mkdir(parents=True)
    read_rgb(root / "train" / "dog" / "0.png").rotate(90).save(tmp_path / "made" / "dog" / "x.png")
    import_set([str(tmp_path / "made"), "--out", str(tmp_path / "set"), "--made-by", "rotation", *words])
    split = load(*words, f"synthetic.root={tmp_path / 'set'}")
    assert split.labeled.examples[:6] == plain.labeled.examples
    assert [example.label for example in split.labeled.examples[6:]] == [1]


def test_live_objects_import_no_other_library_before_they_are_asked_for() -> None:
    code = "import sys, ssl_aug.export.live; print({'torch', 'datasets', 'semilearn', 'sklearn'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "set()\n"
