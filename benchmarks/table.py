"""python -m benchmarks.table: accuracies of finished runs, plain and with augmentation; `--help` lists the options."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from benchmarks.accuracies import METRICS, Cell, Kind, Report, Table, build_report, read_runs
from ssl_aug.runtime import command, written_atomically

FORMATS = ("terminal", "markdown", "csv", "latex")


def cell_text(cell: Cell | float | None, num_runs: int, kind: Kind, plus_minus: str = "±") -> str:
    """`37.1`, `37.1 ± 0.4 (n=2)`, `+3.2`, or a dash; n where it is not the table's."""
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:+.1f}" if kind is Kind.DIFFERENCE else f"{cell:.1f}"
    text = f"{cell.mean:.1f}" if cell.std is None else f"{cell.mean:.1f} {plus_minus} {cell.std:.1f}"
    return text if len(cell.values) == num_runs else f"{text} (n={len(cell.values)})"


def as_text(report: Report, form: str) -> str:
    """The report in one of FORMATS but the terminal's."""
    writers = {"markdown": _markdown, "csv": _csv, "latex": _latex}
    return writers[form](report)


def _lines(table: Table, plus_minus: str = "±") -> list[list[str]]:
    cells = [cell for row in table.rows for cell in row.cells]
    num_runs = max(len(cell.values) for cell in cells if isinstance(cell, Cell))
    return [[row.label, *(cell_text(cell, num_runs, row.kind, plus_minus) for cell in row.cells)] for row in table.rows]


def _markdown(report: Report) -> str:
    blocks = []
    for table in report.tables:
        header = ["", *table.columns]
        lines = [header, ["---"] + ["---:"] * len(table.columns), *_lines(table)]
        blocks.append(f"{table.title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines))
    blocks += ["\n".join(f"- {note}" for note in report.notes)] if report.notes else []
    return "\n\n".join(blocks) + "\n"


def _csv(report: Report) -> str:
    """One line per table, row and method: what another program wants."""
    import csv
    import io

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
        writer.writerow([note, "", "", "", "", ""])
    return out.getvalue()


def _latex(report: Report) -> str:
    blocks = []
    for table in report.tables:
        rows = [["", *table.columns], *_lines(table, r"$\pm$")]
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


def _refuse_existing(option: str, path: Path) -> None:
    if path.exists():
        raise FileExistsError(f"{option} {path} exists: choose another name or remove it")


class Parser(argparse.ArgumentParser):
    """Errors in one line, like those of every other command."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}; see --help")


def print_report(report: Report) -> None:
    """To the terminal."""
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console(soft_wrap=True, highlight=False)
    for table in report.tables:
        console.print(f"\n{table.title}", markup=False)
        drawn = RichTable("", *table.columns)
        for line in _lines(table):
            drawn.add_row(*line)
        console.print(drawn)
    for note in report.notes:
        console.print(note, markup=False)


def main(words: list[str]) -> None:
    """Reads the runs and prints or writes their tables."""
    parser = Parser("python -m benchmarks.table", description="Accuracy tables of finished runs.")
    parser.add_argument("--runs", type=Path, default=Path("outputs/runs"), help="folder of runs (default: %(default)s)")
    parser.add_argument("--format", choices=FORMATS, default="terminal", help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, help="write to this file, which must not exist")
    parser.add_argument("--plot", type=Path, help="write a bar plot as PNG to this file, which must not exist")
    parser.add_argument("--metric", choices=METRICS, default="last", help="(default: %(default)s)")
    options = parser.parse_args(words)
    report = build_report(read_runs(options.runs), options.metric)
    if options.plot is not None:
        _refuse_existing("--plot", options.plot)
        from benchmarks.table_plot import plot

        plot(report, options.plot)
        print(options.plot)
    if options.out is None and options.format == "terminal":
        print_report(report)
        return
    text = as_text(report, "markdown" if options.format == "terminal" else options.format)
    if options.out is None:
        sys.stdout.write(text)
        return
    _refuse_existing("--out", options.out)
    with written_atomically(options.out) as part:
        part.write_text(text, encoding="utf-8")
    print(options.out)


if __name__ == "__main__":
    command(main)
