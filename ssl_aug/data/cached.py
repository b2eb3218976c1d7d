"""Folders of images that are made once and kept in the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from generators.files import written_whole
from ssl_aug.data.base import Dataset, Example, LabeledSet
from ssl_aug.data.contents import made_content
from ssl_aug.endings import FULL
from ssl_aug.files import remove_old
from ssl_aug.runtime import cache_folder


def images_made_once(kind: str, version: str, make: Callable[[Path], None], together: str = "") -> Path:
    """As `made_once`, for images.

    Args:
        kind: one of `contents.MADE`.
        version: with an image's place in the folder all that decides its pixels, in hex digits.
        together: which images are in it, in hex digits.
    """
    name = "-".join(part for part in (kind, version, together) if part)
    assert made_content(Path(name), Path()) is not None, name
    return made_once(name, make)


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """The cache's folder of that name, made where there is none.

    Args:
        make: writes into a folder, which is empty when it is called.

    Raises:
        ValueError: the cache cannot be written to, or its disk is full.
    """
    folder = cache_folder() / name
    if folder.is_dir():  # whoever may read the cache need not be allowed to write to it
        return folder
    has_begun = False

    def begun(part: Path) -> None:
        nonlocal has_begun
        has_begun = True
        make(part)

    try:
        make_whole(folder, begun)
    except OSError as error:
        if error.errno in FULL:
            raise ValueError(
                f"no space left on the disk of the cache folder {folder.parent}: "
                "free some, or set SSL_AUG_CACHE to a folder on another disk"
            ) from error
        if has_begun or isinstance(error, FileExistsError):  # what it is made of, or what is in its place
            raise
        raise ValueError(
            f"the cache folder {folder.parent} cannot be written to ({error.strerror}): set SSL_AUG_CACHE to a folder "
            "that can"
        ) from error
    return folder


def sweep_cache() -> None:
    """Removes what killed processes have left half-made in the cache, a day after; also where nothing is to be made."""
    cache = cache_folder()
    for pattern in (".*.part", "*/.*.part"):
        remove_old(cache.glob(pattern))


def make_whole(folder: Path, make: Callable[[Path], None]) -> None:
    """Makes `folder` where there is none: whole or not there at all.

    Processes that start at once all make it; the first one's stays.

    Args:
        make: writes into a folder, which is empty when it is called.
    """
    if folder.is_dir():
        return
    try:
        with written_whole(folder) as part:
            make(part)
    except FileExistsError:
        if not folder.is_dir():  # it is no other process's work
            raise


def require_made(folder: Path, files: Iterable[Path]) -> None:
    """Raises FileNotFoundError where one of a made folder's files was taken away."""
    missing = next((path for path in files if not path.is_file()), None)
    if missing is not None:
        raise FileNotFoundError(f"{missing} was taken away: remove {folder} and run again, it is made anew")


def listed(name: str, folder: Path, class_names: Sequence[str], num_train: int, num_test: int) -> Dataset:
    """The dataset in `folder/train/<class>/*.png` and `folder/test/<class>/*.png`, in name order.

    Raises:
        ValueError: images were taken away since they were made.
    """
    parts = []
    for part, expected in (("train", num_train), ("test", num_test)):
        examples = tuple(
            Example(path, label)
            for label, class_name in enumerate(class_names)
            for path in sorted((folder / part / class_name).glob("*.png"))
        )
        if len(examples) != expected:
            raise ValueError(
                f"{folder / part} holds {len(examples)} images of {expected}: "
                f"remove {folder} and run again, it is made anew"
            )
        parts.append(LabeledSet(examples, tuple(class_names)))
    return Dataset(name, parts[0], parts[1])
