"""One `.npz` of arrays for codebases that take pixels: TorchSSL, FixMatch-pytorch, LAMDA-SSL, scikit-learn."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ssl_aug.data.reading import read_rgb, read_square
from ssl_aug.export.content import Content, Exported, Options, Picture, Placed

ARRAYS = (
    ("x_lb", ("real", "synthetic")), ("x_ulb", ("unlabeled",)), ("x_test", ("test",)), ("x_val", ("validation",)),
)  # fmt: skip


def write(content: Content, folder: Path, final: Path, options: Options, placed: Placed) -> str:
    """Writes data.npz, image by image; returns the README's snippet."""
    size = options.image_size or _size_of_first(content)
    count = content.counts()
    sources = {(example.label, example.key): number for number, example in enumerate(content.split.labeled.examples)}
    pictures: list[Picture] = []
    with zipfile.ZipFile(folder / "data.npz", "w", allowZip64=True) as archive:
        for name, parts in ARRAYS:
            if parts[0] not in count:
                continue
            shape = (sum(count[part] for part in parts), size, size, 3)
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                npy.write_array_header_2_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
                for position, picture in enumerate(content.pictures(*parts)):
                    pixels = read_square(picture.path, size).tobytes()
                    file.write(pixels)
                    placed(picture, f"data.npz:{name}[{position}]", hashlib.sha256(pixels).hexdigest())
        pictures = list(content.pictures("real", "synthetic"))
        arrays = {
            "y_lb": np.array([picture.label for picture in pictures], dtype=np.int64),
            "is_synthetic": np.array([picture.part == "synthetic" for picture in pictures]),
            # which of the real images, the first of x_lb, it was drawn from; -1: not known
            "source_index": np.array(
                [_source(picture, number, sources) for number, picture in enumerate(pictures)], dtype=np.int64
            ),
            "y_test": np.array(content.split.test.labels, dtype=np.int64),
            "classes": np.array(content.class_names, dtype=np.str_),
        }
        if "validation" in count:
            arrays["y_val"] = np.array(content.validation.labels, dtype=np.int64)
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as file:
                npy.write_array(file, array, allow_pickle=False)
    validation = 'x_val, y_val = data["x_val"], data["y_val"]\n' if "validation" in count else ""
    return f"""\
import numpy as np

data = np.load({str(final / "data.npz")!r})
x, y = data["x_lb"], data["y_lb"]  # (n, {size}, {size}, 3) uint8 and class indices
real = ~data["is_synthetic"]  # x[real], y[real]: without the synthetic images
unlabeled, x_test, y_test = data["x_ulb"], data["x_test"], data["y_test"]
{validation}\
class_names = data["classes"]  # in the order of the indices
"""


def _source(picture: Picture, number: int, sources: dict[tuple[int, str], int]) -> int:
    if picture.part == "real":
        return number
    return sources.get((picture.label if picture.label is not None else -1, picture.facts.get("source", "")), -1)


def _size_of_first(content: Content) -> int:
    """The side of the synthetic images, or of the first labeled one: the arrays have one size."""
    first = next(content.pictures("synthetic", "real"))
    return min(read_rgb(first.path).size)


def read(folder: Path) -> Iterator[Exported]:
    """The arrays' rows, part by part."""
    with np.load(folder / "data.npz", allow_pickle=False) as data:
        is_synthetic: NDArray[np.bool_] = data["is_synthetic"]
        for pixels, label, drawn in zip(data["x_lb"], data["y_lb"], is_synthetic, strict=True):
            yield Exported("synthetic" if drawn else "real", int(label), pixels)
        for pixels in data["x_ulb"]:
            yield Exported("unlabeled", None, pixels)
        for part, name in (("test", "test"), ("validation", "val")):
            if f"x_{name}" in data:
                for pixels, label in zip(data[f"x_{name}"], data[f"y_{name}"], strict=True):
                    yield Exported(part, int(label), pixels)
