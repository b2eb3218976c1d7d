"""What becomes of the memory that this process frees."""

from __future__ import annotations

import ctypes


def keep_freed_memory(is_kept: bool = True) -> None:
    """Lets this process keep the memory that it frees, where glibc manages it; it holds no more than at its peak.

    Else what a layer's result took is given back to the system and asked for again, page by page, in every evaluation
    on a CPU: a seventh of all time in float32. Other systems do as they do.

    Args:
        is_kept: false: as glibc comes to do by itself, which a comparison wants.
    """
    trim_threshold, mmap_threshold = -1, -3  # numbers of malloc.h
    try:
        allow = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or none that is found by that name
        return
    if not is_kept:
        allow(trim_threshold, 2**26)
        allow(mmap_threshold, 2**25)
        return
    allow(trim_threshold, 2**31 - 1)
    if not allow(mmap_threshold, 2**30):
        allow(mmap_threshold, 2**25)  # the most before glibc 2.35
