"""From an image file to RGB pixels: the one place where files are decoded."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ssl_aug.data import formats  # noqa: F401  # HEIC is opened from here on, if it can be


def read_rgb(path: Path) -> Image.Image:
    """The picture as a person sees it: upright (EXIF), 8-bit RGB, transparency over white, first frame.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no image, or a damaged or truncated one.
    """
    try:
        return _decoded(path)[0]
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


def _decoded(file: Path | BytesIO) -> tuple[Image.Image, str]:
    """The picture and its format."""
    with Image.open(file) as image:
        image.load()
        return to_rgb(ImageOps.exif_transpose(image)), image.format or ""


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
        ValueError: floating-point pixels.
    """
    if image.mode == "F":
        raise ValueError("floating-point pixels, whose range is not known: save it with 8 bits per channel")
    if image.mode.startswith("I"):  # 16 bits of gray, which convert() would clip to white instead of scaling
        return Image.fromarray((np.clip(np.asarray(image), 0, 65535) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")
