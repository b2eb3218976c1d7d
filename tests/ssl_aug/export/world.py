"""A split with classes whose names are hard on every reader, and a synthetic set of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ssl_aug.data.base import Example, LabeledSet, Split
from ssl_aug.export.content import Content
from ssl_aug.synthetic import SetWriter, SyntheticSet, make_chunks, make_requests

HOSTILE = (
    "train", "test pilot", "two  blanks", "O'Neil \"quoted\"", "left/right", "Škoda, ä ß", "🚗", "unlabeled", "10", "9",
)  # fmt: skip
FACTS = {"mask_rate": "0.5", "mask_box": "0 0 4 4", "sampler": "ddim", "steps": "20", "guidance": "1.0"}


def save_picture(path: Path, label: int, number: int, size: int = 12) -> Path:
    """An image that no other one equals; every third a grey JPEG, or with an alpha channel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng([label, number]).integers(0, 255, (size, size, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    if number % 3 == 1:
        image = image.convert("L")
    elif number % 3 == 2:
        image = image.convert("RGBA")
    image.save(path)
    return path


def make_content(root: Path, names: tuple[str, ...] = HOSTILE, per_sample: int = 3) -> Content:
    """Of each class four labeled, two test images, one for validation; unlabeled ones; `per_sample` drawn of each."""

    def labeled(part: str, count: int, offset: int = 0) -> LabeledSet:
        examples = [
            Example(save_picture(root / part / f"c {label}" / f"im {i}.png", label, i + offset), label)
            for label in range(len(names))
            for i in range(count)
        ]
        return LabeledSet(tuple(examples), names)

    unlabeled = tuple(save_picture(root / "un labeled" / f"{i}  x.png", 99, i) for i in range(17))
    split = Split(labeled("train", 4), unlabeled, labeled("held", 2, 5), labeled("val", 1, 7))
    writer = SetWriter(root / "synthetic", {"seed": 0}, split.labeled)
    requests = make_requests(split.labeled, per_sample, seed=0)
    for chunk in make_chunks(requests, 8):
        pngs = [
            save_picture(root / "drawn.png", request.source.label, 3 * request.seed % 10**9).read_bytes()
            for request in chunk
        ]
        writer.write(chunk, pngs, [FACTS] * len(chunk))
    synthetic = writer.finish(requests, "card", {})
    assert isinstance(synthetic, SyntheticSet)
    return Content(split, synthetic)


def labels(content: Content, *parts: str) -> list[int | None]:
    """The labels of these parts, one part after the other."""
    return [picture.label for picture in content.pictures(*parts)]
