"""Synthetic sets for a page to be made of: pictures that no two look alike, and what is hard on HTML."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssl_aug.data.base import Example, LabeledSet
from ssl_aug.reporting.making import identity_of, make_page
from ssl_aug.reporting.page import Page
from ssl_aug.reporting.settings import ReportSettings
from ssl_aug.reporting.subject import read_subject
from ssl_aug.synthetic import Request, SetWriter, make_requests

SIDE = 32
HOSTILE = ("<script>alert(1)<", "\"><img src=x onerror='alert(2)'>", "{{ 7 * 7 }} & </style>", "]]>--> é 🚗")


def picture(number: int) -> NDArray[np.uint8]:
    """Large patches of color, other ones for each number."""
    coarse = np.random.default_rng(number).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def labeled_set(root: Path, names: Sequence[str] = HOSTILE, per_class: int = 2) -> LabeledSet:
    """Of each class some labeled images."""
    examples = []
    for label in range(len(names)):
        for number in range(per_class):
            path = root / "photos" / f"c{label}" / f"im {number} & <b>.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(picture(100 * label + number)))
            examples.append(Example(path, label))
    return LabeledSet(tuple(examples), tuple(names))


def write_set(
    folder: Path,
    labeled: LabeledSet,
    pictures: Mapping[int, NDArray[np.uint8]] | None = None,
    facts: Mapping[int, dict[str, str]] | None = None,
    per_sample: int = 3,
    identity: Mapping[str, object] | None = None,
) -> list[Request]:
    """Draws a set; some drawings' pictures and facts may be given by their places in the list that is returned."""
    writer, requests = (
        SetWriter(folder, {"seed": 0, **(identity or {})}, labeled),
        make_requests(labeled, per_sample, 0),
    )
    drawn = [(pictures or {}).get(place, picture(10_000 + place)) for place in range(len(requests))]
    same = {"mask_box": "0 0 4 4", "source_score": "0.5", "class_score": "0.9"}
    told = [same | (facts or {}).get(place, {}) for place in range(len(requests))]
    writer.write(requests, [png(each) for each in drawn], told)
    assert writer.finish(requests, "card", {"versions": {"python": "3"}}) is not None
    return requests


def page_of(folder: Path, labeled: LabeledSet | None, settings: ReportSettings | None = None) -> Page:
    """The page of a set, where neither runs nor evaluations are."""
    subject = read_subject(folder, labeled, 10, "their data are gone")
    return make_page(settings or ReportSettings(), subject, identity_of(subject.record))
