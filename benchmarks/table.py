"""python -m benchmarks.table: accuracies of finished runs, plain and with augmentation; `--help` lists the options."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from ssl_aug.allowed import user_path
from ssl_aug.files import written_atomically
from ssl_aug.results.accuracies import build_report, read_runs
from ssl_aug.results.metrics import METRICS
from ssl_aug.runtime import command

FORMATS = ("terminal", "markdown", "csv", "latex")


def _refuse_existing(option: str, path: Path) -> None:
    if path.exists():
        raise FileExistsError(f"{option} {path} exists: choose another name or remove it")


class Parser(argparse.ArgumentParser):
    """Errors in one line, like those of every other command."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}; see --help")


def main(words: list[str]) -> None:
    """Reads the runs and prints or writes their tables."""
    parser = Parser("python -m benchmarks.table", description="Accuracy tables of finished runs.", allow_abbrev=False)
    parser.add_argument("--runs", default="outputs/runs", help="folder of runs (default: %(default)s)")
    parser.add_argument("--format", choices=FORMATS, default="terminal", help="(default: %(default)s)")
    parser.add_argument("--out", help="write to this file, which must not exist")
    parser.add_argument("--plot", help="write a bar plot as PNG to this file, which must not exist")
    parser.add_argument("--metric", choices=METRICS, default="last", help="(default: %(default)s)")
    options = parser.parse_args(words)
    out, plotted = (None if path is None else user_path(path) for path in (options.out, options.plot))
    from benchmarks.table_text import as_text, print_report

    report = build_report(read_runs(user_path(options.runs)), options.metric)
    if plotted is not None:
        _refuse_existing("--plot", plotted)
        from benchmarks.table_plot import plot

        plot(report, plotted)
        print(plotted)
    if out is None and options.format == "terminal":
        print_report(report)
        return
    text = as_text(report, "markdown" if options.format == "terminal" else options.format)
    if out is None:
        sys.stdout.write(text)
        return
    _refuse_existing("--out", out)
    with written_atomically(out, sweep=True) as part:
        part.write_text(text, encoding="utf-8")
    print(out)


if __name__ == "__main__":
    command(main)
