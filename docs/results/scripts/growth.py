"""How time and memory grow with images, classes, runs and unlabeled images: from 1,000 to 1,000,000 of them.

python docs/results/scripts/growth.py [folder for files, on a disk]

Each part and size is a process of its own with one thread. Seconds are the processor's, the least of three rounds (of
those that begin within 3 seconds); megabytes are what the process held at its peak beyond what was there before.
Prints the table of the page and writes growth.csv and growth.png beside it.
"""

from __future__ import annotations

import csv
import gc
import hashlib
import math
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple
from unittest.mock import patch

import torch
from PIL import Image

from benchmarks.evaluation import accuracy
from benchmarks.loaders import whole_batches_of_passes
from benchmarks.methods.flexmatch import FlexMatch, FlexMatchSettings, flexible_thresholds
from benchmarks.methods.self_tuning import enqueue, group_contrast
from generators.borrowing import class_means, differences
from generators.settings import SamplingSettings
from ssl_aug.data import copies
from ssl_aug.data.base import Dataset, Example, LabeledSet, Split
from ssl_aug.data.image_folder import load
from ssl_aug.data.settings import DataSettings
from ssl_aug.data.split import few_label_split
from ssl_aug.drawing.generator import facts_of
from ssl_aug.drawing.lenders import lenders_of
from ssl_aug.drawing.scores import prototypes
from ssl_aug.drawing.verdict import first_to_draw
from ssl_aug.export.content import Content
from ssl_aug.export.settings import ExportSettings
from ssl_aug.export.writing import export_content
from ssl_aug.reporting.looks import WIDTH, nearest, same_from
from ssl_aug.results.accuracies import build_report, read_runs
from ssl_aug.results.result import RunResult
from ssl_aug.synthetic import SetWriter, SyntheticSet, kept, make_chunks, make_requests, write_manifest

CLASSES, PER_SAMPLE, CHUNK, CLIP_WIDTH = 100, 10, 100, 64
SHA = hashlib.sha256(b"png").hexdigest()
FACTS = {
    "mask_rate": "0.5", "mask_box": "1 2 3 4", "sampler": "ddim", "steps": "200", "guidance": "1.0",
    "source_score": "0.123", "class_score": "0.234", "lender": "class 1/image_1.jpg",
}  # fmt: skip

Act = Callable[[], object]


class Part(NamedTuple):
    """One line of the plot."""

    group: str
    name: str
    unit: str  # what there are so many of
    ready: Callable[[int, Path], Act]  # (count, an empty folder) -> what is timed
    most: int = 10**5


def labeled_images(count: int, num_classes: int = CLASSES) -> LabeledSet:
    """Images that are not there, class after class in turns."""
    examples = tuple(
        Example(Path(f"photos/class {number % num_classes}/image_{number}.jpg"), number % num_classes)
        for number in range(count)
    )
    return LabeledSet(examples, tuple(f"class {label}" for label in range(num_classes)))


