"""What the first drawings look like is said when they are there, and of all at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ssl_aug import generate
from ssl_aug.data.base import Example
from ssl_aug.drawing.verdict import MOST_CHUNKS, difference_within, first_to_draw, verdict
from ssl_aug.reporting.looks import Look
from ssl_aug.synthetic import Request
from tests.conftest import write_image_folder


def chunks_of(labels: Sequence[int], size: int) -> list[list[Request]]:
    requests = [Request(Example(Path(f"{number}.png"), label), 0, 0, "") for number, label in enumerate(labels)]
    return [requests[first : first + size] for first in range(0, len(requests), size)]


def labels_in(chunks: Sequence[Sequence[Request]]) -> set[int]:
    return {request.source.label for chunk in chunks for request in chunk}


def scenes(count: int, seed: int = 0) -> list[Look]:
    """Smooth pictures that differ: each a few colored blocks."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (count, 4, 4, 3)).astype(np.uint8)
    return [Look(np.kron(block, np.ones((16, 16, 1), np.uint8))) for block in blocks]


def noise(count: int) -> list[Look]:
    rng = np.random.default_rng(0)
    return [Look(rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)) for _ in range(count)]


def gray(count: int) -> list[Look]:
    return [Look(np.full((64, 64, 3), 128, np.uint8)) for _ in range(count)]


def test_the_first_chunks_are_of_several_classes() -> None:
    chunks = chunks_of([0] * 40 + [1] * 40 + [2] * 40 + [3] * 40, size=10)
    order, number = first_to_draw(chunks)
    assert number == MOST_CHUNKS and len(labels_in(order[:number])) == 3
    assert sorted(map(id, order)) == sorted(map(id, chunks))
    assert order[number:] == [chunk for chunk in chunks if chunk not in order[:number]]


@pytest.mark.parametrize("labels", [[0, 1, 2, 3] * 8, [0] * 32])
def test_where_the_first_chunk_is_of_all_that_there_are_the_order_stays(labels: list[int]) -> None:
    chunks = chunks_of(labels, size=8)
    assert first_to_draw(chunks) == (chunks, 1)


@pytest.mark.parametrize(
    ("drawn", "said"),
    [
        (gray(16), ["16 of the first 16 drawings are nearly one color"]),
        (noise(16), ["16 of the first 16 drawings are little more than noise"]),
        (scenes(1) * 16, ["the first 16 drawings are all alike (any two correlate by 1.00"]),
        ([*scenes(9), *noise(7)], []),
        (scenes(16, seed=1), []),
        (gray(7), []),  # too few to say anything
    ],
)
def test_what_is_wrong_with_most_is_told(drawn: list[Look], said: list[str]) -> None:
    lines = verdict(drawn, scenes(16), [], 4)
    assert len(lines) == len(said)
    assert all(
        line.startswith(f"warning: {words}") and ": " in line[9:] for line, words in zip(lines, said, strict=True)
    )


@pytest.mark.parametrize("looks", [gray(16), noise(16), scenes(1) * 16])
def test_what_the_labeled_images_look_like_themselves_is_not_wrong(looks: list[Look]) -> None:
    assert verdict(looks, looks, [], 4) == []


@pytest.mark.parametrize(("told", "is_warned"), [(16, False), (9, False), (4, True), (0, True)])
def test_drawings_of_no_class_are_told_by_a_test_against_chance(told: int, is_warned: bool) -> None:
    """Of 16 with chance 1/4, 8 or more come about by chance in 2.7 % of all cases, 7 or more in 8 %."""
    (line,) = verdict(scenes(16), scenes(16), [0.9] * told + [0.1] * (16 - told), 4)
    assert f"CLIP tells the class of {told} of the first 16 drawings (by chance 25%)" in line
    assert line.startswith("warning: ") == is_warned


def test_the_difference_within_groups_is_that_of_their_pairs() -> None:
    a, b, c = scenes(3)
    assert difference_within(["x", "x", "y"], [a, a, b]) == pytest.approx(0, abs=1e-6)
    assert difference_within(["x", "y", "z"], [a, b, c]) is None
    straight, other = a.facts.signature, b.facts.signature
    assert difference_within(["x", "x"], [a, b]) == pytest.approx(1 - float(straight @ other), abs=1e-6)


def test_a_drawing_ends_with_numbers_and_the_line_that_opens_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image_folder(tmp_path / "photos")
    data = ["data=image_folder", "data.root=photos", "data.labels_per_class=3"]
    generate.main([*data, "generator=noise", "per_sample=2", "device=cpu", "precision=fp32", "--out", "set"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "18 images in set"
    assert lines[1].startswith("of 18 drawings: ") and "near-copies" in lines[1] and "differ by" in lines[1]
    assert lines[3] == "python -m ssl_aug.report synthetic.root=set"
