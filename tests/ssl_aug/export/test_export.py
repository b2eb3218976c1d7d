"""Every target gives back exactly what went in, and the readers of other libraries see the same."""

from __future__ import annotations

import csv
import gc
import json
import os
import tracemalloc
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from ssl_aug.data.base import LabeledSet
from ssl_aug.data.reading import read_rgb
from ssl_aug.data.split import draw_labeled
from ssl_aug.export.__main__ import main
from ssl_aug.export.content import PARTS, Content
from ssl_aug.export.folder import folder_name
from ssl_aug.export.lists import replay
from ssl_aug.export.settings import TARGETS, ExportSettings
from ssl_aug.export.writing import MODULES, check, export_content
from tests.conftest import write_image_folder
from tests.ssl_aug.export.world import HOSTILE, labels, make_content, save_picture


def exported(content: Content, to: str, out: Path, **options: Any) -> Path:
    return export_content(content, ExportSettings(to=to, out=str(out), **options))


@pytest.mark.parametrize("to", TARGETS)
def test_what_is_read_back_is_what_was_written(to: str, content: Content, tmp_path: Path) -> None:
    settings = ExportSettings(to=to, out=str(tmp_path / "out"), check=True)
    out = export_content(content, settings)
    assert json.loads((out / "classes.json").read_text(encoding="utf-8")) == list(HOSTILE)
    with (out / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["part"] for row in rows] == [p.part for p in content.pictures(*PARTS)]
    drawn = [row for row in rows if row["part"] == "synthetic"]
    assert content.synthetic is not None
    assert [(row["source"], row["k"], row["seed"]) for row in drawn] == [
        (row["source"], row["k"], row["seed"]) for row in content.synthetic.rows
    ]
    assert {row["class_name"] for row in drawn} == set(HOSTILE)


@pytest.mark.parametrize("to", TARGETS)
def test_the_check_sees_other_labels_other_pixels_and_missing_images(to: str, content: Content, tmp_path: Path) -> None:
    out = exported(content, to, tmp_path / "out")
    examples = content.split.test.examples
    relabeled = (replace(examples[0], label=1), *examples[1:])
    swapped = (replace(examples[0], path=examples[1].path), *examples[1:])
    for changed in (relabeled, swapped, examples[1:], (*examples, examples[0])):
        test = LabeledSet(changed, content.class_names)
        with pytest.raises(ValueError, match=r"came back as another|images than the data"):
            check(replace(content, split=replace(content.split, test=test)), out)
    names = (*HOSTILE[1:], HOSTILE[0])
    renamed = replace(content.split, labeled=LabeledSet(content.split.labeled.examples, names))
    with pytest.raises(ValueError, match="order"):
        check(replace(content, split=renamed), out)


@pytest.mark.parametrize("to", TARGETS)
def test_without_synthetic_images_none_is_written(to: str, content: Content, tmp_path: Path) -> None:
    real = replace(content, synthetic=None)
    out = export_content(real, ExportSettings(to=to, out=str(tmp_path / "out"), real_only=True, check=True))
    facts = json.loads((out / "export.json").read_text())
    assert (facts["counts"]["synthetic"], facts["synthetic_set_id"]) == (0, None)


@pytest.mark.parametrize("to", TARGETS)
def test_where_no_images_choose_nothing_speaks_of_them(to: str, content: Content, tmp_path: Path) -> None:
    without = replace(content, split=replace(content.split, validation=None))
    out = export_content(without, ExportSettings(to=to, out=str(tmp_path / "out"), check=True))
    assert "validation" not in (out / "README.md").read_text(encoding="utf-8")
    assert not [path for path in out.rglob("*") if path.stem in ("val", "validation")]
    assert "validation" not in json.loads((out / "export.json").read_text(encoding="utf-8"))["counts"]


