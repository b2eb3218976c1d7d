"""Which images are taken in, and where to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from generators.allowed import FreeText, OneOf, PathText
from ssl_aug.data.settings import LINKS
from ssl_aug.settings import Settings


@dataclass(frozen=True)
class ImportSettings(Settings):
    """Where images come from and go to, beside all that names the split."""

    folder: PathText | None = None  # of the images
    out: PathText | None = None  # folder of the set; must not exist
    made_by: FreeText | None = None  # which generator, in words
    link: Annotated[str, OneOf(LINKS)] = "copy"  # copy, hard or symbolic

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.folder is None or self.out is None:
            raise ValueError("name the folder of the images, and with --out a new one for the set; see --help")
        if self.made_by is None:
            raise ValueError("--made-by is missing: say in words which generator made the images, it is kept with them")
