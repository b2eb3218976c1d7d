"""What drawings look like in a few lines: of the first ones before hours are spent, and of all at the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import binomtest

from ssl_aug.data.base import LabeledSet
from ssl_aug.reporting.findings import ALL_ALIKE, COPY, TOLD, judge
from ssl_aug.reporting.looks import Look, mean_correlation, read_looks, signatures
from ssl_aug.reporting.subject import read_subject
from ssl_aug.synthetic import Request, SyntheticSet

CLASSES = 4  # that the first drawings should be of
MOST_CHUNKS = 3  # drawn before the verdict, to reach so many
FEWEST = 8  # drawings that say anything
ALPHA = 0.05  # of the test against chance
SIZE = 64  # pixels of a side at which they are looked at
MOST_SEEN = 2000  # drawings of a set that are looked at in the end
NOISE_HELP = "more tune.steps, more steps, or weights that know such images"
CLASS_HELP = "more tune.steps, a smaller mask_rate, or condition=image+class where the weights take a prompt"

Chunk = Sequence[Request]


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


def _at_distances(count: int) -> Iterator[int]:
    """0, the middle, the quarters, and so on: places that lie far apart first."""
    given, step = set[int](), count
    while step:
        for place in range(0, count, step):
            if place not in given:
                given.add(place)
                yield place
        step = (step + 1) // 2 if step > 1 else 0


def verdict(
    drawn: Sequence[Look], labeled: Sequence[Look], class_scores: Sequence[float], num_classes: int
) -> list[str]:
    """Lines on the first drawings: one that tells what CLIP makes of them, and warnings of what looks wrong.

    Args:
        labeled: the images that they were drawn from. What these look like themselves is not wrong.
        class_scores: the manifest's; empty where the generator has no CLIP.
    """
    if len(drawn) < FEWEST:
        return []
    first, lines = f"of the first {len(drawn)} drawings", []
    blank, noisy = sum(look.facts.is_blank for look in drawn), sum(look.facts.is_noise for look in drawn)
    if 2 * blank >= len(drawn) and 2 * sum(look.facts.is_blank for look in labeled) < len(labeled):
        lines.append(f"warning: {blank} {first} are nearly one color: look at the weights, and at precision=fp32")
    if 2 * noisy >= len(drawn) and 2 * sum(look.facts.is_noise for look in labeled) < len(labeled):
        lines.append(f"warning: {noisy} {first} are little more than noise: {NOISE_HELP}")
    alike, before = mean_correlation(signatures(drawn)), mean_correlation(signatures(labeled))
    if alike >= ALL_ALIKE > before:
        lines.append(
            f"warning: the first {len(drawn)} drawings are all alike (any two correlate by {alike:.2f}, their labeled "
            f"images by {before:.2f}): less guidance, a larger mask_rate, or fewer tune.steps"
        )
    if class_scores and num_classes > 1:
        told, chance = sum(score >= TOLD for score in class_scores), 1 / num_classes
        line = f"CLIP tells the class of {told} {first} (by chance {chance:.0%})"
        is_chance = binomtest(told, len(class_scores), chance, alternative="greater").pvalue > ALPHA
        lines.append(f"warning: {line}, they may be of no class: {CLASS_HELP}" if is_chance else line)
    return lines


def in_numbers(synthetic: SyntheticSet, labeled: LabeledSet) -> str:
    """Agreement by CLIP, near-copies and diversity of a finished set, in a line; of a large one, of a part of it."""
    subject = read_subject(synthetic.folder, labeled, per_sample=1 + max(int(row["k"]) for row in synthetic.rows))
    step = max(1, len(subject.drawings) // MOST_SEEN)
    subject = replace(subject, drawings=tuple(each for each in subject.drawings[::step] if not each.state))
    paths = [*(each.path for each in subject.drawings), *subject.labeled.values()]
    looks = read_looks(paths, SIZE, hidden=len(paths) < MOST_SEEN // 4)
    drawn, known = (
        looks[: len(subject.drawings)],
        dict(zip(subject.labeled, looks[len(subject.drawings) :], strict=True)),
    )
    copies = sum(COPY in each.flags for each in judge(subject, drawn, known))
    scores = [score for each in subject.drawings if (score := each.score("class_score")) is not None]
    parts = [f"{copies / max(1, len(drawn)):.0%} are near-copies of a labeled image"]
    if scores:
        parts.insert(0, f"CLIP tells the class of {np.mean([score >= TOLD for score in scores]):.0%}")
    within = difference_within([each.source for each in subject.drawings], drawn)
    of_class = difference_within([label for label, _ in known], list(known.values()))
    if within is not None:
        beside = "" if of_class is None else f" (labeled images of a class: {of_class:.2f})"
        parts.append(f"two of one labeled image differ by {within:.2f}{beside}")
    return f"of {len(drawn)} drawings: {', '.join(parts)}"


def difference_within(groups: Sequence[Hashable], looks: Sequence[Look]) -> float | None:
    """Mean over pairs of pictures of one group of 1 - their correlation at 16 x 16 pixels, 0 to 2; None without one."""
    members: dict[Hashable, list[int]] = defaultdict(list)
    for place, group in enumerate(groups):
        members[group].append(place)
    marks, pairs, total = signatures(looks), 0, 0.0
    for places in members.values():
        own = marks[places][np.linalg.norm(marks[places], axis=1) > 0]
        if len(own) > 1:
            number = len(own) * (len(own) - 1)
            pairs, total = pairs + number, total + number * (1 - mean_correlation(own))
    return total / pairs if pairs else None
