"""Images of any other generator become a synthetic set that a run can be given, unless they leak the test set."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssl_aug.data.build import load_split
from ssl_aug.export.__main__ import main as export
from ssl_aug.import_set import main
from ssl_aug.importing.images import import_set
from ssl_aug.importing.settings import ImportSettings
from ssl_aug.settings import DataSettings, Settings, SyntheticSettings
from ssl_aug.synthetic import open_for
from tests.conftest import write_image_folder

NAMES = ("cat", "test pilot", "ü 🚗")


@pytest.fixture
def data(tmp_path: Path) -> DataSettings:
    root = write_image_folder(tmp_path / "photos", NAMES)
    return DataSettings(name="image_folder", root=str(root), labels_per_class=2)


def made(root: Path, per_class: int = 5) -> Path:
    for label, name in enumerate(NAMES):
        (root / name).mkdir(parents=True)
        for i in range(per_class):
            pixels = np.random.default_rng([7, label, i]).integers(0, 255, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"any name {i}.png")
    return root


def imported(folder: Path, out: Path, data: DataSettings) -> ImportSettings:
    return ImportSettings(data=data, folder=str(folder), out=str(out), made_by="a test")


def test_a_run_is_given_the_imported_images_as_labeled_ones(
    tmp_path: Path, data: DataSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    synthetic = import_set(imported(made(tmp_path / "made"), tmp_path / "set", data))
    assert synthetic is not None and len(synthetic) == 15
    assert "what made these images is not known here" in capsys.readouterr().err
    _, split = load_split(data)
    settings = Settings(data=data, synthetic=SyntheticSettings(str(tmp_path / "set")))
    opened = open_for(split.labeled, settings)
    assert [example.label for example in opened.examples] == [0] * 5 + [1] * 5 + [2] * 5
    both = split.labeled.with_synthetic(opened)
    for example, original in zip(both.examples[6:], sorted((tmp_path / "made").glob("*/*.png")), strict=True):
        assert example.path.read_bytes() == original.read_bytes()
    assert len(opened.first(1)) == 6  # two of each class, as if each of its two sources had been drawn from once


def test_sources_that_are_known_are_kept(tmp_path: Path, data: DataSettings) -> None:
    folder = made(tmp_path / "made", 2)
    _, split = load_split(data)
    keys = [example.key for example in split.labeled.examples if example.label == 0]
    (folder / "sources.csv").write_text(  # as a spreadsheet saves it
        f"path;source\ncat/any name 0.png;{keys[1]}\ncat/any name 1.png;{keys[1]}\n", encoding="utf-8-sig"
    )
    synthetic = import_set(imported(folder, tmp_path / "set", data))
    assert synthetic is not None
    assert [(row["source"], row["k"]) for row in synthetic.rows[:3]] == [(keys[1], "0"), (keys[1], "1"), ("", "0")]
    (folder / "sources.csv").write_text("path,source\ncat/any name 0.png,cat/none.png\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"'cat/none.png', which is not one of the 6 labeled images"):
        import_set(imported(folder, tmp_path / "other", data))
    (folder / "sources.csv").write_text(f"path,source\n{NAMES[1]}/any name 0.png,{keys[0]}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"is of class '{NAMES[1]}', its source '{keys[0]}' of another"):
        import_set(imported(folder, tmp_path / "other", data))
    (folder / "sources.csv").write_text(f"path,source\ncat/gone.png,{keys[0]}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"names cat/gone.png, which is not in"):
        import_set(imported(folder, tmp_path / "other", data))


def test_a_copy_of_a_test_image_is_refused_whatever_its_format(tmp_path: Path, data: DataSettings) -> None:
    folder = made(tmp_path / "made", 1)
    with Image.open(Path(str(data.root)) / "test" / "cat" / "1.png") as image:
        image.save(folder / "cat" / "mine.bmp")
    with pytest.raises(ValueError, match=r"mine.bmp is a copy of the test or validation image .*cat/1.png"):
        import_set(imported(folder, tmp_path / "set", data))
    assert not (tmp_path / "set").exists()


def test_copies_of_unlabeled_images_are_counted(
    tmp_path: Path, data: DataSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(tmp_path / "made", 1)
    _, split = load_split(data)
    shutil.copy(split.unlabeled[0], folder / "cat" / "copy.png")
    import_set(imported(folder, tmp_path / "set", data))
    assert "warning: 1 images are copies of unlabeled ones" in capsys.readouterr().err


def test_an_export_of_ours_comes_back_in(tmp_path: Path, data: DataSettings) -> None:
    import_set(imported(made(tmp_path / "made"), tmp_path / "set", data))
    words = ["data=image_folder", f"data.root={data.root}", "data.labels_per_class=2"]
    export(["--to", "folder", "--out", str(tmp_path / "out"), *words, f"synthetic.root={tmp_path / 'set'}"])
    shutil.rmtree(tmp_path / "out" / "labeled_real")
    for real in (tmp_path / "out" / "labeled").glob("*/r*"):
        real.unlink()
    (tmp_path / "out" / "labeled" / "01_class").rename(tmp_path / "out" / "labeled" / "01_test-pilot")
    again = import_set(imported(tmp_path / "out" / "labeled", tmp_path / "again", data))
    assert again is not None and [example.label for example in again.examples] == [0] * 5 + [1] * 5 + [2] * 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name the folder of the images"),
        (["nowhere", "--out", "x"], "--made-by is missing"),
        (["nowhere", "--out", "x", "--made-by", "me", "--link", "soft"], "link=soft: choose one of"),
        (["--into", "x"], "--into: there is no such flag"),
        (["nowhere", "--out", "x", "--made-by", "me", "nosuch=1"], "nosuch: there is no such setting"),
    ],
)
def test_wrong_words_are_named(words: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        main(words)


def test_wrong_folders_are_named(tmp_path: Path, data: DataSettings) -> None:
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        import_set(imported(tmp_path / "nowhere", tmp_path / "set", data))
    folder = made(tmp_path / "made", 1)
    (folder / "cat").rename(folder / "cats")
    with pytest.raises(ValueError, match="cats: the data have no class of this name; theirs are 'cat'"):
        import_set(imported(folder, tmp_path / "set", data))
    (folder / "cats").rename(folder / "cat")
    (tmp_path / "set").mkdir()
    with pytest.raises(FileExistsError, match="exists already"):
        import_set(imported(folder, tmp_path / "set", data))
