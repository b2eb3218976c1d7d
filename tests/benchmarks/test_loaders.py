"""Batches are functions of (seed, step)."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
from collections import Counter
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import image_store, loaders
from benchmarks.image_store import ImageStore
from benchmarks.loaders import Batch, TestBatches, TrainBatches, helpful_workers, train_batches, whole_batches_of_passes
from benchmarks.loaders import test_batches as batches_for_test
from benchmarks.methods.base import Labeled, Unlabeled, ViewKinds
from benchmarks.settings import ViewSettings
from benchmarks.views import TrainViews
from ssl_aug.data.base import Example, LabeledSet
from ssl_aug.data.reading import read_rgb


def make_batches(pictures: Path, cache_bytes: int = 10**6) -> TrainBatches:
    examples = tuple(
        Example(path, label) for label in range(4) for path in sorted((pictures / f"train/class_{label}").iterdir())
    )
    labeled = LabeledSet(examples[::4], tuple("abcd"))
    unlabeled = [example.path for example in examples if example not in labeled.examples]
    return TrainBatches(labeled, unlabeled, TrainViews(ViewSettings(), 16, (0.5,) * 3), (3, 5), 7, cache_bytes)


def assert_same(a: Batch, b: Batch) -> None:
    for part_a, part_b in zip(a, b, strict=True):
        assert part_a is not None and part_b is not None
        for name, value in vars(part_a).items():
            assert torch.equal(value, getattr(part_b, name)), name


def test_a_pass_holds_every_image_once() -> None:
    for first in (0, 4, 8):
        drawn = [i for step in range(first, first + 4) for i in whole_batches_of_passes(32, 8, seed=1, step=step)]
        assert sorted(drawn) == list(range(32))
    assert whole_batches_of_passes(32, 8, 0, 1) != whole_batches_of_passes(32, 8, 4, 1)  # another pass, another order
    assert whole_batches_of_passes(32, 8, 0, 1) != whole_batches_of_passes(32, 8, 0, 2)


def test_an_incomplete_batch_is_dropped() -> None:
    drawn = [i for step in range(4) for i in whole_batches_of_passes(35, 8, seed=1, step=step)]
    assert len(drawn) == len(set(drawn)) == 32
    counts = Counter(i for step in range(4 * 200) for i in whole_batches_of_passes(35, 8, seed=1, step=step))
    assert len(counts) == 35  # what one pass leaves out another takes


@pytest.mark.parametrize("num_images", [1, 3, 10, 31])
def test_fewer_images_than_a_batch_still_fill_it_evenly(num_images: int) -> None:
    for step in range(5):
        counts = Counter(whole_batches_of_passes(num_images, 32, seed=1, step=step))
        assert sum(counts.values()) == 32 and len(counts) == num_images
        assert max(counts.values()) - min(counts.values()) <= 1


def test_worker_processes_and_a_resumed_run_see_the_same_batches(pictures: Path) -> None:
    alone = list(train_batches(make_batches(pictures), 0, 6, num_workers=0, pin=False))
    workers = list(train_batches(make_batches(pictures), 0, 6, num_workers=2, pin=False))
    resumed = list(train_batches(make_batches(pictures), 4, 6, num_workers=0, pin=False))
    assert len(alone) == len(workers) == 6 and len(resumed) == 2
    for a, b in zip(alone + alone[4:], workers + resumed, strict=True):
        assert_same(a, b)


def test_a_repeated_image_gets_another_view(pictures: Path) -> None:
    batches = make_batches(pictures)
    batches.labeled = LabeledSet(batches.labeled.examples[:1], ("a",))
    labeled, _ = next(train_batches(batches, 0, 1, num_workers=0, pin=False))
    assert labeled.index.tolist() == [0, 0, 0]
    assert not torch.equal(labeled.weak[0], labeled.weak[1])


def test_targets_belong_to_their_images_and_weights_are_one(pictures: Path) -> None:
    batches = make_batches(pictures)
    labeled, unlabeled = next(train_batches(batches, 2, 3, num_workers=0, pin=False))
    assert labeled.target.tolist() == [batches.labeled.examples[i].label for i in labeled.index]
    assert labeled.weight.tolist() == [1.0] * 3
    assert unlabeled is not None and unlabeled.weak.shape == unlabeled.strong.shape == (5, 3, 16, 16)


def test_the_store_keeps_what_fits_and_changes_nothing(pictures: Path) -> None:
    paths = sorted((pictures / "train/class_0").iterdir())[:3]
    store = ImageStore(3, capacity_bytes=2 * 3 * 24 * 20 + 5)
    for _ in range(2):
        for number, path in enumerate(paths):
            assert store.read(number, path).tobytes() == read_rgb(path).tobytes()
    assert store.num_kept == 2
    without = list(train_batches(make_batches(pictures, cache_bytes=0), 0, 3, num_workers=0, pin=False))
    for a, b in zip(without, train_batches(make_batches(pictures), 0, 3, num_workers=0, pin=False), strict=True):
        assert_same(a, b)


def test_an_image_that_is_kept_is_not_read_again_and_keeps_its_shape(tmp_path: Path) -> None:
    store = ImageStore(2, 10**4)
    path = tmp_path / "wide.png"
    pixels = np.random.default_rng(0).integers(0, 256, (7, 31, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    store.read(1, path)
    path.unlink()
    assert np.array_equal(np.asarray(store.read(1, path)), pixels)
    with pytest.raises(FileNotFoundError):
        store.read(0, path)


def test_what_one_worker_has_read_the_others_and_later_ones_find(pictures: Path) -> None:
    batches = make_batches(pictures)
    list(train_batches(batches, 0, 12, num_workers=2, pin=False))
    assert batches.store.num_kept == len(batches.labeled) + len(batches.unlabeled or ())  # each once, whoever read it
    first = list(train_batches(make_batches(pictures), 12, 14, num_workers=0, pin=False))
    for a, b in zip(first, train_batches(batches, 12, 14, num_workers=2, pin=False), strict=True):
        assert_same(a, b)


def test_workers_that_share_no_memory_have_their_share_of_it_each() -> None:
    found = pickle.loads(pickle.dumps(ImageStore(5, 1000, num_workers=4)))  # as they are sent on macOS
    assert (found.num_images, found.capacity_bytes, found.num_kept) == (5, 250, 0)


def test_more_memory_than_there_is_may_be_asked_for_and_none_at_all_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 2**20 < ImageStore(1, 2**70).capacity_bytes < 2**60

    def refused(*size: int) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(image_store, "mmap", refused)
    with pytest.raises(ValueError, match=r"^train\.cache_megabytes: this machine has no 3 MB for .*: lower it"):
        ImageStore(1, 3 * 2**20)


def test_workers_help_a_gpu_as_far_as_cores_and_shared_memory_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu, views = torch.device("cuda"), (128, 224)  # 19 MB a batch

    def machine(cores: int, shared_megabytes: int) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(cores))
        usage = SimpleNamespace(free=shared_megabytes * 2**20)
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)

    monkeypatch.setattr(loaders, "SHARED_MEMORY", tmp_path)
    for cores, shared_megabytes, expected in ((16, 10**4, 8), (4, 10**4, 3), (1, 10**4, 0), (16, 64, 0), (16, 160, 2)):
        machine(cores, shared_megabytes)
        assert helpful_workers(gpu, *views) == expected
        assert helpful_workers(torch.device("cpu"), *views) == 0
    monkeypatch.setattr(loaders, "SHARED_MEMORY", tmp_path / "none")
    assert helpful_workers(gpu, *views) == 0


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize("damage", ["truncated", "text", "gone"])
def test_an_unreadable_image_is_named_in_one_line(tmp_path: Path, damage: str, num_workers: int) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:2000])
    elif damage == "text":
        path.write_text("not a picture")
    else:
        path.unlink()
    labeled = LabeledSet((Example(path, 0),), ("a",))
    batches = TrainBatches(labeled, None, TrainViews(ViewSettings(), 16, (0.5,) * 3), (2, 2), 0, 0)
    with pytest.raises(ValueError, match=r"photo\.png(: there is no such| cannot be read as an) image") as caught:
        list(train_batches(batches, 0, 2, num_workers, pin=False))
    assert "\n" not in str(caught.value) and "Traceback" not in str(caught.value)
    with pytest.raises(ValueError, match=r"photo\.png(: there is no such| cannot be read as an) image"):
        list(batches_for_test(TestBatches(labeled, 16, 2, 0), num_workers))


def test_test_batches_hold_every_image_once_in_order(pictures: Path) -> None:
    examples = tuple(Example(path, 1) for path in sorted((pictures / "test/class_1").iterdir()))
    test = TestBatches(LabeledSet(examples, ("a", "b")), 16, batch_size=3, cache_bytes=10**6)
    first = list(batches_for_test(test, num_workers=0))
    assert [len(views) for views, _ in first] == [3, 1]
    assert torch.cat([target for _, target in first]).tolist() == [1] * 4
    assert test.kept is not None and len(test.kept) == 2
    for (views, _), (views_again, _) in zip(first, batches_for_test(test, num_workers=0), strict=True):
        assert torch.equal(views, views_again)
    small = TestBatches(test.test, 16, batch_size=3, cache_bytes=10)
    assert len(list(batches_for_test(small, num_workers=0))) == 2 and small.kept is None


def test_a_share_of_synthetic_images_holds_in_every_batch_and_their_weights_in_the_loss(pictures: Path) -> None:
    examples = tuple(Example(path, 0) for path in sorted((pictures / "train").rglob("*.png"))[:20])
    mixed = TrainBatches(
        LabeledSet(examples, ("a",)), None, TrainViews(ViewSettings(), 16, (0.5,) * 3), (8, 2), 3, 0,
        num_real=4, synthetic_share=0.25, synthetic_weights=[n / 16 for n in range(16)],
    )  # fmt: skip
    seen: list[int] = []
    for step in range(16):
        labeled, _ = mixed[step]  # type: ignore[misc]
        is_synthetic = labeled.index >= 4
        assert is_synthetic.sum() == 2
        assert torch.equal(labeled.weight, torch.where(is_synthetic, (labeled.index - 4) / 16, 1.0))
        seen += labeled.index[is_synthetic].tolist()
    assert sorted(seen) == sorted(2 * list(range(4, 20)))  # two passes over the sixteen synthetic ones


def test_an_empty_synthetic_set_changes_nothing(pictures: Path) -> None:
    plain = make_batches(pictures)
    same = TrainBatches(
        plain.labeled, plain.unlabeled, plain.views, plain.batch_sizes, plain.seed, 0,
        num_real=len(plain.labeled), synthetic_share=None, synthetic_weights=[],
    )  # fmt: skip
    for step in range(3):
        assert_same(plain[step], same[step])  # type: ignore[arg-type]


def test_two_strong_views_are_two_draws(pictures: Path) -> None:
    plain, twice = make_batches(pictures), make_batches(pictures)
    twice.view_kinds = ViewKinds(("strong", "strong"), ("strong", "strong"))
    before, after = plain[0][0], twice[0][0]  # type: ignore[index]
    assert not torch.equal(after.weak, after.strong)
    assert not torch.equal(after.weak, before.weak)


def test_a_method_gets_as_many_views_of_a_kind_as_it_asks_for_and_the_first_are_the_usual_ones(pictures: Path) -> None:
    usual, asking = make_batches(pictures), make_batches(pictures)
    asking.view_kinds = ViewKinds(("weak", "strong", "weak"), ("strong", "weak", "weak", "weak"))
    (labeled, unlabeled), (plain, plain_unlabeled) = batch_of(asking), batch_of(usual)
    assert torch.equal(labeled.weak, plain.weak) and torch.equal(labeled.strong, plain.strong)
    assert torch.equal(unlabeled.weak, plain_unlabeled.strong) and torch.equal(unlabeled.strong, plain_unlabeled.weak)
    assert (labeled.more.shape, unlabeled.more.shape) == ((1, 3, 3, 16, 16), (2, 5, 3, 16, 16))
    assert (plain.more.shape, plain_unlabeled.more.shape) == ((0, 3, 3, 16, 16), (0, 5, 3, 16, 16))
    weak = [labeled.weak, *labeled.more]
    assert not torch.equal(*weak)
    of_unlabeled = [unlabeled.strong, *unlabeled.more]
    assert not any(torch.equal(a, b) for a, b in combinations(of_unlabeled, 2))


def batch_of(batches: TrainBatches) -> tuple[Labeled, Unlabeled]:
    batch = batches[3]
    assert isinstance(batch, tuple) and batch[1] is not None
    return batch[0], batch[1]
