"""What is exported, whatever the target: real and synthetic labeled images, unlabeled ones, the test set."""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_aug.data.base import LabeledSet, Split
from ssl_aug.data.reading import read_rgb
from ssl_aug.synthetic import SCORES, SyntheticSet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PARTS = ("real", "synthetic", "unlabeled", "test")
LINKS = ("copy", "hard", "symbolic")
COLUMNS = (
    "path", "part", "label", "class_name", "source", "k", "seed",
    "mask_rate", "mask_box", "lender", "sampler", "steps", "guidance", "sha256", *SCORES,
)  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """One image of one part."""

    path: Path
    part: str  # one of PARTS
    number: int  # its place within the part
    label: int | None  # None: unlabeled
    facts: dict[str, str] = field(default_factory=dict)  # a synthetic image's row of its manifest

    @property
    def stem(self) -> str:
        """The file's name in an export: a letter for the part and a number. No reader takes it for anything else."""
        return f"{self.part[0]}{self.number:07d}"


@dataclass(frozen=True)
class Content:
    """All that one export holds."""

    split: Split
    synthetic: SyntheticSet | None  # None: real images only

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.split.labeled.class_names

    def pictures(self, *parts: str) -> Iterator[Picture]:
        """The images of these parts, one part after the other, each in its own order."""
        for part in parts:
            if part == "unlabeled":
                for number, path in enumerate(self.split.unlabeled):
                    yield Picture(path, part, number, None)
            elif part == "synthetic":
                rows = self.synthetic.rows if self.synthetic else ()
                examples = self.synthetic.examples if self.synthetic else ()
                for number, (example, row) in enumerate(zip(examples, rows, strict=True)):
                    yield Picture(example.path, part, number, example.label, row)
            else:
                labeled = self.split.labeled if part == "real" else self.split.test
                for number, example in enumerate(labeled.examples):
                    yield Picture(example.path, part, number, example.label)

    def counts(self) -> dict[str, int]:
        """Number of images of each part."""
        return {
            "real": len(self.split.labeled),
            "synthetic": len(self.synthetic) if self.synthetic else 0,
            "unlabeled": len(self.split.unlabeled),
            "test": len(self.split.test),
        }

    def require_every_class(self, part: str, why: str) -> None:
        """Refuses a part that lacks a class.

        Args:
            why: what cannot take it, as the error says it.

        Raises:
            ValueError: a class has no image there.
        """
        labeled: LabeledSet = self.split.test if part == "test" else self.split.labeled
        missing = sorted(set(range(len(self.class_names))) - set(labeled.labels))
        if missing:
            raise ValueError(
                f"class {self.class_names[missing[0]]!r} has no {part} images, and {why}: "
                "add some, or choose another target with --to"
            )


@dataclass(frozen=True)
class Options:
    """How images are put into an export."""

    link: str = "copy"  # one of LINKS
    image_size: int | None = None  # pixels of the side, where a target wants one size
    tllib_seed: int = 0  # --seed of the TLlib run that replays the labeled draw


@dataclass(frozen=True)
class Exported:
    """One image as a target's reader gives it back."""

    part: str
    label: int | None
    pixels: NDArray[np.uint8]  # (height, width, 3)


# write(content, folder, final, options, placed) -> the README's loading snippet. `final` is the folder's name when all
# is done; placed(picture, name in the export, sha256) is to be called for each image
Placed = Callable[[Picture, str, str], None]


def put(picture: Picture, stem: Path, link: str) -> tuple[Path, str]:
    """Puts an image into the export; returns its path and sha256.

    A JPEG or PNG with 8-bit RGB pixels, upright and opaque, is taken as it is. Anything else, which some reader would
    see otherwise than we do, is written anew as an RGB PNG.

    Args:
        stem: the path without its suffix.
        link: copy, hard or symbolic.

    Raises:
        ValueError: the image cannot be read, or a hard link would lead to another disk.
    """
    suffix = _plain_suffix(picture.path)
    stem.parent.mkdir(parents=True, exist_ok=True)
    target = stem.with_name(stem.name + (suffix or ".png"))
    if suffix is None:
        read_rgb(picture.path).save(target, "PNG")
    elif link == "copy":
        shutil.copyfile(picture.path, target)
    elif link == "hard":
        try:
            os.link(picture.path.resolve(), target)
        except OSError as error:
            raise ValueError(
                f"--link hard: {picture.path} cannot be linked from {stem.parent} ({error.strerror}): "
                "export to a folder on the same disk, or use --link copy or symbolic"
            ) from error
    else:
        target.symlink_to(picture.path.resolve())
    with target.open("rb") as file:
        return target, hashlib.file_digest(file, "sha256").hexdigest()


def _plain_suffix(path: Path) -> str | None:
    from PIL import Image

    try:
        with Image.open(path) as image:
            is_deep = any("16" in str(tile) for tile in image.tile)  # Pillow calls 16 bits per channel RGB, too
            image.load()  # all of it: a truncated file is no image
            suffix = {"JPEG": ".jpg", "PNG": ".png"}.get(image.format or "")
            is_plain = (
                image.mode == "RGB"
                and not is_deep
                and not image.has_transparency_data
                and getattr(image, "n_frames", 1) == 1
                and image.getexif().get(0x0112, 1) == 1  # orientation: upright
            )
    except (FileNotFoundError, PermissionError, MemoryError):
        raise
    except Exception as error:  # Pillow raises what its decoders stumble on, as `read_rgb` says
        raise ValueError(f"{path} cannot be read as an image: remove it or replace it") from error
    return suffix if is_plain else None


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A folder that becomes `out` when the block ends well and is gone when it does not.

    Raises:
        FileExistsError: `out` is there already.
    """
    if out.exists() or out.is_symlink():
        raise FileExistsError(f"--out {out} exists already: name a new folder, nothing is overwritten")
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    part.mkdir(parents=True)
    try:
        yield part
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def listing(path: Path, class_names: tuple[str, ...], advance: Callable[[], Any]) -> Iterator[Placed]:
    """manifest.csv, written row by row.

    Args:
        advance: called for each image.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n", restval="")
        writer.writeheader()

        def placed(picture: Picture, name: str, sha256: str) -> None:
            label = {} if picture.label is None else {"label": picture.label, "class_name": class_names[picture.label]}
            writer.writerow({**picture.facts, "path": name, "part": picture.part, "sha256": sha256, **label})
            advance()

        yield placed
