"""What the first drawings look like, said before hours are spent on the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from ssl_aug.reporting.findings import ALL_ALIKE, TOLD
from ssl_aug.reporting.looks import is_blank, is_noise, mean_correlation, read_looks, signatures
from ssl_aug.synthetic import Request

CLASSES = 4  # that the first drawings should be of
MOST_CHUNKS = 3  # drawn before the verdict, to reach so many
FEWEST = 8  # drawings that say anything
ALPHA = 0.05  # of the test against chance

SIZE = 64  # pixels of a side at which they are looked at

Chunk = Sequence[Request]
Pixels = NDArray[np.uint8]


def first_to_draw(chunks: Sequence[Chunk]) -> tuple[list[Chunk], int]:
    """The chunks in an order in which the first few are of several classes, and how many these are.

    The order in which chunks are drawn decides nothing else: what a chunk holds is the same in any.
    """
    first: list[int] = []
    seen: set[int] = set()
    wanted = min(CLASSES, len({request.source.label for chunk in chunks for request in chunk}))
    for place in _at_distances(len(chunks)):
        labels = {request.source.label for request in chunks[place]}
        if not first or not labels <= seen:
            first.append(place)
            seen |= labels
        if len(first) == MOST_CHUNKS or len(seen) >= wanted:
            break
    order = [*first, *(place for place in range(len(chunks)) if place not in first)]
    return [chunks[place] for place in order], len(first)


def pixels_of(paths: Sequence[Path]) -> list[Pixels]:
    """The pictures in these files, without those that cannot be read."""
    return [look.pixels for look in read_looks(paths, SIZE, hidden=True) if look.pixels is not None]


def verdict(
    drawn: Sequence[Pixels], labeled: Sequence[Pixels], class_scores: Sequence[float], num_classes: int
) -> list[str]:
    """Lines on the first drawings: one that tells what CLIP makes of them, and warnings of what looks wrong.

    Args:
        drawn, labeled: the drawings and the images that they were drawn from, (s, s, 3) in 0..255 at SIZE.
        class_scores: the manifest's; empty where the generator has no CLIP.
    """
    if len(drawn) < FEWEST:
        return []
    lines = []
    for looks_so, words, way_out in (
        (is_blank, "nearly one color", "look at the weights, and at precision=fp32"),
        (is_noise, "little more than noise", "more tune.steps, more steps, or weights that know such images"),
    ):
        count = sum(map(looks_so, drawn))
        if 2 * count >= len(drawn) and 2 * sum(map(looks_so, labeled)) < len(labeled):
            lines.append(f"warning: {count} of the first {len(drawn)} drawings are {words}: {way_out}")
    alike, before = mean_correlation(signatures(drawn)), mean_correlation(signatures(labeled))
    if alike >= ALL_ALIKE > before:
        lines.append(
            f"warning: the first {len(drawn)} drawings are all alike (any two correlate by {alike:.2f}, their labeled "
            f"images by {before:.2f}): less guidance, a larger mask_rate, or fewer tune.steps"
        )
    if class_scores and num_classes > 1:
        told, chance = sum(score >= TOLD for score in class_scores), 1 / num_classes
        lines.append(
            f"CLIP tells the class of {told} of the first {len(class_scores)} drawings (by chance {chance:.0%})"
        )
        if binomtest(told, len(class_scores), chance, alternative="greater").pvalue > ALPHA:
            lines[-1] = (
                f"warning: {lines[-1]}: they show no class that it knows; more tune.steps, a smaller mask_rate, "
                "condition=image+class where the weights take a prompt, or look at them yourself"
            )
    return lines


def _at_distances(count: int) -> list[int]:
    """0, the middle, the quarters, and so on: places that lie far apart first."""
    found, step = [0], count
    while step > 1:
        step = (step + 1) // 2
        found += [place for place in range(0, count, step) if place not in found]
    return found[:count]
