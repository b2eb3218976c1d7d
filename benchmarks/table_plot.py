"""The accuracy tables as a picture."""

from __future__ import annotations

import textwrap
from pathlib import Path

from matplotlib.figure import Figure

from ssl_aug.files import written_atomically
from ssl_aug.results.accuracies import Cell, Kind, Report


def plot(report: Report, path: Path) -> None:
    """Bars per method, a color per row, with standard deviations; one panel per table."""
    tables = report.tables
    figure = Figure(figsize=(1.5 + 1.3 * max(len(table.columns) for table in tables), 3.6 * len(tables)))
    for panel, table in enumerate(tables):
        axes = figure.add_subplot(len(tables), 1, panel + 1)
        rows = [row for row in table.rows if row.kind is not Kind.DIFFERENCE]
        width = 0.8 / len(rows)
        for number, row in enumerate(rows):
            columns = [column for column, cell in enumerate(row.cells) if cell is not None]
            shown = [cell for cell in row.cells if cell is not None]
            heights = [cell.mean if isinstance(cell, Cell) else cell for cell in shown]
            offset = (number - (len(rows) - 1) / 2) * width
            centers = [column + offset for column in columns]
            axes.bar(centers, heights, width, label=row.label)
            spread = [
                (center, cell.mean, cell.std)
                for center, cell in zip(centers, shown, strict=True)
                if isinstance(cell, Cell) and cell.std is not None  # a single run has none
            ]
            if spread:
                at, means, deviations = zip(*spread, strict=True)
                axes.errorbar(at, means, deviations, fmt="none", ecolor="black", capsize=2)
        axes.set_xticks(range(len(table.columns)), table.columns)
        axes.set_ylabel("accuracy (%)")
        axes.set_title("\n".join(textwrap.wrap(table.title, 90)), fontsize=7)
        axes.legend(fontsize=8)
    figure.tight_layout()
    with written_atomically(path, sweep=True) as part:
        figure.savefig(part, format="png", dpi=150)
