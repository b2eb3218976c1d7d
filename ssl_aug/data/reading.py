"""From an image file to RGB pixels: the one place where files are decoded."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from ssl_aug.data import formats  # noqa: F401  # HEIC is opened from here on, if it can be

DARKEST_PEAK = 8192  # an eighth of 16 bits: below it, the values are taken for those of 8, 10 or 12 bits
_UPRIGHT = {  # what turns a picture of this EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_METADATA = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")  # the chunks that Pillow refuses for their size


class Opened(NamedTuple):
    """A file's picture, decoded as it is stored; the caller closes the image."""

    image: Image.Image
    is_deep: bool  # 16 bits per channel, which Pillow calls RGB as well
    is_whole: bool  # nothing was left out to open it


def read_rgb(path: Path) -> Image.Image:
    """The picture as a person sees it: upright (EXIF), 8-bit RGB, transparency over white, first frame.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no image, a damaged or truncated one, or one whose range of values is not known.
    """
    return upright(*read_stored(path))


def read_stored(path: Path) -> tuple[Image.Image, int]:
    """The picture in 8-bit RGB as it lies in the file, where pixels were annotated, and its EXIF orientation (1 to 8).

    Raises as `read_rgb`.
    """
    try:
        return _decoded(path)[:2]
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: there is no such image file; put it back, or start from new lists") from error
    except (PermissionError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{path} is larger than an image may be ({_reason(error, str(path))}): save it smaller or remove it"
        ) from error
    except Exception as error:  # Pillow raises what its decoders stumble on: OSError, SyntaxError, struct.error, ...
        raise ValueError(
            f"{path} cannot be read as an image ({_reason(error, str(path))}): remove it or replace it"
        ) from error


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """A stored picture, or a part of one, as a person sees it."""
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def format_of(content: bytes) -> str:
    """Pillow's word for the format of a file's bytes, which `read_rgb` can read.

    Raises:
        ValueError: it cannot; what the reason stands behind is the caller's to say.
    """
    file = BytesIO(content)
    try:
        return _decoded(file)[2]
    except MemoryError:
        raise
    except Exception as error:  # as above
        raise ValueError(f"cannot be read as an image ({_reason(error, file)})") from error


def opened(file: Path | BytesIO) -> Opened:
    """Text and color profiles of a PNG that are larger than Pillow reads are left out: they are not pixels.

    Raises whatever Pillow does.
    """
    try:
        return Opened(*_loaded(file), is_whole=True)
    except ValueError:
        slim = _without_metadata(file.getvalue() if isinstance(file, BytesIO) else file.read_bytes())
        if slim is None:
            raise
        return Opened(*_loaded(BytesIO(slim)), is_whole=False)


def _loaded(file: Path | BytesIO) -> tuple[Image.Image, bool]:
    image = Image.open(file)
    try:
        is_deep = any(";16" in str(tile.args) for tile in image.tile)  # loading empties the list
        image.load()  # all of it: a truncated file is no image
    except BaseException:
        image.close()
        raise
    return image, is_deep


def _without_metadata(content: bytes) -> bytes | None:
    """A PNG without text and color profile, but with XMP as it stands, which may say how it is turned; None: no PNG."""
    if not content.startswith(_PNG_START):
        return None
    kept, at = [_PNG_START], len(_PNG_START)
    while at < len(content):  # length, kind, data, checksum
        end = at + 12 + int.from_bytes(content[at : at + 4])
        is_xmp = content.startswith(b"iTXtXML:com.adobe.xmp\0\0", at + 4)
        if is_xmp or content[at + 4 : at + 8] not in _PNG_METADATA:
            kept.append(content[at:end])
        at = end
    return b"".join(kept)


def _decoded(file: Path | BytesIO) -> tuple[Image.Image, int, str]:
    """The picture as it is stored in 8-bit RGB, its orientation and its format."""
    found = opened(file)
    with found.image as image:
        rgb = to_rgb(image)
        if found.is_deep and not image.mode.startswith("I"):
            peaks = [image.getchannel(band).getextrema()[1] for band in image.getbands() if band != "A"]
            _check_peak(256 * max(peaks) + 255)  # Pillow keeps the upper eight bits
        return rgb, image.getexif().get(ExifTags.Base.Orientation, 1), image.format or ""


def _check_peak(peak: int) -> None:
    if peak < DARKEST_PEAK:
        raise ValueError(
            f"16 bits per channel with no value above {peak} of 65535, which would be all but black: save it with "
            "8 bits per channel, or with values up to 65535"
        )


def _reason(error: Exception, name: object) -> str:
    """What went wrong, without the name that Pillow says with it."""
    return " ".join(str(error).replace(repr(name), "").replace(str(name), "").split()) or type(error).__name__


def read_square(path: Path, size_px: int) -> NDArray[np.uint8]:
    """The generator's view: the central square over the whole shorter side, (size_px, size_px, 3) in 0..255.

    Bicubic with antialiasing. Raises as `read_rgb`.
    """
    return square_of(read_rgb(path), size_px)


def square_of(image: Image.Image, size_px: int) -> NDArray[np.uint8]:
    """The same of a picture that was read."""
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return np.array(image.resize((size_px, size_px), Image.Resampling.BICUBIC, box=box), dtype=np.uint8)


def to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB, transparency over white.

    Raises:
        ValueError: pixels whose range is not known: floating-point ones, whole numbers beyond 16 bits, or 16 bits of
            which only the lowest are used.
    """
    if image.mode == "F":
        raise ValueError("floating-point pixels, whose range is not known: save it with 8 bits per channel")
    if image.mode.startswith("I"):  # 16 bits of gray, which convert() would clip to white instead of scaling
        gray = np.asarray(image)
        lowest, peak = int(gray.min()), int(gray.max())
        if lowest < 0 or peak > 65535:
            raise ValueError(
                f"whole numbers from {lowest} to {peak}, whose range is not known: save it with 8 bits per channel"
            )
        if peak > 0:
            _check_peak(peak)
        return Image.fromarray((gray // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")
