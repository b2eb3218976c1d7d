"""Ways of doing one thing, timed by turns in one run: so their ratio holds on a busy machine too."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from torch import Tensor

Call = Callable[[], Tensor | None]


@dataclass(frozen=True)
class Part:
    """One thing that is done, plainly and by us."""

    name: str
    what: str  # one call does, in words
    plain: Call
    ours: Mapping[str, tuple[Call, str]]  # way -> its call, and the precision that its products are computed in
    operations: float | None = None  # floating-point ones of a call; None: not counted
    num_images: int = 1  # of a call


@dataclass(frozen=True)
class Row:
    """How one way compares with the plain one."""

    part: str
    what: str
    way: str
    plain_seconds: float  # median over rounds, as the other
    our_seconds: float
    ratio: float  # median over rounds of plain over ours, as least and greatest
    least: float
    greatest: float
    difference: float | None  # of the results, relative (root mean square)
    share_of_peak: float | None  # operations a second over those of a large matrix product in the same precision


def measure(part: Part, rounds: int, peaks: Mapping[str, float], wait: Callable[[], None]) -> list[Row]:
    """One row for each of our ways.

    Args:
        peaks: operations a second of a large matrix product, by precision.
        wait: until the device has done what it was given.
    """
    calls: dict[str, Call] = {"": part.plain, **{way: call for way, (call, _) in part.ours.items()}}
    results = {way: call() for way, call in calls.items()}  # the first call also sets up kernels
    seconds: dict[str, list[float]] = {way: [] for way in calls}
    for number in range(rounds):
        names = list(calls)
        for way in names[number % len(names) :] + names[: number % len(names)]:
            seconds[way].append(seconds_of(calls[way], wait))
    return [
        _row(part, way, precision, seconds[""], seconds[way], difference_of(results[""], results[way]), peaks)
        for way, (_, precision) in part.ours.items()
    ]


def seconds_of(call: Call, wait: Callable[[], None]) -> float:
    """How long one call takes."""
    wait()
    start = time.perf_counter()
    call()
    wait()
    return time.perf_counter() - start


def difference_of(expected: Tensor | None, found: Tensor | None) -> float | None:
    """Root mean square of the difference over that of the expected values; None where there is nothing to compare."""
    if expected is None or found is None:
        return None
    expected = expected.float()
    return float((expected - found.float()).square().mean().sqrt() / expected.square().mean().sqrt())


def _row(
    part: Part,
    way: str,
    precision: str,
    plain: Sequence[float],
    ours: Sequence[float],
    difference: float | None,
    peaks: Mapping[str, float],
) -> Row:
    ratios = [one / other for one, other in zip(plain, ours, strict=True)]
    share = None if part.operations is None else part.operations / median(ours) / peaks[precision]
    return Row(
        part.name,
        part.what,
        way,
        median(plain),
        median(ours),
        median(ratios),
        min(ratios),
        max(ratios),
        difference,
        share,
    )
