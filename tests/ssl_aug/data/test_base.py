"""Labeled sets know which split they are, by names, labels and contents."""

import random
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unicodedata import normalize

import pytest

from ssl_aug.data.base import Dataset, Example, LabeledSet, file_list_id

NAMES = ("ant", "bee")


def written(root: Path, count: int = 6) -> tuple[Example, ...]:
    """Images of two classes in turn, all of one size."""
    examples = tuple(Example(root / NAMES[i % 2] / f"{i}.png", i % 2) for i in range(count))
    for number, example in enumerate(examples):
        example.path.parent.mkdir(parents=True, exist_ok=True)
        example.path.write_bytes(b"image %d" % number)
    return examples


@pytest.fixture
def labeled(tmp_path):
    return LabeledSet(written(tmp_path / "train"), NAMES)


def test_id_does_not_depend_on_the_order(labeled):
    for seed in range(20):
        order = random.Random(seed).sample(labeled.examples, len(labeled))
        assert LabeledSet(tuple(order), NAMES).id == labeled.id


@pytest.mark.parametrize("root", ["elsewhere", "a b/c", "žlutý/🐝"])
def test_id_does_not_depend_on_where_the_data_lies(labeled, tmp_path, root, monkeypatch):
    shutil.copytree(tmp_path / "train", tmp_path / root)
    moved = tuple(Example(tmp_path / root / e.key, e.label) for e in labeled.examples)
    assert LabeledSet(moved, NAMES).id == labeled.id
    monkeypatch.chdir(tmp_path)
    assert LabeledSet(tuple(Example(Path(root, e.key), e.label) for e in labeled.examples), NAMES).id == labeled.id


def test_id_is_twelve_hex_digits(labeled):
    assert len(labeled.id) == 12
    assert int(labeled.id, 16) >= 0


CHANGES = ["one fewer", "another label", "another name", "another folder", "another class name", "one twice"]


@pytest.mark.parametrize("change", CHANGES)
def test_id_differs_for_another_set(labeled, tmp_path, change):
    *others, last = labeled.examples
    copies = {name: tmp_path / "train" / place for name, place in (("name", "bee/9.png"), ("folder", "wasp/5.png"))}
    for path in copies.values():
        path.parent.mkdir(exist_ok=True)
        shutil.copy(last.path, path)
    examples = {
        "one fewer": others,
        "another label": [*others, replace(last, label=0)],
        "another name": [*others, Example(copies["name"], 1)],
        "another folder": [*others, Example(copies["folder"], 1)],
        "another class name": labeled.examples,
        "one twice": [*labeled.examples, last],
    }[change]
    names = ("ant", "wasp") if change == "another class name" else NAMES
    assert LabeledSet(tuple(examples), names).id != labeled.id


def test_id_differs_for_other_pixels_under_the_same_names_and_sizes(labeled):
    before = labeled.id, file_list_id(labeled.paths)
    paths = labeled.paths
    first, second = (path.read_bytes() for path in paths[:2])
    paths[0].write_bytes(second), paths[1].write_bytes(first)  # fold 2, whose images have fold 1's names
    fold = LabeledSet(labeled.examples, NAMES)
    assert fold.id != before[0]
    assert file_list_id(fold.paths) != before[1]


def test_a_copy_from_a_mac_is_the_same_set(tmp_path):
    ids = []
    for form in ("NFC", "NFD"):
        name = normalize(form, "Citroën")
        path = tmp_path / form / name / f"{name}.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"car")
        ids.append((LabeledSet((Example(path, 0),), (name,)).id, file_list_id([path]), Example(path, 0).key))
    assert ids[0] == ids[1]


def test_embedded_images_are_known_by_what_they_were_made_of(cache, tmp_path):
    """Other versions of zlib and Pillow write the same pixels as other bytes."""
    first = written(cache / "toycars-1" / "train")
    ids = LabeledSet(first, NAMES).id, file_list_id([e.path for e in first])
    for example in first:
        example.path.write_bytes(b"the same, squeezed better")
    assert (LabeledSet(first, NAMES).id, file_list_id([e.path for e in first])) == ids
    for other in (cache / "toycars-2" / "train", cache / "photos" / "train", tmp_path / "toycars-1" / "train"):
        assert LabeledSet(written(other), NAMES).id != ids[0], "another version, or the user's own"


def test_arrays_are_known_by_their_pixels_whatever_lies_beside_them(cache):
    alone, beside = (written(cache / f"given-1-{digits}" / "train") for digits in ("0123456789abcdef", "f" * 16))
    assert LabeledSet(alone, NAMES).id == LabeledSet(beside, NAMES).id


def test_a_missing_image_is_named(labeled):
    labeled.paths[2].unlink()
    with pytest.raises(FileNotFoundError, match=r"2\.png: there is no such image file"):
        labeled.id  # noqa: B018


def test_synthetic_images_follow_as_labeled_ones(labeled):
    asked: list[LabeledSet] = []
    drawn = (Example(Path("/out/images/0_ant/0_0.png"), 0),)
    synthetic = SimpleNamespace(
        labeled_set_id=labeled.id, folder=Path("/out"), examples=drawn, require_sources=asked.append
    )
    augmented = labeled.with_synthetic(synthetic)
    assert augmented.examples == labeled.examples + drawn
    assert augmented.class_names == NAMES
    assert asked == [labeled], "whether each has its source's class"
    assert len(labeled) == 6, "the set itself stays as it is"


def test_synthetic_images_of_another_split_are_refused(labeled):
    synthetic = SimpleNamespace(labeled_set_id="0123456789ab", folder=Path("/out"), examples=(), sources=())
    with pytest.raises(ValueError) as error:
        labeled.with_synthetic(synthetic)
    message = str(error.value)
    assert "\n" not in message
    for part in ("/out", "0123456789ab", labeled.id, "ssl_aug.generate", "synthetic.root"):
        assert part in message


def test_training_images_hold_the_unlabeled_but_no_test_image(labeled):
    dataset = Dataset(
        "made", LabeledSet(labeled.examples[:3], NAMES), LabeledSet(labeled.examples[3:], NAMES), (Path("/u/1.png"),)
    )
    assert dataset.training_images == (*(e.path for e in labeled.examples[:3]), Path("/u/1.png"))
    assert dataset.class_names == NAMES


def test_file_list_id_tells_names_contents_and_order(tmp_path):
    one, same, other = ([e.path for e in written(tmp_path / root, 2)] for root in ("one", "same", "other"))
    other[1].write_bytes(b"image 9")
    assert file_list_id(one) == file_list_id(same)
    assert len({file_list_id(one), file_list_id(other), file_list_id(one[::-1]), file_list_id(one[:1])}) == 4
