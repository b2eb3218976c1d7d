"""From an image file to RGB pixels: the one place where files are decoded."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, PngImagePlugin

from ssl_aug.data import formats  # noqa: F401  # HEIC is opened from here on, if it can be

PngImagePlugin.MAX_TEXT_CHUNK = 2**26  # bytes of a text or a color profile beside the pixels, which nobody reads here
_ORIENTATION = 0x0112  # EXIF's tag
DEEP = 65535  # the white of 16 bits
LEAST_WHITE = DEEP // 8  # a picture of 16 bits that is darker than this everywhere is most likely of fewer bits


def read_rgb(path: Path) -> Image.Image:
    """The picture as a person sees it: upright (EXIF), 8-bit RGB, transparency over white, first frame.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no image, or a damaged or truncated one.
    """
    return _read(path, None)


def read_cut(path: Path, box: Callable[[int, int], tuple[int, int, int, int]]) -> Image.Image:
    """The same of a part of the picture, which is told in the pixels that are stored, before it is turned upright.

    Args:
        box: width and height of what is stored -> left, top, right and bottom, the last two excluded.

    Raises:
        FileNotFoundError, ValueError: as `read_rgb`.
    """
    return _read(path, box)


def _read(path: Path, box: Callable[[int, int], tuple[int, int, int, int]] | None) -> Image.Image:
    try:
        return _decoded(path, box)[0]
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: there is no such image file; put it back, or start from new lists") from error
    except (PermissionError, MemoryError):
        raise
    except Exception as error:  # Pillow raises what its decoders stumble on: OSError, SyntaxError, struct.error, ...
        raise ValueError(
            f"{path} cannot be read as an image ({_reason(error, str(path))}): remove it or replace it"
        ) from error


def format_of(content: bytes) -> str:
    """Pillow's word for the format of a file's bytes, which `read_rgb` can read.

    Raises:
        ValueError: it cannot; what the reason stands behind is the caller's to say.
    """
    file = BytesIO(content)
    try:
        return _decoded(file)[1]
    except MemoryError:
        raise
    except Exception as error:  # as above
        raise ValueError(f"cannot be read as an image ({_reason(error, file)})") from error


def _decoded(
    file: Path | BytesIO, box: Callable[[int, int], tuple[int, int, int, int]] | None = None
) -> tuple[Image.Image, str]:
    """The picture, or what a box cuts out of what is stored, and its format."""
    with Image.open(file) as image:
        image.load()
        part: Image.Image = image
        if box is not None:
            part = image.crop(box(*image.size))
            part.getexif()[_ORIENTATION] = image.getexif().get(_ORIENTATION, 1)
        return to_rgb(ImageOps.exif_transpose(part)), image.format or ""


def _reason(error: Exception, name: object) -> str:
    """What went wrong, without the name that Pillow says with it."""
    return " ".join(str(error).replace(repr(name), "").replace(str(name), "").split()) or type(error).__name__


def read_square(path: Path, size_px: int) -> NDArray[np.uint8]:
    """The generator's view: the central square over the whole shorter side, (size_px, size_px, 3) in 0..255.

    Bicubic with antialiasing. Raises as `read_rgb`.
    """
    image = read_rgb(path)
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return np.array(image.resize((size_px, size_px), Image.Resampling.BICUBIC, box=box), dtype=np.uint8)


def to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB, transparency over white.

    Raises:
        ValueError: floating-point pixels, or 16 bits of which no more than a part is used: no white is known of them.
    """
    if image.mode == "F":
        raise ValueError("floating-point pixels, whose range is not known: save it with 8 bits per channel")
    if image.mode.startswith("I"):  # 16 bits of gray, which convert() would clip to white instead of scaling
        pixels = np.clip(np.asarray(image), 0, DEEP)
        if 0 < pixels.max() < LEAST_WHITE:  # of a camera's 12 bits, for one, or of 8 bits in a file of 16
            raise ValueError(
                f"16 bits per pixel, and no value above {pixels.max()}, so that it would be nearly black: save it with "
                f"8 bits per channel, or scaled to {DEEP}"
            )
        return Image.fromarray((pixels // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")
