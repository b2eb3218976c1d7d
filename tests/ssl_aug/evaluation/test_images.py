"""Which images are drawn from and measured, and that what is kept of them does not grow with their number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ssl_aug.data.base import Dataset, Example, LabeledSet, Split
from ssl_aug.evaluation import reading, sums
from ssl_aug.evaluation.conditions import conditions_of, drawn_of_each, tuning_images
from ssl_aug.evaluation.features import Extractor
from ssl_aug.evaluation.images import some_of
from ssl_aug.evaluation.settings import EvaluateSettings
from ssl_aug.evaluation.sums import Images, Sums, chosen_rows

NAMES = ("ash", "beech", "cedar")


def listed(part: str, *labels: int) -> LabeledSet:
    return LabeledSet(tuple(Example(Path(part, f"{i}.png"), label) for i, label in enumerate(labels)), NAMES)


TRAIN, TEST, LABELED = listed("train", 0, 0, 1, 1, 2, 2), listed("test", 0, 1, 2), listed("train", 0, 1, 2)
DATASET, SPLIT = Dataset("trees", TRAIN, TEST), Split(LABELED, (), TEST)


def test_conditions_are_the_labeled_images_unless_others_are_asked_for() -> None:
    plain = EvaluateSettings()
    assert conditions_of(plain, DATASET, SPLIT) is LABELED
    assert drawn_of_each(plain, LABELED) == 10
    assert drawn_of_each(replace(plain, num_images=7), LABELED) == 3
    seen = replace(plain, conditions="train")
    assert conditions_of(seen, DATASET, SPLIT).paths == TRAIN.paths
    assert drawn_of_each(seen, TRAIN) == 1
    assert drawn_of_each(replace(seen, num_images=13), TRAIN) == 3


def test_of_a_few_conditions_the_classes_are_those_that_are_there() -> None:
    few = conditions_of(EvaluateSettings(conditions="train", num_images=2), DATASET, SPLIT)
    assert few.class_names == ("ash", "cedar") and few.labels == (0, 1)
    assert few.paths == (TRAIN.paths[0], TRAIN.paths[-1])
    with pytest.raises(ValueError, match="conditions=test: trees has no such images"):
        conditions_of(EvaluateSettings(conditions="test"), replace(DATASET, test=listed("test")), SPLIT)


def test_copies_are_looked_for_among_the_images_of_the_tuning() -> None:
    plain = EvaluateSettings()
    assert tuning_images(plain, DATASET, SPLIT) == TRAIN.paths
    subset = replace(plain, data=replace(plain.data, subset=2))
    assert len(tuning_images(subset, DATASET, SPLIT)) == 2
    labeled = replace(plain, tune=replace(plain.tune, images="labeled"))
    assert tuning_images(labeled, DATASET, SPLIT) == LABELED.paths


def test_some_of_a_set_are_spread_over_it() -> None:
    images = Images(tuple(Path(str(i)) for i in range(9)), torch.arange(9))
    few = some_of(images, 3)
    assert [path.name for path in few.paths] == ["0", "4", "8"]
    assert few.labels is not None and few.labels.tolist() == [0, 4, 8]


def test_images_come_in_their_order_in_every_size_and_a_bad_one_is_named(tmp_path: Path) -> None:
    paths = []
    for number in range(2 * reading.BATCH_SIZE + 3):
        paths.append(tmp_path / f"{number}.png")
        Image.new("RGB", (6, 4), (number, 0, 0)).save(paths[-1])
    found = list(reading.squares_in_batches(paths, {4, 2}))
    assert [(rows.start, rows.stop) for rows, _ in found] == [(0, 64), (64, 128), (128, 131)]
    assert [int(image[0, 0, 0]) for _, squares in found for image in squares[2]] == list(range(131))
    assert found[0][1][4].shape == (64, 4, 4, 3) and reading.side_of(paths[0]) == 4
    paths[70].write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"70\.png cannot be read as an image"):
        list(reading.squares_in_batches(paths, {4}))


def test_what_is_kept_of_a_set_does_not_grow_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums.chosen_rows, "__defaults__", (30,))
    rows = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    of = Sums(Images(tuple(Path(f"{i}.png") for i in range(200))), Extractor(3, lambda _: (batch, None)), None, None)
    for first in range(0, 200, 64):
        batch = rows[first : first + 64]
        of.add(slice(first, first + len(batch)), {8: torch.empty(0)}, 8)
    assert torch.equal(of.kept, rows[torch.from_numpy(chosen_rows(200))]) and len(of.kept) == 30
    assert of.moments.count == 200
    assert np.array_equal(chosen_rows(200), chosen_rows(200)) and len(set(chosen_rows(200))) == 30
