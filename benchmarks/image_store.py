"""Decoded images in memory that worker processes share: decoding a file again every pass is waste."""

from __future__ import annotations

import multiprocessing
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ssl_aug.data.reading import read_rgb


class ImageStore:
    """Reads images and keeps the pixels of those that fit, in the order in which they are read.

    What one worker has read the others find: they are forked from this process, whose memory they share. Where workers
    are started otherwise, as on macOS, each gets a store of its own, of its share of the memory.
    """

    def __init__(self, num_images: int, capacity_bytes: int, num_workers: int = 0):
        """Memory is taken as images come, at most what the machine has.

        Raises:
            ValueError: it does not even promise `capacity_bytes`.
        """
        self.num_images, self.num_workers = num_images, num_workers
        self.capacity_bytes = min(capacity_bytes, _memory_of_machine())
        self._lock = _lock()
        try:  # an mmap without a file: /dev/shm, small in many containers, has no part in it
            self.memory = mmap(-1, max(1, self.capacity_bytes))
        except OSError as error:
            raise ValueError(
                f"train.cache_megabytes: this machine has no {self.capacity_bytes / 2**20:.0f} MB for decoded images "
                f"({error.strerror}): lower it, 0 keeps none"
            ) from error
        self._used = np.frombuffer(mmap(-1, 8), np.int64)  # bytes, (1,)
        self._places = np.frombuffer(mmap(-1, 24 * max(1, num_images)), np.int64).reshape(-1, 3)  # start, width, height

    def __reduce__(self) -> tuple[Any, ...]:
        return ImageStore, (self.num_images, self.capacity_bytes // max(1, self.num_workers))

    @property
    def num_kept(self) -> int:
        """Images that are in memory."""
        return int((self._places[:, 1] > 0).sum())

    def read(self, number: int, path: Path) -> Image.Image:
        """The pixels of `path`, which is image `number` of `num_images`; raises as `read_rgb`."""
        with self._lock:
            start, width, height = self._places[number].tolist()
        if width:
            return Image.frombytes("RGB", (width, height), self.memory[start : start + 3 * width * height])
        image = read_rgb(path)
        self._keep(number, image)
        return image

    def _keep(self, number: int, image: Image.Image) -> None:
        size_bytes = 3 * image.width * image.height
        with self._lock:
            start = int(self._used[0])
            if self._places[number, 1] or start + size_bytes > self.capacity_bytes:  # another worker's, or no room
                return
            self.memory[start : start + size_bytes] = image.tobytes()
            self._used[0] = start + size_bytes
            self._places[number] = start, image.width, image.height


def _memory_of_machine() -> int:
    """Bytes; Windows, which does not say so here, is asked for what is wanted."""
    return sys.maxsize if sys.platform == "win32" else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _lock() -> AbstractContextManager[Any]:
    try:
        return multiprocessing.Lock()
    except (ImportError, OSError):  # a machine without semaphores can have no workers either
        return nullcontext()
