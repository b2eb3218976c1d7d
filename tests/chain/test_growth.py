"""Many images, classes and runs: what is done once for all of them is not done again for each, nor held all at once.

Times are compared between two sizes of one thing: what takes eight times as long as an eighth of it is in proportion,
what grows with the square takes 64 times as long.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from benchmarks.evaluation import accuracy
from generators import borrowing
from ssl_aug.command_line import compose
from ssl_aug.data import csv_list, hf_labels
from ssl_aug.data.base import Example, LabeledSet
from ssl_aug.data.split import draw_labeled
from ssl_aug.drawing import draw, verdict
from ssl_aug.drawing.scores import prototypes
from ssl_aug.reporting import looks
from ssl_aug.results.accuracies import build_report
from ssl_aug.runtime import placement
from ssl_aug.settings import Settings
from ssl_aug.synthetic import SetWriter, SyntheticSet, folder, make_chunks, make_requests, manifest, writer
from ssl_aug.tables import read_named_rows
from tests.benchmarks.test_table import in_folders, result
from tests.conftest import write_image_folder
from tests.ssl_aug.synthetic.test_synthetic import labeled_set, write_all

EIGHT = 8
MOST = 3 * EIGHT  # times as long; 64 is the square
NOTHING = 0.003  # seconds, below which noise is measured

Act = Callable[[], object]


def least_seconds(act: Act) -> float:
    """Of the processor, in three rounds, without the garbage collector's."""
    found = []
    for _ in range(3):
        gc.disable()
        began = time.process_time()
        act()
        found.append(time.process_time() - began)
        gc.enable()
    return min(found)


# ---------------------------------------------------------------------------------------------------------------------
# times, of so many images in a quarter as many classes, or of so many runs


