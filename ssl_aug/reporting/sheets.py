"""Thumbnails in sheets: many small pictures in few JPEG files, so that a page of thousands opens at once."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssl_aug.reporting.looks import Look, read_looks

COLUMNS, ROWS = 16, 8  # thumbnails of a sheet
SIZES = (192, 128, 96, 64, 48, 32)  # pixels, multiples of 16: JPEG's blocks then end where a thumbnail does
QUALITIES = (85, 75, 60, 40, 20)
MOST_BYTES = 14_000_000  # of all sheets; a third more as text in the page
SAMPLE = 64  # pictures that tell what a size takes


@dataclass(frozen=True)
class Cell:
    """Where a thumbnail lies: the sheet's number, and column and row in it."""

    sheet: int
    column: int
    row: int


@dataclass(frozen=True)
class Sheets:
    """Sheets as data: URIs, and the place of each picture; None where it could not be read."""

    uris: tuple[str, ...]
    cells: tuple[Cell | None, ...]
    size_px: int


def size_that_fits(paths: Sequence[Path], side_px: int, most_bytes: int = MOST_BYTES) -> int:
    """The largest side of thumbnails that is not above the pictures' own and keeps the sheets small enough.

    Args:
        side_px: of the drawings.
    """
    step = max(1, len(paths) // SAMPLE)
    sampled = list(paths[::step])
    for size in SIZES[:-1]:
        if size > 16 * -(-side_px // 16):
            continue
        looks = [look.pixels for look in read_looks(sampled, size, hidden=True) if look.pixels is not None]
        own = sum(len(sheet) for sheet in _encoded(looks, size, QUALITIES[1]))
        if own * len(paths) <= most_bytes * max(1, len(looks)):
            return size
    return SIZES[-1]


def make_sheets(looks: Sequence[Look], size_px: int, most_bytes: int = MOST_BYTES) -> Sheets:
    """All pictures that could be read, in their order, as well as they fit."""
    pictures, cells = list[NDArray[np.uint8]](), list[Cell | None]()
    for look in looks:
        place = len(pictures)
        row, column = divmod(place % (COLUMNS * ROWS), COLUMNS)
        cells.append(None if look.pixels is None else Cell(place // (COLUMNS * ROWS), column, row))
        if look.pixels is not None:
            pictures.append(look.pixels)
    encoded: list[bytes] = []
    for quality in QUALITIES:
        encoded = _encoded(pictures, size_px, quality)
        if sum(len(sheet) for sheet in encoded) <= most_bytes:
            break
    return Sheets(tuple(data_uri(sheet, "jpeg") for sheet in encoded), tuple(cells), size_px)


def _encoded(pictures: Sequence[NDArray[np.uint8]], size_px: int, quality: int) -> list[bytes]:
    found = []
    for first in range(0, len(pictures), COLUMNS * ROWS):
        sheet = np.full((ROWS * size_px, COLUMNS * size_px, 3), 128, dtype=np.uint8)
        for place, pixels in enumerate(pictures[first : first + COLUMNS * ROWS]):
            top, left = place // COLUMNS * size_px, place % COLUMNS * size_px
            sheet[top : top + size_px, left : left + size_px] = pixels
        found.append(as_jpeg(sheet, quality))
    return found


def as_jpeg(pixels: NDArray[np.uint8], quality: int) -> bytes:
    """A picture as a JPEG file's bytes."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, optimize=True)
    return file.getvalue()


def data_uri(content: bytes, kind: str) -> str:
    """An image file as text for a page."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
