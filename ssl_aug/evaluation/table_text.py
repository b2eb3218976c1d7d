"""An evaluation's figures as text: the table, what stands above and below it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]
SHARES = {"class_share", "near_copy_rate", "paint_share"}  # written in percent
ERRORS = {"kernel_distance": "kernel_distance_error", "inception_score": "inception_score_std"}
KEYS = (
    "class_share", "frechet_distance", "kernel_distance", "inception_score", "precision", "recall", "diversity",
    "near_copy_rate", "paint_share",
)  # fmt: skip
IN_CSV = (
    "set", "num_images", "class_share", "class_share_low", "class_share_high", "frechet_distance", "kernel_distance",
    "kernel_distance_error", "inception_score", "inception_score_std", "precision", "recall", "diversity",
    "near_copy_rate", "paint_share",
)  # fmt: skip


def titles(features: str) -> dict[str, str]:
    """What each column is called.

    Args:
        features: the features' name; empty for the Inception weights of 2015, with which alone the measures have the
            names of the literature.
    """
    of = f"({features})" if features else ""
    is_inception = not of or "inception" in features
    return {
        "class_share": "class % [95 %]",
        "frechet_distance": f"FD{of}" if of else "FID",
        "kernel_distance": f"KD{of} x1000" if of else "KID x1000",
        "inception_score": f"IS{of}" if is_inception else "IS(judge)",
        "precision": "precision",
        "recall": "recall",
        "diversity": "diversity",
        "near_copy_rate": "near-copies %",
        "paint_share": "paint %",
    }


def cell(row: Row, key: str) -> str:
    """A figure, with its error or interval, or why there is none."""
    value, why = row.get(key), row.get("why", {})
    if value is None:
        return str(why.get(key, "-"))
    if key == "class_share":
        return f"{100 * value:.1f} [{100 * row['class_share_low']:.1f}, {100 * row['class_share_high']:.1f}]"
    if key in SHARES:
        return f"{100 * value:.1f}"
    error = row.get(ERRORS.get(key, ""))
    return f"{value:.3g}" if error is None else f"{value:.3g} ± {error:.2g}"


def table(rows: Sequence[Row], features: str) -> list[list[str]]:
    """Cells, the header first; columns that no row has anything in are left out."""
    named = titles(features)
    keys = [key for key in KEYS if any(row.get(key) is not None or key in row.get("why", {}) for row in rows)]
    lines = [["set", "images", *(named[key] for key in keys)]]
    return lines + [[str(row["set"]), str(row["num_images"]), *(cell(row, key) for key in keys)] for row in rows]


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Cells as text, a rule below the header."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([text[0], "-" * len(text[0]), *text[1:]])
