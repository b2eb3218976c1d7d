"""Whether a difference of accuracies is more than chance: of the training, by seeds, and of the images measured on."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import NamedTuple

Pair = tuple[int, str]  # seed and labeled set's id

ALPHA = 0.05
FEW_SEEDS = 3  # below it a t-test tells next to nothing: the images must carry the difference
FEW_IMAGES = 100  # below it they must carry it as well, however many seeds there are


class Comparison(NamedTuple):
    """A difference in a sentence, and whether what is known of chance carries it."""

    line: str
    is_carried: bool


def wilson_interval(accuracy: float, num_images: int) -> tuple[float, float]:
    """95 % interval of an accuracy in percent over images (Wilson 1927, doi:10.1080/01621459.1927.10502953)."""
    from scipy.stats import binomtest  # takes most of a second, and most tables need none

    found = binomtest(round(accuracy * num_images / 100), num_images).proportion_ci(1 - ALPHA, method="wilson")
    return 100 * float(found.low), 100 * float(found.high)


def difference_interval(plain: float, augmented: float, num_images: int) -> tuple[float, float]:
    """95 % interval of augmented - plain, in points, from both's Wilson intervals (Newcombe 1998, method 10,
    doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I).

    Both are of the same images, which is left out of account: the true interval is rather narrower.
    """
    (low, high), (low_after, high_after) = (wilson_interval(each, num_images) for each in (plain, augmented))
    difference = augmented - plain
    return (
        difference - math.hypot(augmented - low_after, high - plain),
        difference + math.hypot(high_after - augmented, plain - low),
    )


def compared(
    label: str,
    plain: Mapping[Pair, float],
    augmented: Mapping[Pair, float],
    num_images: int | None,
    kind: str = "test",
) -> Comparison:
    """Mean and deviation of the differences over seeds and splits with a paired t-test (two-sided), as a sentence.

    Where there are few seeds or few images, or the two are not of the same seeds and splits, the sentence has the
    interval over images as well, and the difference is carried where that leaves 0 out.

    Args:
        label: the name of the augmented runs.
        plain: accuracies in percent, by seed and split.
        augmented: likewise.
        num_images: which the accuracies are shares of; None where a result does not say.
        kind: of these images: test or validation.
    """
    means = statistics.fmean(plain.values()), statistics.fmean(augmented.values())
    interval = None if num_images is None else difference_interval(*means, num_images)
    by_images = (
        "" if interval is None else f"; by {num_images} {kind} images {interval[0]:+.1f} to {interval[1]:+.1f} (95 %)"
    )
    is_carried_by_images = interval is not None and not interval[0] <= 0 <= interval[1]
    if plain.keys() != augmented.keys():
        seeds = [sorted(seed for seed, _ in found) for found in (plain, augmented)]
        if seeds[0] == seeds[1]:
            return Comparison(f"plain and {label} are of other splits, no test{by_images}", is_carried_by_images)
        return Comparison(f"plain has seeds {seeds[0]}, {label} {seeds[1]}{by_images}", is_carried_by_images)
    pairs = sorted(plain)
    if len(pairs) < 2:
        return Comparison(f"{label} against plain: one seed, no test{by_images}", is_carried_by_images)
    differences = [augmented[pair] - plain[pair] for pair in pairs]
    spread = statistics.stdev(differences)
    unit = "seeds" if len({split for _, split in pairs}) == 1 else "seeds and splits"
    head = f"{label} against plain {means[1] - means[0]:+.1f} ± {spread:.1f} over {len(pairs)} {unit}"
    if spread == 0:
        return Comparison(f"{head}, the same in each: no test{by_images}", is_carried_by_images)
    from scipy.stats import ttest_rel

    p_value = float(ttest_rel([augmented[pair] for pair in pairs], [plain[pair] for pair in pairs]).pvalue)
    line = f"{head}, paired t-test p = {p_value:.2g}"
    if len(pairs) < FEW_SEEDS:
        return Comparison(line + by_images, is_carried_by_images)
    if num_images is not None and num_images < FEW_IMAGES:
        return Comparison(line + by_images, p_value < ALPHA and is_carried_by_images)
    return Comparison(line, p_value < ALPHA)
