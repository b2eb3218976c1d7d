"""The few-label draw is the benchmark's, and a split hides what it must."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl_aug.data.base import Dataset, Example, LabeledSet
from ssl_aug.data.split import draw_labeled, draw_subset, few_label_split

SIZES = (45, 32, 43, 42)


def labels_of(sizes):
    return [label for label, size in enumerate(sizes) for _ in range(size)]


def dataset_of(sizes, extra=0):
    names = tuple(f"class {label}" for label in range(len(sizes)))
    train = tuple(Example(Path(f"train/{i}.png"), label) for i, label in enumerate(labels_of(sizes)))
    test = tuple(Example(Path(f"test/{label}.png"), label) for label in range(len(sizes)))
    unlabeled = tuple(Path(f"unlabeled/{i}.png") for i in range(extra))
    return Dataset("made", LabeledSet(train, names), LabeledSet(test, names), unlabeled)


def test_draw_equals_the_benchmark_at_seed_0():
    drawn = np.array(draw_labeled(labels_of(SIZES), 4, 4, seed=0)).reshape(4, 4)
    in_class = drawn - np.cumsum((0, *SIZES[:-1]))[:, None]
    assert in_class.tolist() == [[30, 37, 27, 4], [21, 25, 16, 24], [10, 40, 29, 32], [24, 7, 37, 19]]


def test_draw_takes_positions_in_file_order_where_classes_are_mixed():
    labels = np.random.RandomState(3).permutation(labels_of(SIZES))
    drawn = np.array(draw_labeled(labels.tolist(), 4, 4, seed=0)).reshape(4, 4)
    positions = [np.flatnonzero(labels == label).tolist().index(first) for label, first in enumerate(drawn[:, 0])]
    assert positions == [30, 21, 10, 24]


def test_draw_of_a_class_depends_on_the_sizes_of_the_classes_before_it_only():
    def in_class(sizes):
        drawn = np.array(draw_labeled(labels_of(sizes), 4, 4, seed=0)).reshape(4, 4)
        return (drawn - np.cumsum((0, *sizes[:-1]))[:, None]).tolist()

    larger = in_class((45, 40, 43, 42))
    assert larger[0] == in_class(SIZES)[0]
    assert larger[2] != in_class(SIZES)[2] and larger[3] != in_class(SIZES)[3]
    assert in_class((45, 32, 43, 50))[:3] == in_class(SIZES)[:3]


@given(
    sizes=st.lists(st.integers(3, 9), min_size=1, max_size=5),
    labels_per_class=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
    extra=st.integers(0, 3),
)
def test_labeled_and_unlabeled_are_disjoint_and_cover_all_training_images(sizes, labels_per_class, seed, extra):
    dataset = dataset_of(sizes, extra)
    split = few_label_split(dataset, labels_per_class, seed)
    assert np.bincount(split.labeled.labels).tolist() == [labels_per_class] * len(sizes)
    assert not set(split.labeled.paths) & set(split.unlabeled)
    assert set(split.labeled.paths) | set(split.unlabeled) == set(dataset.training_images)
    assert len(split.labeled) + len(split.unlabeled) == len(dataset.training_images)
    assert set(split.labeled.examples) <= set(dataset.train.examples)
    assert split.test == dataset.test
    assert few_label_split(dataset, labels_per_class, seed) == split


def test_another_seed_is_another_split():
    dataset = dataset_of(SIZES)
    assert few_label_split(dataset, 4, 0).labeled != few_label_split(dataset, 4, 1).labeled


def test_a_class_with_fewer_images_than_labels_is_named():
    with pytest.raises(ValueError, match=r"^class 'class 1' has 2 .*labels_per_class=4.*use at most 2.*$"):
        few_label_split(dataset_of((5, 2, 9)), 4, 0)


@pytest.mark.parametrize("count", [0, -1])
def test_at_least_one_label_per_class_is_needed(count):
    with pytest.raises(ValueError, match=rf"^data.labels_per_class={count}: at least 1"):
        few_label_split(dataset_of(SIZES), count, 0)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_named(seed):
    with pytest.raises(ValueError, match=rf"^data.split_seed={seed}: give 0 to 4294967295$"):
        few_label_split(dataset_of(SIZES), 4, seed)


@given(data=st.data(), total=st.integers(1, 60), seed=st.integers(0, 99))
def test_a_smaller_subset_is_part_of_a_larger_one(data, total, seed):
    paths = [Path(f"{i}.png") for i in range(total)]
    large = data.draw(st.integers(1, total))
    small = data.draw(st.integers(1, large))
    inner, outer = draw_subset(paths, small, seed), draw_subset(paths, large, seed)
    assert set(inner) <= set(outer) <= set(paths)
    assert (len(inner), len(outer)) == (small, large)
    assert list(outer) == [path for path in paths if path in set(outer)]


@pytest.mark.parametrize("num_images", [0, -5, 4])
def test_a_subset_that_cannot_be_is_named(num_images):
    with pytest.raises(ValueError, match=rf"^data.subset={num_images}: there are 3 .*give 1 to 3 or null for all$"):
        draw_subset([Path("a"), Path("b"), Path("c")], num_images, 0)


def test_validation_images_leave_the_unlabeled_set_and_move_no_label():
    plain, held = few_label_split(dataset_of(SIZES, 5), 4, 0), few_label_split(dataset_of(SIZES, 5), 4, 0, 3)
    assert (plain.validation, held.labeled) == (None, plain.labeled)
    assert held.validation is not None
    assert [held.validation.labels.count(label) for label in range(4)] == [3, 3, 3, 3]
    taken = set(held.validation.paths)
    assert not taken & set(held.labeled.paths)
    assert held.unlabeled == tuple(path for path in plain.unlabeled if path not in taken)
    with pytest.raises(ValueError, match=r"data.labels_per_class=4 and data.validation_per_class=29 asks for more"):
        few_label_split(dataset_of(SIZES), 4, 0, 29)
    with pytest.raises(ValueError, match=r"data.validation_per_class=-1"):
        few_label_split(dataset_of(SIZES), 4, 0, -1)
