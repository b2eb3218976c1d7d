"""What looks wrong with a set, by its pictures and its manifest's scores: flags of drawings, and sentences."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ssl_aug.reporting.looks import SAME, Look, mean_correlation, nearest, same_from, signatures
from ssl_aug.reporting.subject import ALTERED, DELETED, REJECTED, Drawing, Key, Subject

TOLD = 0.5  # class_score: CLIP gives the class more than all the others together
LOW_SHARE = 0.5  # of a class's drawings of which CLIP tells the class: below it the class is named
BLIND = 0.9  # median source_score from which CLIP finds all drawings near their labeled images, copies or not
ALL_ALIKE = 0.9  # mean correlation of all pairs from which a set shows one thing
UNREADABLE, BLANK, GRAINY, ALIKE, COPY, LOW = "unreadable", "blank", "noise", "alike", "near-copy", "low-score"
FLAGS = {  # what a drawing may be, in the order in which it is told
    BLANK: "nearly one color",
    GRAINY: "little more than noise",
    UNREADABLE: "cannot be read",
    ALTERED: "not as it was drawn",
    DELETED: "its file is gone",
    ALIKE: "repeats another drawing",
    COPY: "near-copy of a labeled image",
    LOW: f"class score below {TOLD:g}",
    REJECTED: "listed in rejected.txt",
}
NEARER = "Where labeled images are as near to each other, that limit is higher."
HOW = {  # what a flag means, and what to do about it
    BLANK: "Their pixels hardly differ. Look at the weights and at precision=fp32, then draw the set again.",
    GRAINY: "Their neighboring pixels have little to do with each other. Dense textures look so too; if yours do not, "
    "look at the weights, and at whether the sampler has enough steps.",
    UNREADABLE: "Delete them, or draw them again with the same command and synthetic.refill=true.",
    ALTERED: "Their content differs from the manifest's sha256. A training refuses them: delete them, list them in "
    "rejected.txt, or draw them again with synthetic.refill=true.",
    DELETED: "They were thrown out and are left out of every training. synthetic.refill=true draws them again.",
    ALIKE: f"At 16 x 16 pixels they correlate by {SAME:g} or more with another drawing of their class, and add little "
    f"to it. {NEARER} Of a tuned generator, less guidance or a larger mask_rate varies more.",
    COPY: f"At 16 x 16 pixels, as they are or mirrored, they correlate by {SAME:g} or more with a labeled image, or "
    f"their source_score in CLIP's space is {SAME:g} or more where most are below {BLIND:g}. {NEARER} Of a tuned "
    "generator, fewer tune.steps or a larger mask_rate copy less.",
    LOW: "A drawing is recognized where CLIP, asked to choose among all classes by their labeled images, gives its own "
    "at least half of the probability. It may be CLIP that cannot tell the classes apart: look at the drawings.",
    REJECTED: "They stay on disk and are left out of every training.",
}


@dataclass(frozen=True)
class Judged:
    """What is known of one drawing beside its row: its flags in the order of FLAGS, and the image that it copies."""

    flags: tuple[str, ...]
    copy_of: Key | None = None


@dataclass(frozen=True)
class ClassFacts:
    """A class's share of drawings of which CLIP tells the class; None where there are no scores."""

    label: int
    num_drawings: int
    told_share: float | None
    flags: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """A sentence on what looks wrong, the flag that its drawings have, and those or the classes that show it."""

    title: str
    how: str
    flag: str = ""
    drawings: tuple[int, ...] = ()
    classes: tuple[ClassFacts, ...] = ()
    is_grave: bool = False


def judge(subject: Subject, looks: Sequence[Look], labeled: Mapping[Key, Look]) -> list[Judged]:
    """The flags of each drawing.

    Args:
        looks: of the drawings, in their order.
        labeled: of the labeled images.
    """
    marks = signatures(looks)
    known = [key for key, look in labeled.items() if look.pixels is not None]
    real = signatures([labeled[key] for key in known])
    limit, usual = same_from(real), usual_flags(labeled)
    best, places = (
        nearest(marks, real) if known and len(marks) else (np.zeros(len(marks)), np.zeros(len(marks), dtype=np.int64))
    )
    repeated, is_blind = _repeated(subject.drawings, marks, limit), _median_source_score(subject.drawings) >= BLIND
    found = []
    for drawing, look, correlation, place, is_repeated in zip(
        subject.drawings, looks, best, places, repeated, strict=True
    ):
        source_score, class_score = drawing.score("source_score"), drawing.score("class_score")
        copy_of = known[place] if correlation >= limit else None
        if copy_of is None and source_score is not None and source_score >= SAME and not is_blind:
            copy_of = drawing.source
        held = {
            BLANK: look.facts.is_blank and BLANK not in usual,
            GRAINY: look.facts.is_noise and GRAINY not in usual,
            UNREADABLE: look.pixels is None and drawing.state != DELETED,
            ALIKE: bool(is_repeated),
            COPY: copy_of is not None,
            LOW: class_score is not None and class_score < TOLD,
            drawing.state: bool(drawing.state),
        }
        found.append(Judged(tuple(flag for flag in FLAGS if held.get(flag)), copy_of))
    return found


