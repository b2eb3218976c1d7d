"""A folder of photos as people have it, training images alone, through every command."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.run import main as benchmark
from ssl_aug import evaluate as evaluate_module
from ssl_aug import generate as generate_module
from ssl_aug import tune as tune_module
from ssl_aug.data.base import Example, LabeledSet
from ssl_aug.drawing.foretold import refuse_nothing_to_borrow
from ssl_aug.export.__main__ import main as export
from ssl_aug.export.live import load
from ssl_aug.files import read_json
from ssl_aug.settings import Settings
from tests.conftest import write_image_folder

LINE = "image_folder: 3 classes, 11 labeled, 0 unlabeled, 0 validation, 0 test images\n"


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Classes of 5, 5 and 1 images, no test/."""
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos", test=0)
    shutil.rmtree(tmp_path / "photos" / "test")
    for number in range(1, 5):
        (tmp_path / "photos" / "train" / "eel" / f"{number}.png").unlink()
    return ["data=image_folder", "data.root=photos", "generator=noise", "device=cpu", "precision=fp32"]


def test_generate_evaluate_and_export_need_no_test_images(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [*words, "per_sample=2"]
    generate_module.main(asked)
    said = capsys.readouterr()
    assert said.err.startswith(LINE) and "22 images in outputs/synthetic/image_folder-all-split0-noise-" in said.out
    (card,) = (tmp_path / "outputs" / "synthetic").glob("*/README.md")
    assert "# Synthetic images for image_folder, all labels\n" in card.read_text()
    evaluate_module.main([*asked, "out=figures"])
    said = capsys.readouterr()
    assert said.err.count(LINE) == 1
    assert "no test images" in said.out and "real test images" not in said.out
    assert [row["set"] for row in read_json(tmp_path / "figures" / "evaluation.json")["rows"]] == ["synthetic"]


@pytest.mark.parametrize("to", ["folder", "lists", "usb", "numpy", "hf", "webdataset"])
def test_every_export_does_without_test_images(
    to: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export([*words[:2], "--real-only", "--check", f"--to={to}", "--out=out"])
    said = capsys.readouterr()
    assert said.err.startswith(LINE) and "0 unlabeled, 0 test images" in said.out
    assert "image_folder, all labels, split 0" in (tmp_path / "out" / "README.md").read_text()


def test_tune_does_without_test_images(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    tune_module.main([*words[:2], *words[3:], "generator=embedded", "--dry-run"])
    said = capsys.readouterr()
    assert LINE in said.err and said.out.startswith("would tune on 11 images")


def test_the_benchmark_says_what_to_add(words: list[str]) -> None:
    asked = [*words[:2], *words[3:], "model=tiny", "--dry-run"]
    with pytest.raises(ValueError, match=r"no test images, .*test/<class>/ beside train/"):
        benchmark([*asked, "method=erm"])
    with pytest.raises(ValueError, match=r"leaves none: give data.labels_per_class=4 or another number, add unlabeled"):
        benchmark([*asked, "method=fixmatch"])


def test_of_several_processes_the_first_alone_tells(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, told in (("1", ""), ("0", LINE)):
        monkeypatch.setenv("RANK", rank)
        load(*words, augment=False)
        assert capsys.readouterr().err == told


def test_borrowing_looks_at_the_images_that_are_there() -> None:
    def labeled(*labels: int) -> LabeledSet:
        return LabeledSet(tuple(Example(Path(f"{i}.png"), label) for i, label in enumerate(labels)), ("cat", "dog"))

    borrowed, image = Settings().sampling(), Settings(condition="image").sampling()
    refuse_nothing_to_borrow(borrowed, labeled(0, 0, 1))  # the only dog lends nothing, and borrows from the cats
    refuse_nothing_to_borrow(image, labeled(0, 1))
    with pytest.raises(ValueError, match=r"no class has more than one: give condition=image"):
        refuse_nothing_to_borrow(borrowed, labeled(0, 1))
