"""The accuracy tables as text: for the terminal, Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io

from rich.console import Console
from rich.table import Table as RichTable

from ssl_aug.results.accuracies import IN_PARENTHESES, Cell, Report
from ssl_aug.results.cells import lines_of


def as_text(report: Report, form: str = "markdown") -> str:
    """The report as text.

    Args:
        form: markdown, csv or latex.

    Raises:
        ValueError: another form.
    """
    writers = {"markdown": _markdown, "csv": _csv, "latex": _latex}
    if form not in writers:
        raise ValueError(f"form={form}: choose one of {', '.join(writers)}")
    return writers[form](report)


def _markdown(report: Report) -> str:
    blocks = []
    for table in report.tables:
        header = ["", *table.columns]
        lines = [header, ["---"] + ["---:"] * len(table.columns), *lines_of(table)]
        blocks.append(f"{table.title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines))
    blocks += ["\n".join(f"- {note}" for note in report.notes)] if report.notes else []
    return "\n\n".join(blocks) + "\n"


def _csv(report: Report) -> str:
    """One line per table, row and method: what another program wants."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["table", "row", "column", "mean", "std", "n"])
    for table in report.tables:
        for row in table.rows:
            for column, cell in zip(table.columns, row.cells, strict=True):
                if isinstance(cell, Cell):
                    std = "" if cell.std is None else f"{cell.std:.4f}"
                    writer.writerow([table.title, row.label, column, f"{cell.mean:.4f}", std, len(cell.values)])
                elif cell is not None:
                    writer.writerow([table.title, row.label, column, f"{cell:.4f}", "", ""])
    for note in report.notes:
        if note == IN_PARENTHESES:  # here nothing is
            continue
        writer.writerow([note, "", "", "", "", ""])
    return out.getvalue()


def _latex(report: Report) -> str:
    blocks = []
    for table in report.tables:
        rows = [["", *table.columns], *lines_of(table, r"$\pm$")]
        body = [" & ".join(_latex_safe(cell) for cell in row) + r" \\" for row in rows]
        blocks.append(
            "\n".join(
                [
                    f"% {table.title}",
                    rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
                    r"\hline",
                    body[0],
                    r"\hline",
                    *body[1:],
                    r"\hline",
                    r"\end{tabular}",
                ]
            )
        )
    return "\n\n".join([*blocks, *(f"% {note}" for note in report.notes)]) + "\n"


def _latex_safe(text: str) -> str:
    return text.replace("_", r"\_").replace("%", r"\%")


def print_report(report: Report) -> None:
    """To the terminal. A table that is wider than it is turned over, methods below each other; else it is cut up."""
    console = Console(soft_wrap=True, highlight=False)
    for table in report.tables:
        console.print(f"\n{table.title}", markup=False)
        cells = [["", *table.columns], *lines_of(table)]
        turned = [list(column) for column in zip(*cells, strict=True)]
        fitting = next((one for one in (cells, turned) if _width(one) <= console.width), None)
        for block in [fitting] if fitting else _cut(cells, console.width):
            console.print(_drawn(block))
    for note in report.notes:
        console.print(note, markup=False)


def _drawn(cells: list[list[str]]) -> RichTable:
    """A table of a header and rows, no cell of which is cut off."""
    drawn = RichTable()
    for title in cells[0]:
        drawn.add_column(title, no_wrap=True, overflow="ignore")
    for line in cells[1:]:
        drawn.add_row(*line)
    return drawn


def _width(cells: list[list[str]]) -> int:
    """Characters of a drawn table: each column with a space on both sides and a line."""
    return sum(3 + max(len(line[column]) for line in cells) for column in range(len(cells[0]))) + 1


def _cut(cells: list[list[str]], width: int) -> list[list[list[str]]]:
    """Tables of as many columns as fit, one at least, each with the rows' labels."""
    blocks, taken = [], 1
    while taken < len(cells[0]):
        count = 1
        while taken + count < len(cells[0]) and _width(_columns(cells, taken, count + 1)) <= width:
            count += 1
        blocks.append(_columns(cells, taken, count))
        taken += count
    return blocks


def _columns(cells: list[list[str]], first: int, count: int) -> list[list[str]]:
    return [[line[0], *line[first : first + count]] for line in cells]
