"""Images from files: every kind becomes RGB, and a damaged one is named."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.ImageOps import exif_transpose
from PIL.PngImagePlugin import PngInfo

from ssl_aug.data.copying import put
from ssl_aug.data.reading import read_rgb, read_square
from tests.ssl_aug.data.layouts import one_line, picture


def test_every_kind_of_image_becomes_rgb(tmp_path):
    for mode, color, suffix in (
        ("L", 90, "png"), ("1", 1, "png"), ("P", 3, "png"), ("LA", (90, 255), "png"),
        ("RGBA", (9, 9, 9, 255), "png"), ("I;16", 40000, "png"), ("RGB", (1, 2, 3), "webp"),
        ("CMYK", (0, 0, 0, 0), "jpg"), ("L", 90, "jpg"), ("P", 3, "gif"),
    ):  # fmt: skip
        path = tmp_path / f"{mode.replace(';', '')}.{suffix}"
        Image.new(mode, (5, 3), color).save(path)
        image = read_rgb(path)
        assert (image.mode, image.size) == ("RGB", (5, 3)), path


def test_transparency_lies_over_white(tmp_path):
    Image.new("RGBA", (2, 2), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_rgb(tmp_path / "clear.png").getpixel((0, 0)) == (255, 255, 255)
    palette = Image.new("P", (2, 2), 0)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((1, 1), 1)
    palette.save(tmp_path / "palette.png", transparency=bytes([0, 255]))
    image = read_rgb(tmp_path / "palette.png")
    assert (image.getpixel((0, 0)), image.getpixel((1, 1))) == ((255, 255, 255), (0, 0, 255))


def test_sixteen_bits_of_grey_are_scaled_not_clipped(tmp_path):
    Image.fromarray(np.array([[0, 257 * 100, 65535]], dtype=np.uint16)).save(tmp_path / "deep.png")
    assert [read_rgb(tmp_path / "deep.png").getpixel((x, 0))[0] for x in range(3)] == [0, 100, 255]


@pytest.mark.parametrize("peak", [255, 1023, 4095, 8191])
@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_sixteen_bits_of_which_only_the_lowest_are_used_are_not_read_as_black(peak, suffix, tmp_path):
    path = tmp_path / f"shallow.{suffix}"
    Image.fromarray(np.array([[0, peak]], dtype=np.uint16)).save(path)
    with pytest.raises(ValueError) as error:
        read_rgb(path)
    one_line(error, path, f"no value above {peak} of 65535", "8 bits per channel")


def test_sixteen_bits_of_color_are_held_to_the_same(tmp_path):
    for name, peak in (("deep", 65535), ("shallow", 4095)):
        (tmp_path / f"{name}.png").write_bytes(deep_png(peak))
    assert read_rgb(tmp_path / "deep.png").getpixel((0, 0)) == (255, 255, 255)
    with pytest.raises(ValueError) as error:
        read_rgb(tmp_path / "shallow.png")
    one_line(error, tmp_path / "shallow.png", "no value above 4095 of 65535")


@pytest.mark.parametrize("values", [(0, 70000), (-5, 40000)])
def test_whole_numbers_beyond_16_bits_are_named_not_clipped(values, tmp_path):
    Image.fromarray(np.array([values], dtype=np.int32)).save(tmp_path / "wide.tiff")
    with pytest.raises(ValueError) as error:
        read_rgb(tmp_path / "wide.tiff")
    one_line(error, tmp_path / "wide.tiff", f"from {values[0]} to {values[1]}", "8 bits per channel")


@pytest.mark.parametrize("kind", ["text", "profile"])
def test_large_metadata_do_not_stand_before_the_pixels(kind, tmp_path):
    large = b"x" * 2_000_000
    text = PngInfo()
    text.add_text("note", large.decode(), zip=True)
    image = Image.new("RGB", (4, 2), (9, 8, 7))
    image.paste((200, 0, 0), (0, 0, 2, 2))
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "told.png"
    image.save(path, exif=exif, **({"pnginfo": text} if kind == "text" else {"icc_profile": large}))
    read = read_rgb(path)
    assert np.array_equal(np.asarray(read), np.asarray(image.transpose(Image.Transpose.ROTATE_270)))
    image.save(path, **({"pnginfo": text} if kind == "text" else {"icc_profile": large}))
    (tmp_path / "out").mkdir()
    copy, _ = put(path, tmp_path / "out" / "told", "copy")
    with Image.open(copy) as readable:  # by others too
        assert np.array_equal(np.asarray(readable), np.asarray(image))


def test_a_picture_that_is_too_large_is_named_with_the_way_out(tmp_path, monkeypatch):
    picture(tmp_path / "bomb.png", (60, 60))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError) as error:
        read_rgb(tmp_path / "bomb.png")
    one_line(error, tmp_path / "bomb.png", "save it smaller or remove it")


def deep_png(peak: int) -> bytes:
    """A PNG of one pixel with 16 bits per channel, which Pillow reads but does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" + struct.pack(">HHH", peak, peak, peak))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_as_pillow_turns_them(orientation, tmp_path):
    image = Image.fromarray(np.arange(18, dtype=np.uint8).reshape(2, 3, 3))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as stored:
        assert np.array_equal(np.asarray(read_rgb(tmp_path / "turned.png")), np.asarray(exif_transpose(stored)))


