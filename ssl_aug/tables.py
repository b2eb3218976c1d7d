"""Text and CSV files as editors and spreadsheets save them, and rows that any of them reads back."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path


def read_text(path: Path, way_out: str) -> str:
    """A text in UTF-8, or in UTF-16 where a byte order mark says so.

    Args:
        way_out: what a person can do where it is neither.

    Raises:
        ValueError: it is neither.
    """
    content = path.read_bytes()
    try:
        return content.decode("utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: {way_out}") from error


def read_table(path: Path, way_out: str) -> list[list[str]]:
    """The cells of a CSV file, header first; commas, semicolons or tabs may stand between them.

    Raises:
        ValueError: no text, or quotes that do not close; as `read_text`.
    """
    text = read_text(path, way_out)
    header = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), strict=True)
    try:
        return list(reader)
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}: {way_out}") from error


def csv_line(cells: Iterable[object]) -> str:
    """One row; a cell that holds any kind of line break is quoted, as classes may have them in their names."""
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\r\n").writerow(cells)  # it quotes what its line ends hold, and no other
    return line.getvalue().removesuffix("\r\n") + "\n"
