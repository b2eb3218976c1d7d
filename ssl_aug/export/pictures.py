"""Image files as a sequence of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL.Image import Image

from ssl_aug.data.reading import read_rgb


class Pictures(Sequence[Image]):
    """Image files as a sequence of upright RGB pictures, each read when it is asked for."""

    def __init__(self, paths: Sequence[Path]):
        self.paths = tuple(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> Any:
        return Pictures(self.paths[index]) if isinstance(index, slice) else read_rgb(self.paths[index])
