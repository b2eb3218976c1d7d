"""Which images of a set a training takes, and how much each counts, by the scores in its manifest."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace

from ssl_aug.synthetic.folder import SyntheticSet
from ssl_aug.synthetic.manifest import SCORES


def score_of(row: dict[str, str], name: str) -> float:
    """A score of a manifest's row.

    Raises:
        ValueError: the row has none, because the set was imported or drawn by a generator without CLIP.
    """
    if name not in SCORES:
        raise ValueError(f"{name} is no score: choose one of {', '.join(SCORES)}")
    if not row.get(name):
        raise ValueError(
            f"{row['path']} has no {name}: sets of a generator without CLIP, imported ones and ones drawn before "
            "there were scores have none; leave mix.weight_by and mix.keep_share out, or draw another set with "
            "python -m ssl_aug.generate --out DIR"
        )
    return float(row[name])


def weights_of(synthetic: SyntheticSet, weight: float, score: str | None) -> list[float]:
    """The weight of each image in the supervised loss: `weight`, times a score (0 at least) where one is named."""
    if score is None:
        return [weight] * len(synthetic)
    return [weight * max(0.0, score_of(row, score)) for row in synthetic.rows]


def best_of_each_class(synthetic: SyntheticSet, share: float) -> SyntheticSet:
    """The share (above 0 to 1) of each class's images with the highest class_score, in the set's order.

    At least one image of a class stays; equal scores stay in the order of the set.
    """
    by_class: dict[str, list[int]] = defaultdict(list)
    for position, row in enumerate(synthetic.rows):
        by_class[row["label"]].append(position)
    kept: set[int] = set()
    for positions in by_class.values():
        ranked = sorted(positions, key=lambda position: -score_of(synthetic.rows[position], "class_score"))
        kept.update(ranked[: max(1, math.ceil(share * len(ranked) - 1e-9))])
    return replace(synthetic, rows=tuple(row for position, row in enumerate(synthetic.rows) if position in kept))