def test_a_photo_is_turned_upright(tmp_path):
    image = Image.new("RGB", (40, 20), "black")
    image.paste((255, 255, 255), (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: left is up
    image.save(tmp_path / "turned.png", exif=exif)
    upright = read_rgb(tmp_path / "turned.png")
    assert upright.size == (20, 40)
    assert (upright.getpixel((10, 5)), upright.getpixel((10, 35))) == ((255, 255, 255), (0, 0, 0))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif", "bmp", "tiff"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.9])
def test_a_truncated_image_is_named(suffix, kept, tmp_path):
    path = tmp_path / f"cut short.{suffix}"
    Image.fromarray(np.random.RandomState(0).randint(0, 255, (40, 40, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(ValueError) as error:
        read_rgb(path)
    assert one_line(error, path, "remove it or replace it").count(str(path)) == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"BM", b"II*\0"]),
)
def test_bytes_that_are_no_image_are_one_line(tmp_path_factory, content, start):
    path = tmp_path_factory.getbasetemp() / "noise.jpg"
    path.write_bytes(start + content)
    try:
        assert read_rgb(path).mode == "RGB"
    except ValueError as error:
        assert "\n" not in str(error)
        assert str(path) in str(error)


def test_an_image_that_is_gone_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        read_rgb(tmp_path / "gone.png")
    one_line(error, tmp_path / "gone.png", "put it back")
    with pytest.raises(ValueError) as not_a_file:
        read_rgb(tmp_path)
    one_line(not_a_file, tmp_path, "remove it or replace it")


@given(width=st.integers(1, 40), height=st.integers(1, 40), size_px=st.integers(1, 24))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_square_is_of_the_size_asked_for_and_keeps_a_plain_color(tmp_path_factory, width, height, size_px):
    path = picture(tmp_path_factory.getbasetemp() / "plain.png", (width, height), (10, 200, 90))
    square = read_square(path, size_px)
    assert (square.shape, square.dtype) == ((size_px, size_px, 3), np.uint8)
    assert np.all(square == (10, 200, 90))


def test_a_square_is_the_middle_of_the_picture(tmp_path):
    pixels = np.zeros((4, 8, 3), dtype=np.uint8)
    pixels[:, 2:6] = np.arange(4)[:, None, None] * 60
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    assert np.array_equal(read_square(tmp_path / "wide.png", 4), pixels[:, 2:6])
    Image.fromarray(pixels.transpose(1, 0, 2)).save(tmp_path / "tall.png")
    assert np.array_equal(read_square(tmp_path / "tall.png", 4), pixels[:, 2:6].transpose(1, 0, 2))
