"""Whether images can be read, found out before hours of training: each is decoded once and remembered in the cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import PIL

from generators.hashes import remembered
from ssl_aug.data.contents import TOLD_FROM, made_content
from ssl_aug.data.reading import read_rgb
from ssl_aug.runtime import cache_folder, progress_bar

READABLE = "readable"
VERSION = 1  # of what `read_rgb` accepts


def check_readable(paths: Sequence[Path]) -> None:
    """Decodes those that were not decoded before as they are now; images that this program made are taken as read.

    Raises:
        FileNotFoundError: an image that is not there.
        ValueError: images that cannot be read: how many, and the first by name.
    """
    cache = cache_folder()
    given = [path for path in dict.fromkeys(paths) if made_content(path, cache) is None]
    for path in given:
        if not path.exists():
            read_rgb(path)  # says so
    told = remembered(given, _told, cache / f"readable-{VERSION}-pillow-{PIL.__version__}.sqlite", _watched)
    damaged = [path for path, answer in zip(given, told, strict=True) if answer != READABLE]
    if not damaged:
        return
    try:
        read_rgb(damaged[0])
    except ValueError as error:
        if len(damaged) == 1:
            raise
        raise ValueError(f"{len(damaged)} of {len(given)} images cannot be read, the first: {error}") from error


def _told(path: Path) -> str:
    try:
        read_rgb(path)
    except ValueError:
        return ""
    return READABLE


def _watched(answers: Iterator[str], total: int) -> Iterator[str]:
    with progress_bar(total, "looking whether all images can be read", hidden=total < TOLD_FROM) as bar:
        for answer in answers:
            yield answer
            bar.update()
