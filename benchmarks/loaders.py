"""Batches without state: batch number `step` is a function of (seed, step), whoever computes it and when.

So a resumed run sees what an uninterrupted one sees, and the number of worker processes changes nothing.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.image_store import ImageStore
from benchmarks.methods.base import Labeled, Unlabeled, ViewKinds
from benchmarks.views import BENCHMARK_CENTER_SHARE, TrainViews, test_view
from ssl_aug.data.base import LabeledSet
from ssl_aug.data.reading import read_rgb
from ssl_aug.runtime import derived_seed

Batch = tuple[Labeled, Unlabeled | None]
SHARED_MEMORY = Path("/dev/shm")  # through which worker processes hand over batches
MAX_WORKERS = 8
BATCHES_PER_WORKER = 4  # there at once: two wait, one is made, one is used


def whole_batches_of_passes(num_images: int, batch_size: int, step: int, seed: int) -> list[int]:
    """Which images batch `step` holds: shuffled passes over all images, without replacement within a pass.

    A pass drops its last, incomplete batch, as the benchmark's loader does; `ssl_aug.pretrain.training.pass_after_pass`
    lets it run on into the next pass. Where a pass has fewer images than a batch, that loader would give nothing at all
    and never train; here the batch is filled from as many passes as it takes, so that every image comes equally often,
    give or take one.
    """
    if num_images >= batch_size:
        pass_number, position = divmod(step, num_images // batch_size)
        return list(_shuffled(num_images, seed, pass_number)[position * batch_size : (position + 1) * batch_size])
    passes_per_batch = -(-batch_size // num_images)
    first_pass = step * passes_per_batch
    filled = [i for p in range(passes_per_batch) for i in _shuffled(num_images, seed, first_pass + p)]
    return filled[:batch_size]


@lru_cache(maxsize=8)
def _shuffled(num_images: int, seed: int, pass_number: int) -> tuple[int, ...]:
    generator = np.random.Generator(np.random.PCG64(derived_seed(seed, "pass", pass_number)))
    return tuple(generator.permutation(num_images).tolist())


@dataclass(frozen=True)
class Unreadable:
    """What a worker process hands over in place of a batch; an exception would come with its traceback as text."""

    message: str


class TrainBatches(Dataset[Batch | Unreadable]):
    """Item `step` is that step's batch, uint8 pixels on the CPU."""

    def __init__(
        self,
        labeled: LabeledSet,
        unlabeled: Sequence[Path] | None,
        views: TrainViews,
        batch_sizes: tuple[int, int],
        seed: int,
        cache_bytes: int,
        view_kinds: ViewKinds = ViewKinds(),  # noqa: B008 (frozen)
        num_real: int | None = None,
        synthetic_share: float | None = None,
        synthetic_weights: Sequence[float] = (),
        num_workers: int = 0,
    ):
        """`unlabeled` is None for methods that use none; `batch_sizes` are of labeled and unlabeled images.

        `view_kinds` says which views stand in `weak`, `strong` and `more` of a batch. The labeled images from
        number `num_real` on are synthetic: `synthetic_share` of each batch, to the nearest image, where it is given,
        and of `synthetic_weights` in the loss, one each (none given: 1). `num_workers` processes will share the memory
        for decoded images, `cache_bytes` in all.
        """
        self.view_kinds = view_kinds
        self.num_real = len(labeled) if num_real is None else num_real
        self.synthetic_share = synthetic_share
        num_synthetic = len(labeled) - self.num_real
        self.weights = [*[1.0] * self.num_real, *(synthetic_weights or [1.0] * num_synthetic)]
        if len(self.weights) != len(labeled):
            raise ValueError(f"{len(synthetic_weights)} weights for {num_synthetic} synthetic images")
        self.labeled, self.unlabeled, self.views = labeled, unlabeled, views
        self.batch_sizes = batch_sizes
        self.seed = seed
        self.num_workers = num_workers
        self.store = ImageStore(len(labeled) + len(unlabeled or ()), cache_bytes, num_workers)

    def __getitem__(self, step: int) -> Batch | Unreadable:
        try:
            return self._labeled(step), self._unlabeled(step) if self.unlabeled is not None else None
        except (ValueError, OSError) as error:
            return Unreadable(str(error))

    def _labeled(self, step: int) -> Labeled:
        seed = derived_seed(self.seed, "labeled")
        index = self._labeled_indices(seed, step)
        images = [self.store.read(i, self.labeled.examples[i].path) for i in index]
        weak, strong, more = self._views(images, seed, step, self.view_kinds.labeled)
        target = torch.tensor([self.labeled.examples[i].label for i in index])
        weight = torch.tensor([self.weights[i] for i in index])
        return Labeled(weak, strong, target, torch.tensor(index), weight, more)

    def _labeled_indices(self, seed: int, step: int) -> list[int]:
        size = self.batch_sizes[0]
        if self.synthetic_share is None:
            return whole_batches_of_passes(len(self.labeled), size, step, seed)
        num_synthetic = min(max(round(self.synthetic_share * size), 1), size - 1)
        real = whole_batches_of_passes(self.num_real, size - num_synthetic, step, derived_seed(seed, "real"))
        drawn = whole_batches_of_passes(
            len(self.labeled) - self.num_real, num_synthetic, step, derived_seed(seed, "synthetic")
        )
        return [*real, *(self.num_real + i for i in drawn)]

    def _unlabeled(self, step: int) -> Unlabeled:
        assert self.unlabeled is not None
        seed = derived_seed(self.seed, "unlabeled")
        index = whole_batches_of_passes(len(self.unlabeled), self.batch_sizes[1], step, seed)
        images = [self.store.read(len(self.labeled) + i, self.unlabeled[i]) for i in index]
        weak, strong, more = self._views(images, seed, step, self.view_kinds.unlabeled)
        return Unlabeled(weak, strong, torch.tensor(index), more)

    def _views(
        self, images: Sequence[Image.Image], seed: int, step: int, kinds: Sequence[str]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The first, the second and all further views: (b, 3, s, s) twice, and (k, b, 3, s, s)."""
        seeds = [derived_seed(seed, step, position) for position in range(len(images))]
        made = []
        for number, kind in enumerate(kinds):
            draw = kinds[:number].count(kind)  # two views of one kind are two draws
            words = "second" if draw == 1 else f"view {draw}"
            own = seeds if draw == 0 else [derived_seed(s, words) for s in seeds]
            made.append(self.views.of_batch(kind, images, own))
        first, second, *others = made
        return first, second, torch.stack(others) if others else first.new_empty(0, *first.shape)


def helpful_workers(device: torch.device, num_views: int, image_size: int) -> int:
    """How many processes that prepare batches of so many views make a training faster.

    On a CPU none: measured on 2 cores, one or two of them left a step of 0.58 s as it was, or made it a little longer.
    """
    if device.type == "cpu":
        return 0
    batch_bytes = 3 * image_size**2 * num_views
    room = shutil.disk_usage(SHARED_MEMORY).free if SHARED_MEMORY.is_dir() else 0  # containers may have very little
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(0, min(MAX_WORKERS, cores - 1, room // (BATCHES_PER_WORKER * batch_bytes)))


class TestBatches(Dataset[tuple[Tensor, Tensor] | Unreadable]):
    """Item `i` is the i-th batch of test views (b, 3, s, s) uint8 and their labels (b,)."""

    __test__ = False  # not a class of tests, whatever pytest makes of the name

    def __init__(
        self,
        test: LabeledSet,
        image_size: int,
        batch_size: int,
        cache_bytes: int,
        center_share: float = BENCHMARK_CENTER_SHARE,
    ):
        self.center_share = center_share
        self.test, self.image_size, self.batch_size = test, image_size, batch_size
        fits = 3 * image_size**2 * len(test) <= cache_bytes
        self.kept: list[tuple[Tensor, Tensor]] | None = [] if fits else None

    def __len__(self) -> int:
        return -(-len(self.test) // self.batch_size)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor] | Unreadable:
        examples = self.test.examples[number * self.batch_size : (number + 1) * self.batch_size]
        try:
            views = [test_view(read_rgb(example.path), self.image_size, self.center_share) for example in examples]
        except (ValueError, OSError) as error:
            return Unreadable(str(error))
        return torch.stack(views), torch.tensor([example.label for example in examples])


def train_batches(batches: TrainBatches, start: int, stop: int, num_workers: int, pin: bool) -> Iterator[Batch]:
    """The batches of steps `start` to `stop` - 1, prepared by `num_workers` processes.

    Raises:
        ValueError: an image that cannot be read, by name.
    """
    yield from _read(batches, range(start, stop), num_workers, pin)


def test_batches(batches: TestBatches, num_workers: int) -> Iterator[tuple[Tensor, Tensor]]:
    """All test batches; from memory the second time, where they fit."""
    if batches.kept:
        yield from batches.kept
        return
    collected = []
    for batch in _read(batches, range(len(batches)), num_workers, pin=False):
        if batches.kept is not None:
            collected.append(batch)
        yield batch
    batches.kept = collected if batches.kept is not None else None


def _read(dataset: Dataset, items: Sequence[int], num_workers: int, pin: bool) -> Iterator:
    num_workers = min(num_workers, os.cpu_count() or 1)  # more would wait for each other; they decide nothing
    loader = DataLoader(
        dataset,
        batch_size=None,
        sampler=items,
        num_workers=num_workers,
        pin_memory=pin,
        worker_init_fn=_own_signals,
        multiprocessing_context=_way_to_start() if num_workers else None,
    )
    for batch in loader:
        if isinstance(batch, Unreadable):
            raise ValueError(batch.message)
        yield batch


def _way_to_start() -> str | None:
    """A fork, where forks are sound, so that workers share the store's memory; None: Python's own way, which is another
    one in some launchers' processes.
    """
    return "fork" if sys.platform not in ("darwin", "win32") else None


def _own_signals(worker: int) -> None:
    """Ctrl-C reaches every process of the terminal: the training process alone decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