def usual_flags(labeled: Mapping[Key, Look]) -> set[str]:
    """What at least half of the labeled images are themselves, so that it is not wrong with drawings."""
    facts = [look.facts for look in labeled.values()]
    counts = {BLANK: sum(each.is_blank for each in facts), GRAINY: sum(each.is_noise for each in facts)}
    return {flag for flag, count in counts.items() if facts and 2 * count >= len(facts)}


def _repeated(drawings: Sequence[Drawing], marks: NDArray[np.float32], limit: float) -> NDArray[np.bool_]:
    """Which drawings are the same as another one of their class."""
    of_class: dict[int, list[int]] = defaultdict(list)
    for place, drawing in enumerate(drawings):
        of_class[drawing.label].append(place)
    found = np.zeros(len(drawings), dtype=bool)
    for places in of_class.values():
        correlation = marks[places] @ marks[places].T
        np.fill_diagonal(correlation, 0)
        found[places] = correlation.max(axis=1) >= limit
    return found


def _median_source_score(drawings: Sequence[Drawing]) -> float:
    """0 where there are no scores."""
    scores = [score for each in drawings if (score := each.score("source_score")) is not None]
    return float(np.median(scores)) if scores else 0.0


def class_facts(subject: Subject, judged: Sequence[Judged]) -> list[ClassFacts]:
    """One for each class, those where most is wrong first: least told by CLIP, then most flags."""
    flags: dict[int, Counter[str]] = defaultdict(Counter)
    told: dict[int, list[bool]] = defaultdict(list)
    counts: Counter[int] = Counter()
    for drawing, own in zip(subject.drawings, judged, strict=True):
        counts[drawing.label] += 1
        flags[drawing.label].update(own.flags)
        score = drawing.score("class_score")
        if score is not None:
            told[drawing.label].append(score >= TOLD)
    facts = [
        ClassFacts(label, counts[label], float(np.mean(told[label])) if told[label] else None, dict(flags[label]))
        for label in range(len(subject.class_names))
    ]

    def order(each: ClassFacts) -> tuple[float, float, int]:
        grave = sum(count for flag, count in each.flags.items() if flag not in (LOW, REJECTED))
        share = grave / max(1, each.num_drawings)
        return -share, 1.0 if each.told_share is None else each.told_share, each.label

    return sorted(facts, key=order)


def findings(
    subject: Subject,
    looks: Sequence[Look],
    labeled: Mapping[Key, Look],
    judged: Sequence[Judged],
    facts: Sequence[ClassFacts],
) -> list[Finding]:
    """What looks wrong, the gravest first; nothing where nothing does."""
    having = {flag: tuple(place for place, own in enumerate(judged) if flag in own.flags) for flag in FLAGS}
    total = len(subject.drawings)
    found = []
    for flag in (BLANK, GRAINY, UNREADABLE, ALTERED):
        if having[flag]:
            found.append(_finding(flag, having[flag], total, True))
    alike, before = mean_correlation(signatures(looks)), mean_correlation(signatures(list(labeled.values())))
    if alike >= ALL_ALIKE > before:
        how = f"Any two correlate by {alike:.2f} on average, whatever their class: the generator shows one thing."
        found.append(Finding("All drawings look alike", how, is_grave=True))
    blind = _median_source_score(subject.drawings)
    if blind >= BLIND:
        how = (
            f"Half of the source_scores are {blind:.2f} or more. Either the drawings copy their labeled images, or "
            "this CLIP finds all images alike and its scores say nothing."
        )
        found.append(Finding("CLIP hardly tells the drawings from their labeled images", how))
    for flag in (COPY, ALIKE):
        if having[flag]:
            found.append(_finding(flag, having[flag], total, len(having[flag]) >= total / 2))
    empty = tuple(each for each in facts if each.num_drawings == 0)
    if empty:
        how = "The set holds no image of them, so that it makes the other classes larger alone."
        found.append(Finding(f"{_count(len(empty), 'class', 'classes')} without a drawing", how, classes=empty))
    low = sorted(
        (each for each in facts if each.told_share is not None and each.told_share < LOW_SHARE),
        key=lambda each: (each.told_share or 0, each.label),
    )
    if low:
        title = (
            f"CLIP recognizes less than half of the drawings in {len(low)} of {_count(len(facts), 'class', 'classes')}"
        )
        found.append(Finding(title, HOW[LOW], LOW, classes=tuple(low), is_grave=len(low) > len(facts) / 2))
    for flag in (DELETED, REJECTED):
        if having[flag]:
            found.append(_finding(flag, having[flag], total, False))
    return found


def _finding(flag: str, drawings: tuple[int, ...], total: int, is_grave: bool) -> Finding:
    words = {
        BLANK: "nearly one color",
        GRAINY: "little more than noise",
        UNREADABLE: "not readable",
        ALTERED: "not as drawn",
        ALIKE: "the same as another one",
        COPY: "a near-copy of a labeled image" if len(drawings) == 1 else "near-copies of a labeled image",
        DELETED: "deleted",
        REJECTED: "listed in rejected.txt",
    }
    verb = "is" if len(drawings) == 1 else "are"
    title = f"{len(drawings)} of {_count(total, 'drawing', 'drawings')} {verb} {words[flag]}"
    return Finding(title, HOW[flag], flag, drawings, (), is_grave)


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
