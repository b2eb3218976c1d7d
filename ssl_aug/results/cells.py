"""Accuracies in words, as every table and page writes them."""

from __future__ import annotations

from ssl_aug.results.accuracies import Cell, Kind, Table


def cell_text(cell: Cell | float | None, num_runs: int, kind: Kind, plus_minus: str = "±") -> str:
    """`37.1`, `37.1 ± 0.4 (n=2)`, `+3.2`, or a dash; n where it is not the table's."""
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:+.1f}" if kind is Kind.DIFFERENCE else f"{cell:.1f}"
    text = f"{cell.mean:.1f}" if cell.std is None else f"{cell.mean:.1f} {plus_minus} {cell.std:.1f}"
    return text if len(cell.values) == num_runs else f"{text} (n={len(cell.values)})"


def lines_of(table: Table, plus_minus: str = "±") -> list[list[str]]:
    """A table's rows in words, each behind its label."""
    cells = [cell for row in table.rows for cell in row.cells]
    num_runs = max(len(cell.values) for cell in cells if isinstance(cell, Cell))
    return [[row.label, *(cell_text(cell, num_runs, row.kind, plus_minus) for cell in row.cells)] for row in table.rows]
