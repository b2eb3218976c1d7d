"""Accuracies in words, as every table and page writes them."""

from __future__ import annotations

from ssl_aug.results.accuracies import Cell, Kind, Table
from ssl_aug.results.significance import wilson_interval


def cell_text(
    cell: Cell | float | None,
    num_runs: int,
    kind: Kind,
    plus_minus: str = "±",
    num_images: int | None = None,
    is_unsure: bool = False,
) -> str:
    """`37.1 ± 0.4 (n=2)`, `37.1 [34.1, 40.2]`, `+3.2`, `(+3.2)`, or a dash; n where it is not the table's.

    Args:
        num_images: which the accuracies are shares of, over which a single run has its 95 % interval.
        is_unsure: whether a difference may be chance, which parentheses say.
    """
    if cell is None:
        return "-"
    if isinstance(cell, float):
        text = f"{cell:+.1f}" if kind is Kind.DIFFERENCE else f"{cell:.1f}"
        return f"({text})" if is_unsure else text
    text = f"{cell.mean:.1f}" if cell.std is None else f"{cell.mean:.1f} {plus_minus} {cell.std:.1f}"
    if cell.std is None and num_images is not None:
        low, high = wilson_interval(cell.mean, num_images)
        text = f"{text} [{low:.1f}, {high:.1f}]"
    return text if len(cell.values) == num_runs else f"{text} (n={len(cell.values)})"


def lines_of(table: Table, plus_minus: str = "±") -> list[list[str]]:
    """A table's rows in words, each behind its label."""
    cells = [cell for row in table.rows for cell in row.cells]
    num_runs = max(len(cell.values) for cell in cells if isinstance(cell, Cell))
    return [
        [
            row.label,
            *(
                cell_text(cell, num_runs, row.kind, plus_minus, table.num_images, column in row.unsure)
                for column, cell in enumerate(row.cells)
            ),
        ]
        for row in table.rows
    ]
