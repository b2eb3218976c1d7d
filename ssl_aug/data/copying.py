"""Image files copied or linked to where others read them; what some reader would see otherwise is written anew."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from generators.hashes import file_hash
from ssl_aug.data.reading import opened, read_rgb


def put(image: Path, stem: Path, link: str) -> tuple[Path, str]:
    """Puts an image file elsewhere; returns its new path and sha256.

    A JPEG or PNG with 8-bit RGB pixels, upright and opaque, is taken as it is. Anything else, which some reader would
    see otherwise than we do, is written anew as an RGB PNG.

    Args:
        stem: the path without its suffix.
        link: copy, hard or symbolic.

    Raises:
        ValueError: the image cannot be read, or a hard link would lead to another disk.
    """
    suffix = _plain_suffix(image)
    stem.parent.mkdir(parents=True, exist_ok=True)
    target = stem.with_name(stem.name + (suffix or ".png"))
    if suffix is None:
        read_rgb(image).save(target, "PNG")
    elif link == "copy":
        shutil.copyfile(image, target)
    elif link == "hard":
        try:
            os.link(image.resolve(), target)
        except OSError as error:
            raise ValueError(
                f"--link hard: {image} cannot be linked from {stem.parent} ({error.strerror}): "
                "export to a folder on the same disk, or use --link copy or symbolic"
            ) from error
    else:
        target.symlink_to(image.resolve())
    return target, file_hash(target)


def _plain_suffix(path: Path) -> str | None:
    try:
        found = opened(path)
        with found.image as image:
            suffix = {"JPEG": ".jpg", "PNG": ".png"}.get(image.format or "")
            is_plain = (
                image.mode == "RGB"
                and found.is_whole  # others may refuse it
                and not found.is_deep
                and not image.has_transparency_data
                and getattr(image, "n_frames", 1) == 1
                and image.getexif().get(0x0112, 1) == 1  # orientation: upright
            )
    except (FileNotFoundError, PermissionError, MemoryError):
        raise
    except Exception as error:  # Pillow raises what its decoders stumble on, as `read_rgb` says
        raise ValueError(f"{path} cannot be read as an image: remove it or replace it") from error
    return suffix if is_plain else None