def draw_of(count: int) -> Act:
    labels = [number % (count // 4) for number in range(count)]
    return lambda: draw_labeled(labels, count // 4, 1, 0)


def list_of(count: int) -> Act:
    """A list in which half of the images are of a kind that is not read."""
    rows = [
        csv_list.Row(number, Path(f"{number}.{('jpg', 'cr2')[number // 4 % 2]}"), str(number % (count // 4)), "train")
        for number in range(count)
    ]
    names = tuple(str(label) for label in range(count // 4))

    def act() -> None:
        left, _ = csv_list.readable_rows(rows)
        csv_list._labeled(Path("list.csv"), left, "train", names)

    return act


def columns_of(count: int) -> Act:
    names = tuple(f"class {label}" for label in range(count // 4))
    labels = [names[-1 - number % len(names)] for number in range(count)]
    return lambda: hf_labels.settled(Path(), [hf_labels.LabelColumn("train", "train", labels, names)])


def prototypes_of(count: int) -> Act:
    labels = torch.arange(count) % (count // 4)
    directions = torch.ones(count, 32)
    return lambda: prototypes(directions, labels, count // 4)


def table_of(count: int) -> Act:
    settings = {f"setting.{number}": number for number in range(20)}
    runs = [
        result("erm", seed % 2 == 1, seed // 2, 50.0 + seed % 7, settings=settings | ({"set": 0} if seed % 2 else {}))
        for seed in range(count)
    ]
    return lambda: build_report(in_folders(*runs), "last")


@pytest.mark.parametrize(
    ("of", "count"), [(draw_of, 2000), (list_of, 1000), (columns_of, 1000), (prototypes_of, 400), (table_of, 100)]
)
def test_eight_times_as_many_take_about_eight_times_as_long(of: Callable[[int], Act], count: int) -> None:
    few, many = least_seconds(of(count)), least_seconds(of(EIGHT * count))
    assert many <= MOST * max(few, NOTHING)


# ---------------------------------------------------------------------------------------------------------------------
# what is done once


def test_the_order_of_lenders_is_found_once_for_all_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image_folder(tmp_path / "photos")
    paths = sorted((tmp_path / "photos" / "train").rglob("*.png"))[:3]
    labeled = LabeledSet(tuple(Example(path, label) for label, path in enumerate(paths)), ("a", "b", "c"))
    settings = compose("generate", ["generator=noise", "precision=fp32", "device=cpu"], Settings)
    chunks, ordered = make_chunks(make_requests(labeled, 2, 0), 1), Mock(wraps=draw.lenders_of)
    monkeypatch.setattr(draw, "lenders_of", ordered)
    drawn = SetWriter(tmp_path / "set", {"seed": 0}, labeled)
    draw.draw_missing(drawn, chunks, (0, 1), settings, None, labeled, placement("cpu", "fp32"))
    assert (len(drawn.done()), ordered.call_count) == (6, 1)


def test_of_a_million_chunks_no_more_are_looked_at_than_come_first() -> None:
    assert list(islice(verdict._at_distances(10**6), 4)) == [0, 500_000, 250_000, 750_000]


@pytest.mark.parametrize("count", [1, 2, 3, 10, 17])
def test_in_the_end_each_chunk_has_come_once(count: int) -> None:
    assert sorted(verdict._at_distances(count)) == list(range(count))


def test_a_finished_set_is_read_once_to_know_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_all(tmp_path, labeled_set(), 2)
    read = Mock(wraps=manifest.read_rows)
    for module in (writer, folder):
        monkeypatch.setattr(module, "read_rows", read)
    assert len(writer.images_done(tmp_path, refill=False)) == 24
    read.assert_called_once_with(tmp_path / "manifest.csv")


# ---------------------------------------------------------------------------------------------------------------------
# what is held


def test_a_row_is_there_before_the_rest_of_the_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("path\n" + "a.png\n" * 10**5 + "torn,\n")
    assert next(read_named_rows(path, ["path"], "mend it")) == (2, {"path": "a.png"})


def test_what_many_rows_have_in_common_is_held_once(tmp_path: Path) -> None:
    write_all(tmp_path, labeled_set(), 2)
    first, second = manifest.read_rows(tmp_path / "manifest.csv")[:2]
    assert all(first[name] is second[name] for name in ("class_name", "sampler", "guidance", "mask_rate", "steps"))


def test_what_was_merged_is_let_go_before_the_set_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labeled, held = labeled_set(per_class=100), dict[str, int]()
    requests = make_requests(labeled, 2, seed=0)
    write_all(tmp_path, labeled, 2, stop_after=len(requests) // 5 - 1)
    drawn = SetWriter(tmp_path, {"seed": 0}, labeled)
    merge, opened = drawn._merge, SyntheticSet.open

    def merged(*arguments: object) -> bool:
        tracemalloc.reset_peak()
        held["before"] = tracemalloc.get_traced_memory()[0]
        is_whole = merge(*arguments)  # type: ignore[arg-type]
        held["at most"] = tracemalloc.get_traced_memory()[1]
        return is_whole

    def open_it(path: Path) -> SyntheticSet:
        held["then"] = tracemalloc.get_traced_memory()[0]
        return opened(path)

    monkeypatch.setattr(drawn, "_merge", merged)
    monkeypatch.setattr(writer.SyntheticSet, "open", open_it)
    write_all(tmp_path, labeled, 2)
    tracemalloc.start()
    try:
        assert drawn.finish(requests, "card", {}) is not None
    finally:
        tracemalloc.stop()
    assert held["then"] - held["before"] < (held["at most"] - held["before"]) / 4


def test_class_means_in_pieces_are_those_of_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    names = [f"class {number % 5}" for number in range(40)]
    tokens, unlabeled = torch.randn(40, 8), torch.randn(90, 8)
    whole, one_hot = borrowing.differences(tokens, names, unlabeled), Mock(wraps=F.one_hot)
    monkeypatch.setattr(borrowing, "_AT_ONCE", 60)
    monkeypatch.setattr(F, "one_hot", one_hot)
    pieces = borrowing.differences(tokens, names, unlabeled)
    assert max(len(call.args[0]) for call in one_hot.call_args_list) == 60 // 5
    assert pieces.told_apart == whole.told_apart
    for name, mean in whole.means.items():
        assert torch.allclose(pieces.means[name], mean, atol=1e-6)


def test_the_nearest_pictures_in_pieces_are_those_of_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    marks = rng.standard_normal((50, looks.WIDTH)).astype(np.float32)
    marks /= np.linalg.norm(marks, axis=1, keepdims=True)
    known = np.concatenate([marks, marks[:25] + 0.01 * rng.standard_normal((25, looks.WIDTH)).astype(np.float32) / 50])
    best, places, limit = *looks.nearest(marks[:9], known), looks.same_from(known)
    assert limit > looks.SAME
    monkeypatch.setattr(looks, "AT_ONCE", 200)
    in_pieces, same_places = looks.nearest(marks[:9], known)
    assert np.allclose(in_pieces, best, atol=1e-6) and np.array_equal(same_places, places)
    assert looks.same_from(known) == pytest.approx(limit, abs=1e-6)


def test_how_near_real_pictures_are_is_asked_of_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "MOST_ASKED", 10)
    correlations = Mock(wraps=looks._correlations)
    monkeypatch.setattr(looks, "_correlations", correlations)
    known = np.random.default_rng(0).standard_normal((95, looks.WIDTH)).astype(np.float32)
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    assert looks.same_from(known) == looks.SAME and len(correlations.call_args.args[0]) == 10


def test_the_mean_class_accuracy_is_that_of_a_loop_over_classes() -> None:
    torch.manual_seed(0)
    targets, predictions = torch.randint(0, 9, (200,)) * 2, torch.randint(0, 17, (200,))
    own = [(predictions[targets == label] == label).double().mean() for label in targets.unique()]
    assert accuracy(predictions, targets).mean_class == 100 * torch.stack(own).mean().item()