def dataset(count: int, num_classes: int = CLASSES) -> Dataset:
    """So many training images and a tenth as many to test on."""
    return Dataset(
        "made", labeled_images(count, num_classes), labeled_images(max(num_classes, count // 10), num_classes)
    )


# ---------------------------------------------------------------------------------------------------------------------
# a set's lists


@contextmanager
def without_pictures() -> Iterator[None]:
    """Every drawing is there, as it was drawn."""
    is_file = Path.is_file
    with (
        patch.object(LabeledSet, "id", "0" * 12),
        patch.object(Path, "is_file", lambda path: path.suffix == ".png" or is_file(path)),
        patch.object(kept, "content_hashes", lambda paths: [SHA] * len(paths)),
    ):
        yield


def listed(count: int, folder: Path) -> tuple[SetWriter, LabeledSet]:
    """A set of which all chunks are drawn, none is merged."""
    labeled = labeled_images(count // PER_SAMPLE)
    drawn = SetWriter(folder, {"seed": 0}, labeled)
    write_lists(drawn, labeled)
    return drawn, labeled


def write_lists(drawn: SetWriter, labeled: LabeledSet) -> None:
    for number, chunk in enumerate(make_chunks(make_requests(labeled, PER_SAMPLE, 0), CHUNK)):
        write_manifest(drawn.work / f"{number:07d}.csv", [drawn._row(request, b"png", FACTS) for request in chunk])


def of_list(step: str) -> Callable[[int, Path], Act]:
    """A step of a set's life."""

    def ready(count: int, folder: Path) -> Act:
        with without_pictures():
            if step == "list":
                labeled = labeled_images(count // PER_SAMPLE)
                drawn = SetWriter(folder, {"seed": 0}, labeled)
                act: Act = lambda: write_lists(drawn, labeled)  # noqa: E731
            else:
                drawn, labeled = listed(count, folder)
                act = drawn.done
                if step in ("merge", "open", "go on when finished", "use"):
                    requests = make_requests(labeled, PER_SAMPLE, 0)
                    act = lambda: drawn.finish(requests, "card", {})  # noqa: E731
                if step in ("open", "go on when finished", "use"):
                    act()
                    del requests
                    act = drawn.done if step == "go on when finished" else lambda: SyntheticSet.open(folder)
                if step == "use":
                    act = partial(use, SyntheticSet.open(folder), labeled)

        def timed() -> None:
            with without_pictures():
                act()

        return timed

    return ready


def use(opened: SyntheticSet, labeled: LabeledSet) -> None:
    opened.require_sources(labeled)
    assert len(opened.first(9).examples) >= len(opened.first(5).id)


def requests(count: int, folder: Path) -> Act:
    labeled = labeled_images(count // PER_SAMPLE)
    return lambda: first_to_draw(make_chunks(make_requests(labeled, PER_SAMPLE, 0), CHUNK))


def facts(count: int, folder: Path) -> Act:
    """The manifest's cells of all chunks, as a run asks for them."""
    labeled, sampling = labeled_images(count // PER_SAMPLE), SamplingSettings()
    chunks = make_chunks(make_requests(labeled, PER_SAMPLE, 0), CHUNK)

    def act() -> None:
        lenders = lenders_of(labeled)
        for chunk in chunks:
            facts_of(chunk, sampling, lenders, None)  # type: ignore[arg-type]  # a generator that borrows nothing

    return act


# ---------------------------------------------------------------------------------------------------------------------
# data


def split_of_images(count: int, folder: Path) -> Act:
    data = dataset(count)
    return lambda: few_label_split(data, 4, 0)


def split_of_classes(count: int, folder: Path) -> Act:
    data = dataset(10 * count, count)
    return lambda: few_label_split(data, 4, 0)


def copies_of(count: int, folder: Path) -> Act:
    """Files of 100 sizes, so that all are compared; their hashes are remembered."""
    data = dataset(count)

    def act() -> None:
        with (
            patch.object(Path, "stat", lambda path: SimpleNamespace(st_size=len(path.name) % 7)),
            patch.object(copies, "contents_of", lambda paths: [path.name for path in paths]),
        ):
            copies.notes_on_copies(Dataset("made", data.train, LabeledSet((), data.class_names)))

    return act


def pictures(count: int, folder: Path) -> tuple[Path, ...]:
    """Pictures of one pixel in class folders: a thousand, each many times (hard links)."""
    paths: list[Path] = []
    for number in range(count):
        path = folder / "train" / f"class {number % CLASSES:02d}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number < 1000:
            Image.new("RGB", (1, 1), (number % 256, number // 256, 0)).save(path)
        else:
            path.hardlink_to(paths[number % 1000])
        paths.append(path)
    return tuple(paths)


def load_folder(count: int, folder: Path) -> Act:
    pictures(count, folder)
    return lambda: load(DataSettings(name="image_folder", root=str(folder), labels_per_class=None))


def identify(count: int, folder: Path) -> Act:
    """Read in the first round, and looked up later where they are old enough for that."""
    examples = tuple(Example(path, 0) for path in pictures(count, folder))
    return lambda: LabeledSet(examples, ("class",)).id


def exported(target: str) -> Callable[[int, Path], Act]:
    """A tenth of the pictures is labeled, the others are not."""

    def ready(count: int, folder: Path) -> Act:
        paths = pictures(count, folder / "photos")
        labeled = tuple(
            Example(path, number % CLASSES) for number, path in enumerate(paths[: max(CLASSES, count // 10)])
        )
        names = tuple(f"class {label}" for label in range(CLASSES))
        split = Split(LabeledSet(labeled, names), paths[len(labeled) :], LabeledSet((), names))
        rounds = iter(range(9))

        def act() -> None:
            link = "copy" if target in ("numpy", "webdataset") else "hard"
            out = str(folder / f"out{next(rounds)}")
            export_content(Content(split, None), ExportSettings(to=target, out=out, real_only=True, link=link))

        return act

    return ready


# ---------------------------------------------------------------------------------------------------------------------
# class means, training, tables


def means_of_images(count: int, folder: Path) -> Act:
    """Images without label around the centers of 100 classes."""
    draw = torch.Generator().manual_seed(0)
    centers = 3 * torch.randn(CLASSES, CLIP_WIDTH, generator=draw)
    labels = torch.arange(4 * CLASSES) % CLASSES
    tokens = centers[labels] + torch.randn(len(labels), CLIP_WIDTH, generator=draw)
    others = torch.randn(count, CLIP_WIDTH, generator=draw).add_(centers[torch.arange(count) % CLASSES])
    return lambda: class_means(tokens, labels, CLASSES, others)


def means_of_classes(count: int, folder: Path) -> Act:
    """Four labeled images of each, as every drawing with condition=borrowed begins."""
    tokens = torch.randn(4 * count, CLIP_WIDTH, generator=torch.Generator().manual_seed(0))
    names = [f"class {number % count}" for number in range(4 * count)]
    return lambda: (differences(tokens, names), prototypes(tokens, torch.arange(4 * count) % count, count))


def near_copies(count: int, folder: Path) -> Act:
    """2,000 drawings beside so many labeled images."""
    marks = torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(0)).numpy()
    return lambda: (nearest(marks[:2000], marks), same_from(marks))


def flexmatch(count: int, folder: Path) -> Act:
    """Thresholds and counts of 100 steps."""
    method = FlexMatch(FlexMatchSettings())
    method.prepare(SimpleNamespace(num_classes=CLASSES), 4, count)  # type: ignore[arg-type]

    def act() -> None:
        for step in range(100):
            flexible_thresholds(method.counts[:-1], method.counts[-1], 0.95, True)
            method.remember((torch.arange(64) * 7919 + step) % count, torch.arange(64) % CLASSES)

    return act


def batches(count: int, folder: Path) -> Act:
    """Which images 100 steps see, of a pass that is shuffled first."""
    seeds = iter(range(9))

    def act() -> None:
        seed = next(seeds)
        for step in range(100):
            whole_batches_of_passes(count, 64, step, seed)

    return act


def self_tuning(count: int, folder: Path) -> Act:
    """Contrast with the queue of so many classes, its gradient, and new keys in the queue: one step."""
    queue = torch.nn.functional.normalize(torch.randn(count, 32, CLIP_WIDTH), dim=2)
    pointer, label = torch.zeros(count, dtype=torch.long), torch.arange(32) * 31 % count
    key = torch.nn.functional.normalize(torch.randn(32, CLIP_WIDTH), dim=1)

    def act() -> None:
        query = key.clone().requires_grad_()
        group_contrast(query, key, label, queue.clone(), 0.07).backward()
        enqueue(queue, pointer, key, label)

    return act


def evaluated(count: int, folder: Path) -> Act:
    """Ten test images of each class."""
    targets = torch.arange(10 * count) % count
    return lambda: accuracy(targets.roll(1), targets)


def results(count: int) -> list[RunResult]:
    """Six methods with and without synthetic images, 30 settings each, of which one varies."""
    names = ("erm", "pseudo_label", "uda", "fixmatch", "self_tuning", "flexmatch")
    return [
        RunResult(
            status="done", method=names[number % 6], augment=bool(number // 6 % 2), protocol="benchmark", data="made",
            labels_per_class=4, seed=number // 24, model="embedded", num_synthetic=0, num_test=1000, steps=100,
            labeled_set_id="abc", accuracy_last=50.0 + number % 7,
            settings={f"setting.{each}": each for each in range(30)} | {"train.lr": number // 12 % 2},
        )
        for number in range(count)
    ]  # fmt: skip


def table(count: int, folder: Path) -> Act:
    runs = {Path(str(number)): run for number, run in enumerate(results(count))}
    return lambda: build_report(runs, "last")


def read_results(count: int, folder: Path) -> Act:
    for number, run in enumerate(results(count)):
        (folder / f"{number:06d}").mkdir()
        run.write(folder / f"{number:06d}")
    return lambda: read_runs(folder)


SET, DATA, TRAINING, EXPORT = "a set's lists", "data", "drawing, training, tables", "exports (pictures of one pixel)"
PARTS = (
    Part(SET, "requests and chunks", "images", requests),
    Part(SET, "facts of the drawings", "images", facts),
    Part(SET, "write the chunks' lists", "images", of_list("list")),
    Part(SET, "go on (read them)", "images", of_list("go on")),
    Part(SET, "merge and open", "images", of_list("merge")),
    Part(SET, "open a finished set", "images", of_list("open")),
    Part(SET, "go on when finished", "images", of_list("go on when finished")),
    Part(SET, "id, examples, check of sources", "images", of_list("use")),
    Part(DATA, "split", "images", split_of_images, 10**6),
    Part(DATA, "split, 10 images a class", "classes", split_of_classes),
    Part(DATA, "copies", "images", copies_of, 10**6),
    Part(DATA, "read an image folder", "images", load_folder),
    Part(DATA, "labeled set's id", "images", identify),
    Part(TRAINING, "class means, 100 classes", "unlabeled images", means_of_images, 10**6),
    Part(TRAINING, "class means, 4 images a class", "classes", means_of_classes, 10**4),
    Part(TRAINING, "near-copies among 2,000 drawings", "labeled images", near_copies, 10**4),
    Part(TRAINING, "FlexMatch, 100 steps", "unlabeled images", flexmatch, 10**6),
    Part(TRAINING, "batch numbers, 100 steps", "unlabeled images", batches, 10**6),
    Part(TRAINING, "Self-Tuning's queue, a step", "classes", self_tuning),
    Part(TRAINING, "mean class accuracy", "classes", evaluated),
    Part(TRAINING, "accuracy table", "runs", table),
    Part(TRAINING, "read results", "runs", read_results, 10**4),
    *(Part(EXPORT, f"--to {target}", "images", exported(target), 10**4)
      for target in ("folder", "lists", "usb", "numpy", "hf", "webdataset")),
)  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
# measuring

PAGE = Path(__file__).parent.parent
FORK = multiprocessing.get_context("fork")  # the libraries are there already
SIZES = (10**3, 10**4, 10**5, 10**6)
ROUNDS, LONG = 3, 3.0  # seconds
LEAST_SECONDS, LEAST_MEGABYTES = 1e-4, 0.1  # below which nothing is told apart


class Measured(NamedTuple):
    """One point of the plot."""

    part: Part
    size: int
    seconds: float
    megabytes: float


def main() -> None:
    """Measures all."""
    torch.set_num_threads(1)
    scratch = Path(tempfile.mkdtemp(prefix="growth-", dir=sys.argv[1] if sys.argv[1:] else None))
    try:
        found = [measured(part, count, scratch) for part in PARTS for count in SIZES if count <= part.most]
    finally:
        shutil.rmtree(scratch)
    with (PAGE / "growth.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["group", "part", "unit", "count", "cpu_seconds", "megabytes"])
        for one in found:
            writer.writerow([one.part.group, one.part.name, one.part.unit, one.size, *figures(one)])
    print(as_markdown(found))
    plot(found, PAGE / "growth.png")


def measured(part: Part, count: int, scratch: Path) -> Measured:
    """A part at one size, in a process of its own."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    here, there = FORK.Pipe()
    process = FORK.Process(target=measure_here, args=(part, count, folder, there))
    process.start()
    there.close()
    one = Measured(part, count, *here.recv())
    process.join()
    shutil.rmtree(folder)
    print(f"{part.name}, {count}: {one.seconds:.4f} s, {one.megabytes:.1f} MB", file=sys.stderr, flush=True)
    return one


def measure_here(part: Part, count: int, folder: Path, told: Connection) -> None:
    """Sends seconds of the processor and megabytes of one part."""
    os.environ["SSL_AUG_CACHE"] = str(folder / "cache")
    (folder / "work").mkdir()
    act = part.ready(count, folder / "work")
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before, seconds, peak = held_megabytes("VmRSS"), list[float](), 0.0
    while len(seconds) < ROUNDS and sum(seconds) <= LONG:
        start = time.process_time()
        act()
        seconds.append(time.process_time() - start)
        peak = peak or held_megabytes("VmHWM")  # of the first round: later ones take what it has let go
    told.send((min(seconds), peak - before))


def held_megabytes(kind: str) -> float:
    """VmRSS, what the process holds, or VmHWM, the most that it held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(kind)).split()[1]) / 1024


def figures(one: Measured) -> tuple[str, str]:
    return f"{one.seconds:.5f}", f"{max(0.0, one.megabytes):.1f}"


def slope(of: list[Measured], figure: str, least: float) -> str:
    """log of the ratio over log of the sizes, of the two largest sizes; a dash where nothing is told apart."""
    few, many = (max(least, getattr(one, figure)) for one in of[-2:])
    return "-" if many < 10 * least else f"{math.log(many / few) / math.log(of[-1].size / of[-2].size):.2f}"


def as_markdown(found: list[Measured]) -> str:
    """A row for each part: figures at the two largest sizes, and slopes between them."""
    lines = ["| part | of so many | CPU seconds | slope | MB | slope |", "|---|---|---:|---:|---:|---:|"]
    for part in PARTS:
        own = [one for one in found if one.part is part]
        last = own[-1]
        lines.append(
            f"| {part.name} | {last.size:,} {part.unit} | {last.seconds:.3g} | "
            f"{slope(own, 'seconds', LEAST_SECONDS)} | {max(0.0, last.megabytes):.0f} | "
            f"{slope(own, 'megabytes', LEAST_MEGABYTES)} |"
        )
    return "\n".join(lines)


def plot(found: list[Measured], path: Path) -> None:
    """Time and memory beside each other, a row for each group of parts."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    groups = list(dict.fromkeys(part.group for part in PARTS))
    figure, axes = plt.subplots(len(groups), 2, figsize=(12, 3.6 * len(groups)), layout="constrained")
    for row, group in zip(axes, groups, strict=True):
        parts = [part for part in PARTS if part.group == group]
        for axis, what, least in zip(row, ("seconds", "megabytes"), (LEAST_SECONDS, LEAST_MEGABYTES), strict=True):
            for number, part in enumerate(parts):
                own = [one for one in found if one.part is part]
                values = [max(least, getattr(one, what)) for one in own]
                label = f"{part.name} ({part.unit})" if part.unit != "images" else part.name
                axis.plot(
                    [one.size for one in own], values, "os^vD<>pP"[number] + "-", label=label, markersize=4, lw=1.2
                )
            start = 3 * least
            axis.plot(SIZES, [start * count / SIZES[0] for count in SIZES], "k--", lw=1, label="slope 1")
            axis.set(xscale="log", yscale="log", title=f"{group}: {'CPU seconds' if what == 'seconds' else 'MB'}")
            axis.grid(alpha=0.3)
        row[1].legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=8, frameon=False)
    axes[-1][0].set_xlabel("how many")
    axes[-1][1].set_xlabel("how many")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
