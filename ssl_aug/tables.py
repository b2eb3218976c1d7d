"""Text and CSV files as editors and spreadsheets save them, and rows that any of them reads back."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TextIO


@contextmanager
def opened_text(path: Path, way_out: str) -> Iterator[TextIO]:
    """A text in UTF-8, or in UTF-16 where a byte order mark says so, with its line ends as they are.

    Args:
        way_out: what a person can do where it is neither.

    Raises:
        ValueError: it is neither.
    """
    with path.open("rb") as file:
        encoding = "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        with path.open(encoding=encoding, newline="") as text:
            yield text
    except UnicodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: {way_out}") from error


def read_text(path: Path, way_out: str) -> str:
    """All of it; as `opened_text`."""
    with opened_text(path, way_out) as file:
        return file.read()


def read_table(path: Path, way_out: str) -> Iterator[list[str]]:
    """The cells of a CSV file, row by row, header first; commas, semicolons or tabs may stand between them.

    Raises:
        ValueError: no text, or quotes that do not close; as `opened_text`.
    """
    with opened_text(path, way_out) as file:
        header = file.readline()
        reader = csv.reader(chain([header], file), delimiter=max(",;\t", key=header.count), strict=True)
        try:
            yield from reader
        except csv.Error as error:
            raise ValueError(f"{path}, line {reader.line_num}: {error}: {way_out}") from error


def read_named_rows(path: Path, needed: Sequence[str], way_out: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV file with a header: their numbers as spreadsheets count, and the cells by column.

    Rows without any content, as spreadsheets leave them, are passed over.

    Raises:
        ValueError: not one column of each needed name, or a row of more or fewer cells; as `read_table`.
    """
    table = read_table(path, way_out)
    header = [name.strip().lower() for name in next(table, [])]
    for name in needed:
        if header.count(name) != 1:
            told = ", ".join(repr(each[:30]) for each in header[:20]) or "none"
            raise ValueError(f"{path}, row 1: its columns are {told}, it needs one column {name!r}: {way_out}")
    for number, cells in enumerate(table, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            torn = "cut short or torn" if len(cells) < len(header) else "longer than the header"
            raise ValueError(f"{path}, row {number}: it is {torn}, {len(cells)} cells of {len(header)}: {way_out}")
        yield number, dict(zip(header, cells, strict=True))


def csv_line(cells: Iterable[object]) -> str:
    """One row; a cell that holds any kind of line break is quoted, as classes may have them in their names."""
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\r\n").writerow(cells)  # it quotes what its line ends hold, and no other
    return line.getvalue().removesuffix("\r\n") + "\n"