@pytest.mark.parametrize("to", TARGETS)
def test_a_folder_that_is_there_is_refused_and_left_alone(to: str, content: Content, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError, match="exists already: name a new folder"):
        exported(content, to, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


@pytest.mark.parametrize("to", TARGETS)
def test_an_export_that_fails_leaves_nothing(to: str, content: Content, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no picture")
    split = replace(content.split, unlabeled=(*content.split.unlabeled, tmp_path / "bad.png"))
    with pytest.raises(ValueError, match=r"bad\.png cannot be read as an image"):
        exported(replace(content, split=split), to, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [tmp_path / "bad.png"]


@pytest.mark.parametrize("to", TARGETS)
def test_paths_are_safe_for_every_reader(to: str, content: Content, tmp_path: Path) -> None:
    out = exported(content, to, tmp_path / "out")
    paths = [path.relative_to(out) for path in out.rglob("*") if path.is_file()]
    for path in paths:
        text = str(path)
        assert text.isascii() and not any(character.isspace() for character in text)
        assert path.suffix == path.suffix.lower()
    for path in out.rglob("*.png"):
        with Image.open(path) as image:
            assert image.mode == "RGB"


# ---------------------------------------------------------------------------------------------------------------------
# torchvision's layout


def test_torchvision_reads_the_folders_in_the_order_of_the_classes(content: Content, tmp_path: Path) -> None:
    out = exported(content, "folder", tmp_path / "out")
    both, real, test = (ImageFolder(out / name) for name in ("labeled", "labeled_real", "test"))
    assert Counter(both.targets) == Counter(labels(content, "real", "synthetic"))
    assert real.targets == labels(content, "real")
    assert test.targets == labels(content, "test")
    for (path, _), picture in zip(real.samples, content.pictures("real"), strict=True):
        assert np.array_equal(np.asarray(Image.open(path)), np.asarray(read_rgb(picture.path)))
    assert len(ImageFolder(out / "unlabeled")) == 17


def test_no_class_folder_bears_the_name_of_a_split() -> None:
    names = ("train", "test pilot", "my validation", "tractor", "testarossa", "dev-board")
    folders = [folder_name(label, names) for label in range(len(names))]
    assert folders == ["00_class", "01_class", "02_class", "03_tractor", "04_testarossa", "05_class"]


def test_a_class_without_test_images_is_refused_by_name(content: Content, tmp_path: Path) -> None:
    test = LabeledSet(content.split.test.examples[2:], content.class_names)
    lacking = replace(content, split=replace(content.split, test=test))
    with pytest.raises(ValueError, match="class 'train' has no test images, and ImageFolder refuses"):
        exported(lacking, "folder", tmp_path / "out")
    exported(lacking, "lists", tmp_path / "lists", check=True)


@pytest.mark.parametrize("link", ["hard", "symbolic"])
def test_links_lead_to_the_files_and_others_are_written_anew(link: str, content: Content, tmp_path: Path) -> None:
    out = exported(content, "folder", tmp_path / "out", link=link, check=True)
    linked = 0
    for picture in content.pictures("test"):
        assert picture.label is not None
        place = out / "test" / folder_name(picture.label, content.class_names) / f"{picture.stem}.png"
        with Image.open(picture.path) as image:
            plain = image.mode == "RGB"
        is_link = place.is_symlink() if link == "symbolic" else place.stat().st_nlink > 1
        assert is_link == plain
        if plain:
            assert place.samefile(picture.path)
        linked += plain
    assert 0 < linked < 20


def test_a_hard_link_to_another_disk_says_what_else_there_is(
    content: Content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(ValueError, match=r"--link hard: .*Invalid cross-device link.* use --link copy or symbolic"):
        exported(content, "lists", tmp_path / "out", link="hard")


# ---------------------------------------------------------------------------------------------------------------------
# lists


def image_list(root: Path, list_file: Path) -> list[tuple[str, int]]:
    """TLlib's documented rule, written from its description alone."""
    samples = []
    for line in list_file.read_text().splitlines():
        *words, label = line.split()
        path = " ".join(words)
        samples.append((path if path.startswith("/") else f"{root}/{path}", int(label)))
    return samples


def pixels_of(paths: list[Path]) -> list[bytes]:
    return [np.asarray(read_rgb(path)).tobytes() for path in paths]


def test_an_independent_reader_gets_the_exact_sets_from_the_lists(content: Content, tmp_path: Path) -> None:
    out = exported(content, "lists", tmp_path / "with blank" / "out")
    parts = {
        "labeled": ("real", "synthetic"), "labeled_real": ("real",), "labeled_synthetic": ("synthetic",),
        "unlabeled": ("unlabeled",), "test": ("test",),
    }  # fmt: skip
    for name, own in parts.items():
        found = image_list(out, out / f"{name}.txt")
        pictures = list(content.pictures(*own))
        assert [label for _, label in found] == [picture.label or 0 for picture in pictures]
        assert pixels_of([Path(path) for path, _ in found]) == pixels_of([picture.path for picture in pictures])


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 1234])
def test_the_replayed_draw_picks_exactly_the_wanted_lines(seed: int, content: Content, tmp_path: Path) -> None:
    out = exported(content, "lists", tmp_path / "out", tllib_seed=seed)
    root = out / "tllib"
    assert {path.name for path in root.iterdir()} == {"train", "test", "image_list"}
    lines = image_list(root, root / "image_list" / "train_100.txt")
    drawn = draw_labeled([label for _, label in lines], len(HOSTILE), 4 * (1 + 3), seed)
    real_path = os.path.realpath
    wanted = {(real_path(path), label) for path, label in image_list(out, out / "labeled.txt")}
    assert {(real_path(lines[i][0]), lines[i][1]) for i in drawn} == wanted
    rest = {real_path(lines[i][0]) for i in set(range(len(lines))) - set(drawn)}
    assert rest == {real_path(path) for path, _ in image_list(out, out / "unlabeled.txt")}
    other = draw_labeled([label for _, label in lines], len(HOSTILE), 16, seed + 1)
    assert {(real_path(lines[i][0]), lines[i][1]) for i in other} != wanted


def test_the_replay_holds_for_many_classes_and_unlabeled_images() -> None:
    labeled = [(f"l{label}-{i}", label) for i in range(10) for label in range(196)]
    unlabeled = [f"u{i}" for i in range(7000)]
    lines = list(replay(labeled, unlabeled, len(unlabeled), 196, seed=0))
    drawn = draw_labeled([label for _, label in lines], 196, 10, seed=0)
    assert {lines[i] for i in drawn} == set(labeled)
    assert [lines[i][0] for i in sorted(set(range(len(lines))) - set(drawn))] == unlabeled


def test_classes_of_different_size_have_no_replay(content: Content, tmp_path: Path) -> None:
    labeled = LabeledSet(content.split.labeled.examples[1:], content.class_names)
    out = exported(replace(content, split=replace(content.split, labeled=labeled)), "lists", tmp_path / "out")
    assert not (out / "tllib").exists()
    assert "these classes differ in size" in (out / "README.md").read_text()


# ---------------------------------------------------------------------------------------------------------------------
# usb, numpy


def test_usb_lines_have_two_columns_and_absolute_paths(content: Content, tmp_path: Path) -> None:
    out = exported(content, "usb", tmp_path / "out")
    for variant, own in (("augmented", ("real", "synthetic")), ("real", ("real",))):
        root = out / variant / "semi_fgvc" / "semi_aves"
        lines = (root / "l_train_val.txt").read_text().splitlines()
        assert [int(line.split()[1]) for line in lines] == labels(content, *own)
        assert all(len(line.split()) == 2 and Path(line.split()[0]).is_absolute() for line in lines)
        assert (root / "u_train_in.txt").read_bytes() == (root / "u_train_in_oracle.txt").read_bytes()
        assert f"data_dir: {out / variant}\n" in (out / f"fixmatch_{variant}.yaml").read_text()


def test_usb_refuses_a_folder_with_a_blank_in_its_path(content: Content, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="USB cuts its lines at blanks"):
        exported(content, "usb", tmp_path / "a b")


def test_the_arrays_say_which_image_each_was_drawn_from(content: Content, tmp_path: Path) -> None:
    out = exported(content, "numpy", tmp_path / "out", size=8)
    assert content.synthetic is not None
    with np.load(out / "data.npz") as data:
        assert data["x_lb"].shape == (160, 8, 8, 3) and data["x_lb"].dtype == np.uint8
        assert data["y_lb"].tolist() == labels(content, "real", "synthetic")
        assert data["is_synthetic"].tolist() == [False] * 40 + [True] * 120
        assert data["classes"].tolist() == list(HOSTILE)
        keys = [example.key for example in content.split.labeled.examples]
        assert [keys[i] for i in data["source_index"][40:]] == [row["source"] for row in content.synthetic.rows]
        assert data["source_index"][:40].tolist() == list(range(40))
        assert (data["y_lb"][data["source_index"]] == data["y_lb"]).all()


def test_scikit_learn_learns_from_the_arrays(tmp_path: Path) -> None:
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.semi_supervised import SelfTrainingClassifier

    content = make_content(tmp_path / "world", ("cat", "dog", "eel"))
    with np.load(exported(content, "numpy", tmp_path / "out") / "data.npz") as data:
        x = np.concatenate([data["x_lb"], data["x_ulb"]]).reshape(len(data["x_lb"]) + 17, -1) / 255
        y = np.concatenate([data["y_lb"], np.full(17, -1)])
        model = SelfTrainingClassifier(KNeighborsClassifier(1)).fit(x, y)
        assert model.classes_.tolist() == [0, 1, 2]
        assert (model.predict(data["x_lb"].reshape(len(data["x_lb"]), -1) / 255) == data["y_lb"]).all()


# ---------------------------------------------------------------------------------------------------------------------
# the command line


def test_the_command_exports_the_real_images_of_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = write_image_folder(tmp_path / "photos", ("test pilot", "train", "ü"))
    words = ["--to", "lists", "--out", "a b", "--real-only", "--check", "data=image_folder", f"data.root={root}"]
    main([*words, "data.labels_per_class=2"])
    said = capsys.readouterr().out
    assert "6 real, 0 synthetic, 9 unlabeled, 6 test images, 3 classes" in said
    assert "6 labeled images are less than a batch of 32" in said
    assert "read back, 21 images" in said
    assert (tmp_path / "a b" / "README.md").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "x"], "--to is missing: choose one of folder, lists"),
        (["--to", "tfrecord", "--out", "x"], "to=tfrecord: choose one of folder, lists"),
        (["--to", "lists"], "--out is missing"),
        (["--to", "lists", "--out", "x", "--link", "soft"], "link=soft: choose one of copy, hard, symbolic"),
        (["--to", "numpy", "--out", "x", "--link", "hard"], "--link hard has no effect on --to numpy"),
        (["--to", "hf", "--out", "x", "--size", "32"], "--size 32 has no effect on --to hf"),
        (["--to", "hf", "--out", "x", "--tllib-seed", "3"], "--tllib-seed 3 has no effect on --to hf"),
        (["--to", "hf", "--out", "x", "--reel-only"], "--reel-only: there is no such flag"),
    ],
)
def test_wrong_words_are_named(words: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        main(words)


def test_every_target_has_its_file() -> None:
    assert {target: module.__name__ for target, module in MODULES.items()} == {
        target: f"ssl_aug.export.{target}" for target in TARGETS
    }


@pytest.mark.parametrize("to", TARGETS)
def test_images_stream_memory_does_not_grow_with_their_number(to: str, content: Content, tmp_path: Path) -> None:
    path = save_picture(tmp_path / "large.png", 0, 0, size=96)  # 27,648 bytes of pixels

    def peak_bytes(count: int) -> int:
        many = replace(content, split=replace(content.split, unlabeled=(path,) * count))
        gc.collect()
        gc.freeze()  # all that the test session holds by now: else cycles pile up until it has grown by a quarter
        tracemalloc.start()
        try:
            exported(many, to, tmp_path / f"out-{count}", **({"size": 96} if to == "numpy" else {}))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak_bytes(10)  # imports
    few, many = peak_bytes(50), peak_bytes(450)
    assert many - few < 400 * 27_648 / 8
