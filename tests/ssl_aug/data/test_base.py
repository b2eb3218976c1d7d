"""Labeled sets know which split they are."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl_aug.data.base import Dataset, Example, LabeledSet, file_list_id

NAMES = ("ant", "bee")
EXAMPLES = tuple(Example(Path(f"/data/train/{NAMES[i % 2]}/{i}.png"), i % 2) for i in range(6))
LABELED = LabeledSet(EXAMPLES, NAMES)


@given(st.permutations(EXAMPLES))
def test_id_does_not_depend_on_the_order(examples):
    assert LabeledSet(tuple(examples), NAMES).id == LABELED.id


@given(st.sampled_from(["/elsewhere", "relative", "/a b/c", "/žlutý/🐝"]))
def test_id_does_not_depend_on_where_the_data_lies(root):
    moved = tuple(Example(Path(root, *e.path.parts[-3:]), e.label) for e in EXAMPLES)
    assert LabeledSet(moved, NAMES).id == LABELED.id


def test_id_is_twelve_hex_digits():
    assert len(LABELED.id) == 12
    assert int(LABELED.id, 16) >= 0


@pytest.mark.parametrize(
    "other",
    [
        LabeledSet(EXAMPLES[:-1], NAMES),
        LabeledSet((*EXAMPLES[:-1], replace(EXAMPLES[-1], label=0)), NAMES),
        LabeledSet((*EXAMPLES[:-1], Example(Path("/data/train/bee/9.png"), 1)), NAMES),
        LabeledSet((*EXAMPLES[:-1], Example(Path("/data/train/wasp/5.png"), 1)), NAMES),
        LabeledSet(EXAMPLES, ("ant", "wasp")),
        LabeledSet((*EXAMPLES, EXAMPLES[0]), NAMES),
    ],
    ids=["one fewer", "another label", "another file", "another folder", "another class name", "one twice"],
)
def test_id_differs_for_another_set(other):
    assert other.id != LABELED.id


def test_synthetic_images_follow_as_labeled_ones():
    drawn = (Example(Path("/out/images/0_ant/0_0.png"), 0),)
    synthetic = SimpleNamespace(labeled_set_id=LABELED.id, folder=Path("/out"), examples=drawn)
    augmented = LABELED.with_synthetic(synthetic)
    assert augmented.examples == EXAMPLES + drawn
    assert augmented.class_names == NAMES
    assert len(LABELED) == 6, "the set itself stays as it is"


def test_synthetic_images_of_another_split_are_refused():
    synthetic = SimpleNamespace(labeled_set_id="0123456789ab", folder=Path("/out"), examples=())
    with pytest.raises(ValueError) as error:
        LABELED.with_synthetic(synthetic)
    message = str(error.value)
    assert "\n" not in message
    for part in ("/out", "0123456789ab", LABELED.id, "ssl_aug.generate", "synthetic.root"):
        assert part in message


def test_training_images_hold_the_unlabeled_but_no_test_image():
    dataset = Dataset("made", LabeledSet(EXAMPLES[:3], NAMES), LabeledSet(EXAMPLES[3:], NAMES), (Path("/u/1.png"),))
    assert dataset.training_images == (*(e.path for e in EXAMPLES[:3]), Path("/u/1.png"))
    assert dataset.class_names == NAMES


def test_file_list_id_tells_names_sizes_and_order(tmp_path):
    def written(root, sizes):
        (tmp_path / root / "c").mkdir(parents=True)
        paths = [tmp_path / root / "c" / f"{i}.png" for i in range(len(sizes))]
        for path, size in zip(paths, sizes, strict=True):
            path.write_bytes(b"x" * size)
        return paths

    one, same, other = written("one", [1, 2]), written("same", [1, 2]), written("other", [1, 3])
    assert file_list_id(one) == file_list_id(same)
    assert len({file_list_id(one), file_list_id(other), file_list_id(one[::-1]), file_list_id(one[:1])}) == 4
