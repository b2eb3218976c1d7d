"""Arrays on disk that are written row by row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike

_BLOCK = 2**24  # bytes of zeros written at once


def new_array(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> np.memmap:
    """A .npy file of zeros, mapped to memory.

    The zeros are written: a mapped file with holes in it ends the process where the disk is full.

    Raises:
        OSError: the disk has no room for all of it.
    """
    with path.open("wb") as file:
        described = {"descr": npy.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(file, described)
        left = int(np.prod(shape)) * np.dtype(dtype).itemsize
        while left:
            left -= file.write(bytes(min(left, _BLOCK)))
    return np.load(path, mmap_mode="r+")
