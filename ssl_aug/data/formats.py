"""Which files are pictures by their suffix, and which of them can be read here: what Pillow opens, and HEIC with
pillow-heif, which the extra `heif` installs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

try:
    from pillow_heif import register_heif_opener
except ImportError:
    pass
else:
    register_heif_opener()

_WITH_PILLOW = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".ppm", ".pgm", ".pbm", ".pnm", ".bmp", ".dib", ".tif", ".tiff",
    ".webp", ".avif", ".avifs", ".gif", ".jp2", ".j2k", ".jpx", ".jpf", ".mpo", ".tga", ".qoi",
)  # fmt: skip
_HEIF = (".heic", ".heics", ".heif", ".heifs", ".hif")
_NEVER = (  # cameras' raw files, and pictures that Pillow has no reader for
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".iiq", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw",
    ".rw2", ".sr2", ".srf", ".srw", ".x3f", ".jxl", ".jxr", ".svg", ".xcf", ".psd", ".exr",
)  # fmt: skip


def readable_suffixes() -> tuple[str, ...]:
    """The suffixes of pictures that this Pillow opens, in lower case."""
    known = Image.registered_extensions()
    return tuple(suffix for suffix in (*_WITH_PILLOW, *_HEIF) if suffix in known)


def unreadable_suffixes() -> tuple[str, ...]:
    """The suffixes of pictures that it does not."""
    readable = readable_suffixes()
    return tuple(suffix for suffix in (*_WITH_PILLOW, *_HEIF, *_NEVER) if suffix not in readable)


def suffix_of(image_format: str) -> str:
    """What a file of this format (Pillow's word for it) is called behind its name."""
    known = Image.registered_extensions()
    return next((suffix for suffix in (*readable_suffixes(), *known) if known[suffix] == image_format), ".img")


def told_unreadable(paths: Sequence[Path]) -> str:
    """How many pictures cannot be read, of which kinds, and the way out: the end of a warning or an error."""
    kinds = Counter(path.suffix.lower() for path in paths)
    told = ", ".join(f"{count} {suffix}" for suffix, count in sorted(kinds.items()))
    ways = []
    if any(suffix in _HEIF for suffix in kinds):
        ways.append("pip install 'ssl_aug[heif]' to read HEIC")
    if any(suffix not in _HEIF for suffix in kinds):
        ways.append("save them as JPEG or PNG" if len(ways) == 0 else "save the others as JPEG or PNG")
    return f"{len(paths)} pictures that cannot be read here ({told}, the first is {paths[0]}): {', '.join(ways)}"
