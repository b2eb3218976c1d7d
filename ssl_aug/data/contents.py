"""What images are known by: the sha256 of their files, remembered in the cache, so that each is read once.

Images that this program made into its cache are known by what they were made of: another version of Pillow or zlib
writes the same pixels as other bytes, and ids are to be the same on every machine.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from generators.hashes import file_hashes
from ssl_aug.runtime import cache_folder, progress_bar

# Folders of such images in the cache: their kind, their version, and which images are together. Kind, version and place
# in the folder decide an image's pixels; of given arrays the file's name holds their hash.
MADE = ("toycars", "digits", "given", "stanford_cars-boxes")
_FOLDER = re.compile(rf"((?:{'|'.join(MADE)})-[0-9a-f]+)(?:-[0-9a-f]+)?")
TOLD_FROM = 2000  # files that are read before a bar says so


def hash_memory() -> Path:
    """Where hashes of files are remembered."""
    return cache_folder() / "hashes.sqlite"


def content_hashes(paths: Sequence[Path]) -> list[str]:
    """sha256 of files, from the memory where they look as they did.

    Raises:
        OSError: a file that is not there, or may not be read.
    """
    return file_hashes(paths, hash_memory(), _told)


def content_hash(path: Path) -> str:
    """sha256 of one file; as `content_hashes`."""
    return content_hashes([path])[0]


def contents_of(paths: Sequence[Path]) -> list[str]:
    """What each image is known by: the same for the same content, whatever the file's name.

    Raises:
        FileNotFoundError: a file that is not there.
        OSError: one that may not be read.
    """
    cache = cache_folder()
    made = [made_content(path, cache) for path in paths]
    try:
        read = iter(content_hashes([path for path, content in zip(paths, made, strict=True) if content is None]))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{error.filename}: there is no such image file; put it back, or start from new lists"
        ) from error
    return [next(read) if content is None else content for content in made]


def made_content(path: Path, cache: Path) -> str | None:
    """Kind, version and place of an image that this program made; None for any other.

    Args:
        cache: the folder of the cache.
    """
    if not path.is_relative_to(cache):
        return None
    folder, *inner = (*path.relative_to(cache).parts, "")
    found = _FOLDER.fullmatch(folder)
    return "/".join([found[1], *inner]) if found else None


def short_id(lines: Iterable[str]) -> str:
    """12 hex digits of some lines."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def _told(hashes: Iterator[str], total: int) -> Iterator[str]:
    with progress_bar(total, "reading files for their hashes", hidden=total < TOLD_FROM) as bar:
        for sha256 in hashes:
            yield sha256
            bar.update()
