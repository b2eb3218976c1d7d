"""The image files below a folder, beside them the pictures that cannot be read and the folders that are nobody's.

Hidden files and folders (a leading dot) are no images and no classes; links are followed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ssl_aug.data.base import LabeledSet
from ssl_aug.data.formats import readable_suffixes, told_unreadable, unreadable_suffixes

# what archives, storage systems and file managers put beside people's own folders, in lower case
_FOREIGN = ("__macosx", "@eadir", "#recycle", "#snapshot", "@tmp", "$recycle.bin", "system volume information",
            "lost+found", "thumbs.db", "thumbs", "__pycache__")  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What lies below a folder."""

    images: tuple[Path, ...] = ()
    unreadable: tuple[Path, ...] = ()  # pictures by their suffix
    foreign: tuple[Path, ...] = ()  # folders that were passed over
    no_files: tuple[Path, ...] = ()  # named like images, but broken links, pipes, sockets or devices


def together(found: Sequence[Found]) -> Found:
    """What lies below several folders, one after the other."""
    return Found(
        tuple(path for each in found for path in each.images),
        tuple(path for each in found for path in each.unreadable),
        tuple(path for each in found for path in each.foreign),
        tuple(path for each in found for path in each.no_files),
    )


def look_below(folder: Path) -> Found:
    """The files of a folder and of the folders in it: folder after folder, names sorted.

    Raises:
        ValueError: a name that is not UTF-8, so that no list of files could hold it.
        PermissionError: a folder that may not be read.
    """
    readable, unreadable = readable_suffixes(), unreadable_suffixes()
    paths, foreign = files_below(folder)
    named = [path for path in paths if path.name.lower().endswith(readable)]
    for path in named:
        require_utf8(path)
    images = tuple(path for path in named if path.is_file())  # whoever opened a pipe would wait for ever
    return Found(
        images,
        tuple(path for path in paths if path.name.lower().endswith(unreadable)),
        foreign,
        tuple(sorted(set(named) - set(images))) if len(images) < len(named) else (),
    )


def files_below(folder: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """All files of a folder and of the folders in it, as `look_below` takes them, and the folders passed over.

    Raises:
        PermissionError: a folder that may not be read.
    """
    visited: set[str] = set()  # a link to a folder above it would lead round for ever
    of_folder: list[tuple[str, list[str]]] = []
    foreign: list[Path] = []
    for parent, inner, names in os.walk(folder, followlinks=True, onerror=_refuse):
        real = os.path.realpath(parent)
        if real in visited:
            inner[:] = []
            continue
        visited.add(real)
        foreign += [Path(parent, name) for name in sorted(inner) if is_foreign(name)]
        inner[:] = sorted(name for name in inner if not is_foreign(name))
        of_folder.append((parent, sorted(name for name in names if not name.startswith("."))))
    return tuple(Path(parent, name) for parent, names in sorted(of_folder) for name in names), tuple(foreign)


def images_below(folder: Path) -> list[Path]:
    """The image files alone; raises as `look_below`."""
    return list(look_below(folder).images)


def images_in(folder: Path) -> list[Path]:
    """The image files of a folder itself, names sorted."""
    readable = readable_suffixes()
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.name.lower().endswith(readable) and not entry.name.startswith(".") and entry.is_file()
    )


def folders_in(folder: Path) -> tuple[list[Path], list[Path]]:
    """A folder's own folders, names sorted, and those in it that are nobody's."""
    folders = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    return [each for each in folders if not is_foreign(each.name)], [each for each in folders if is_foreign(each.name)]


def is_foreign(name: str) -> bool:
    """Whether a folder of this name is hidden, or made by a program for itself."""
    return name.startswith(".") or name.lower() in _FOREIGN


def notes_on(found: Found) -> list[str]:
    """What has to be said of pictures and folders that were left out."""
    notes = []
    if found.unreadable:
        notes.append(f"warning: left out {told_unreadable(found.unreadable)}")
    if found.no_files:
        notes.append(f"warning: left out {told_no_files(found.no_files)}")
    if found.foreign:
        counts = Counter(path.name for path in found.foreign)
        told = ", ".join(name if count == 1 else f"{name} ({count} times)" for name, count in sorted(counts.items()))
        notes.append(f"passed over {len(found.foreign)} folders that programs make for themselves: {told}")
    return notes


def told_no_files(paths: Sequence[Path]) -> str:
    """How many names of images are no files, and the way out: the end of a warning or an error."""
    return (
        f"{len(paths)} names of images that are no files but broken links, pipes, sockets or devices (the first is "
        f"{paths[0]}): put the images there, or remove them"
    )


def require_own_keys(train: LabeledSet) -> None:
    """Folder and file name identify an image from here on: two of one class must not share both.

    Raises:
        ValueError: two do.
    """
    seen: dict[tuple[int, str], Path] = {}
    for example in train.examples:
        other = seen.setdefault((example.label, example.key), example.path)
        if other != example.path:
            raise ValueError(
                f"{other} and {example.path}: two images of one class need another file name or folder name "
                "to be told apart; rename one of the files or folders"
            )


def require_utf8(path: Path) -> None:
    """Raises ValueError for a name that no text file could hold."""
    try:
        path.name.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{os.fsencode(path)!r}: the name is not UTF-8; rename it, for example with convmv") from error


def some(names: Sequence[str]) -> str:
    """The first names of many, for an error."""
    rest = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(repr(name) for name in names[:5]) + rest


def _refuse(error: OSError) -> None:
    raise error
