"""Ten times the images take ten times as long, not a hundred times: the set's lists, from requests to opening."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from ssl_aug.data.base import Example, LabeledSet
from ssl_aug.synthetic import SetWriter, SyntheticSet, kept, make_chunks, make_requests, write_manifest
from ssl_aug.synthetic.manifest import Row
from tests.ssl_aug.synthetic.test_synthetic import FACTS, fake_png

FEW, MANY = 2_500, 25_000
MOST = 2 * MANY / FEW  # times as long; what grows with the square takes a hundred
NOTHING = 0.01  # seconds, below which noise is measured

T = TypeVar("T")


class Clock:
    """Seconds of the processor, step by step, without the garbage collector's: it comes to large sets alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, step: str, act: Callable[[], T]) -> T:
        gc.disable()
        began = time.process_time()
        made = act()
        self.seconds[step] = time.process_time() - began
        gc.enable()
        return made


def write_lists(lists: list[Path], rows: list[list[Row]]) -> None:
    for path, of_chunk in zip(lists, rows, strict=True):
        write_manifest(path, of_chunk)


def steps_of(folder: Path, num_images: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """How long each step takes with a set of this many images, none of which is on disk."""
    classes = tuple(f"class {label}" for label in range(50))
    examples = tuple(Example(Path(f"photos/{i % 50}/{i}.jpg"), i % 50) for i in range(num_images // 10))
    labeled, clock = LabeledSet(examples, classes), Clock()
    requests = make_requests(labeled, 10, seed=0)
    chunks = make_chunks(requests, 100)
    hashes = dict[Path, str]()
    is_file = Path.is_file
    with monkeypatch.context() as patch:
        patch.setattr(LabeledSet, "id", "0" * 12)  # it would read them
        patch.setattr(Path, "is_file", lambda path: path.suffix == ".png" or is_file(path))
        patch.setattr(kept, "content_hashes", lambda paths: [hashes[path] for path in paths])
        writer = SetWriter(folder, {"seed": 0}, labeled)
        rows = [[writer._row(request, fake_png(request), FACTS) for request in chunk] for chunk in chunks]
        hashes |= {folder / row["path"]: row["sha256"] for of_chunk in rows for row in of_chunk}
        clock("make requests", lambda: make_chunks(make_requests(labeled, 10, seed=0), 100))
        lists = [writer.work / f"{number:05d}.csv" for number in range(len(rows))]
        clock("list", partial(write_lists, lists, rows))
        clock("go on", writer.done)
        clock("merge", lambda: writer.finish(requests, "card", {}))
        opened = clock("open", lambda: SyntheticSet.open(folder))
        clock("go on when finished", writer.done)
        clock("check", partial(opened.require_sources, labeled))
        clock("use", lambda: (opened.id, opened.examples, opened.first(5)))
    assert len(opened) == num_images
    return clock.seconds


@pytest.mark.slow
def test_every_step_grows_with_the_number_of_images_and_no_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, many = (steps_of(tmp_path / str(count), count, monkeypatch) for count in (FEW, MANY))
    slow = {step: (few[step], seconds) for step, seconds in many.items() if seconds > MOST * max(few[step], NOTHING)}
    assert slow == {}
