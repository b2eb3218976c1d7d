"""Whether a difference of accuracies is more than chance: the same seeds and splits with and without something."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

Pair = tuple[int, str]  # seed and labeled set's id


def paired_line(label: str, plain: Mapping[Pair, float], augmented: Mapping[Pair, float]) -> str:
    """Mean and deviation of the differences over seeds and splits with a paired t-test (two-sided), as a sentence.

    Where the two are not of the same seeds and splits, or of one alone, the sentence says so in place of a test.

    Args:
        label: the name of the augmented runs.
        plain: accuracies in percent, by seed and split.
        augmented: likewise.
    """
    if plain.keys() != augmented.keys():
        seeds = [sorted(seed for seed, _ in found) for found in (plain, augmented)]
        if seeds[0] == seeds[1]:
            return f"plain and {label} are of other splits, no test"
        return f"plain has seeds {seeds[0]}, {label} {seeds[1]}"
    pairs = sorted(plain)
    if len(pairs) < 2:
        return f"{label} against plain: one seed, no test"
    from scipy.stats import ttest_rel  # takes most of a second, and most tables need none

    differences = [augmented[pair] - plain[pair] for pair in pairs]
    spread = statistics.stdev(differences)
    unit = "seeds" if len({split for _, split in pairs}) == 1 else "seeds and splits"
    head = f"{label} against plain {statistics.fmean(differences):+.1f} ± {spread:.1f} over {len(pairs)} {unit}"
    if spread == 0:
        return f"{head}, the same in each: no test"
    p_value = ttest_rel([augmented[pair] for pair in pairs], [plain[pair] for pair in pairs]).pvalue
    return f"{head}, paired t-test p = {p_value:.2g}"
