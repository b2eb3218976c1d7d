"""A finished set's folder stands for all settings that it was drawn with."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ssl_aug.command_line import compose
from ssl_aug.files import write_json
from ssl_aug.settings import Settings, deciding_pictures
from ssl_aug.synthetic import PLACES, places_of, with_words_of_set, word_of, write_manifest
from ssl_aug.words import values_of


def write_set(folder: Path, settings: Settings, **more: Any) -> Path:
    """What a set's folder says of these settings, two drawings of each labeled image."""
    record = {"labeled_set_id": "id", **deciding_pictures(settings), "batch_size": 3, "seed": 7}
    write_json(folder / "generator.json", {**record, PLACES: places_of(settings), **more})
    write_manifest(
        folder / "manifest.csv", [{"path": f"{k}.png", "label": "0", "k": str(k), "sha256": 64 * "0"} for k in range(2)]
    )
    return folder


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["mask_rate=0.3"],
        ["guidance=3", "condition=image", "seed=3"],
        ["experiment=sd15", "generator.image_size=64"],
        [
            "experiment=sd15",
            "condition=image+class",
            "tune.condition_dropout=0.1",
            "class_prompt='it\\'s a {class}, \"big\"'",
        ],
        ["experiment=paper"],
        ["experiment=smoke"],
        ["data.subset=30", "data.split_seed=2", "tune.base_learning_rate=1e-7", "tune.ema_decay=0.9"],
        ["tune.approach=anl_unconditional"],
        ["tune.approach=scratch", "condition=image"],
        ["prompt='a red, \"fast\" car'"],
        ["data=celeba", "data.attribute=Young", "generator=ldm", "generator.tokens=patches"],
        ["strength=0.4", "class_means=null", "generator.fold=false"],
    ],
)
def test_the_folder_says_what_all_words_said(words: list[str], tmp_path: Path) -> None:
    asked = compose("generate", words, Settings)
    folder = write_set(tmp_path / "a set", asked)
    found = with_words_of_set([word_of("synthetic.root", str(folder))])
    again = compose("generate", found, Settings)
    assert deciding_pictures(again) == deciding_pictures(asked)
    assert (again.per_sample, again.synthetic.root, again.seed) == (2, str(folder), 0)
    drawing = compose("generate", with_words_of_set([word_of("synthetic.root", str(folder))], draws=True), Settings)
    assert (drawing.seed, drawing.batch_size) == (7, 3)
    # the same words once more agree, with a set's own recipe or without
    assert deciding_pictures(
        compose("generate", with_words_of_set([*words, found[-1]]), Settings)
    ) == deciding_pictures(asked)


@pytest.mark.parametrize("experiment", ["paper", "smoke", "sd15", "demo"])
def test_an_experiment_beside_the_folder_changes_no_drawing(experiment: str, tmp_path: Path) -> None:
    asked = compose("generate", ["condition=image", "steps=7"], Settings)
    words = [f"experiment={experiment}", f"synthetic.root={write_set(tmp_path / 'set', asked)}"]
    assert deciding_pictures(compose("generate", with_words_of_set(words), Settings)) == deciding_pictures(asked)


@pytest.mark.parametrize(
    ("word", "there"),
    [
        ("data=digits", "data=toycars"),
        ("data.labels_per_class=3", "data.labels_per_class=4"),
        ("generator=noise", "generator=embedded"),
        ("mask_rate=0.5", "mask_rate=0.0"),
        ("prompt='a b'", "prompt=null"),
    ],
)
def test_a_word_that_says_something_else_is_refused(word: str, there: str, tmp_path: Path) -> None:
    root = f"synthetic.root={write_set(tmp_path / 'set', compose('generate', [], Settings))}"
    with pytest.raises(ValueError, match=rf"holds a set with {there}, asked for is {word}: leave the word out"):
        with_words_of_set([word, root])


def test_fewer_drawings_may_be_asked_for_and_a_training_has_its_own_seed(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", compose("generate", [], Settings))
    words = [f"synthetic.root={folder}", "per_sample=1", "seed=5", "guidance=2", "mask_rate=0", "condition=null"]
    settings = compose("generate", with_words_of_set(words), Settings)
    assert (settings.per_sample, settings.seed, settings.guidance, settings.condition) == (1, 5, 2, "borrowed")


def test_data_are_found_where_they_were_or_where_they_are_said_to_be(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = compose("generate", ["data=image_folder", f"data.root={image_folder.relative_to(tmp_path)}"], Settings)
    root = f"synthetic.root={write_set(tmp_path / 'set', asked)}"
    assert compose("generate", with_words_of_set([root]), Settings).data.root == str(image_folder)
    moved = image_folder.rename(tmp_path / "moved")
    with pytest.raises(FileNotFoundError, match=r"which is not there: say data\.root=FOLDER"):
        with_words_of_set([root])
    assert compose("generate", with_words_of_set([root, f"data.root={moved}"]), Settings).data.root == str(moved)
    monkeypatch.setenv("SSL_AUG_DATA", str(moved))
    assert compose("generate", with_words_of_set([root]), Settings).data.root == str(moved)


def test_a_set_of_a_generator_that_is_not_installed_still_names_its_data(tmp_path: Path) -> None:
    asked = compose("generate", ["generator=noise", "data=digits", "data.split_seed=4"], Settings)
    folder = write_set(tmp_path / "set", replace(asked, generator=replace(asked.generator, name="elsewhere")))
    settings = compose("generate", with_words_of_set([f"synthetic.root={folder}"]), Settings)
    assert (settings.data.name, settings.data.split_seed, settings.per_sample) == ("digits", 4, 2)


def test_words_without_a_finished_set_stay_as_they_are(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", compose("generate", [], Settings))
    root = f"synthetic.root={folder}"
    for words in (
        ["mask_rate=0.1"],
        [f"synthetic.root={tmp_path / 'new'}"],
        [root, "resume=runs/1"],
        ["synthetic.root='"],
    ):
        assert with_words_of_set(words) == words
    (folder / "manifest.csv").unlink()
    assert with_words_of_set([root]) == [root]


def test_of_several_sets_what_they_have_in_common_is_said(tmp_path: Path) -> None:
    settings = compose("generate", ["data=digits", "generator=noise"], Settings)
    one = write_set(tmp_path / "one", settings)
    two = shutil.copytree(one, tmp_path / "two")
    write_set(two, replace(settings, mask_rate=0.1))
    words = with_words_of_set([f"synthetic.root={one},{two}"], of_grid=True)
    assert "data=digits" in words and "per_sample=2" in words
    assert not any(word.startswith("mask_rate") for word in words)


VALUES = ["a b", "it's", "null", "12", "0.5", "x/y-1.z", "ä", "a,b", "{}", "C:\\x\\", "", None, True]


@pytest.mark.parametrize("value", VALUES)
def test_values_come_back_as_they_were(value: Any) -> None:
    assert values_of(word_of("synthetic.root", value)) == [value]
