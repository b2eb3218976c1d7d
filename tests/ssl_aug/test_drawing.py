"""What is drawn is looked at before it is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ssl_aug.data.base import Example, LabeledSet
from ssl_aug.drawing.generator import draw
from ssl_aug.runtime import placement
from ssl_aug.synthetic import make_requests
from tests.conftest import write_image_folder


class Drawing:
    """A generator whose second image of a chunk is lost."""

    image_size = 8

    def __call__(self, reference: Tensor, class_names: Sequence[str], seeds: Sequence[int]) -> Tensor:
        images = reference.clone()
        images[1, 0, 3, 3] = torch.nan
        return images


def test_a_drawing_that_is_not_finite_is_named(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    paths = sorted((tmp_path / "train").rglob("*.png"))[:2]
    labeled = LabeledSet(tuple(Example(path, 0) for path in paths), ("c",))
    requests = make_requests(labeled, 1, 0)
    with pytest.raises(ValueError) as caught:
        draw(Drawing(), requests, labeled, placement("cpu", "fp32"))
    assert str(caught.value).startswith(f"{requests[1].path}: the generator drew numbers that are not finite")
    assert str(caught.value).endswith("use precision=fp32, or less guidance")
