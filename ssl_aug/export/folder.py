"""Class folders for torchvision's ImageFolder and all that read the same layout (lightly, solo-learn, keras, fastai).

`labeled/`, `labeled_real/`, `test/` and `validation/` hold a folder for each class, whose names sort in the order of
the class indices; `unlabeled/all/` holds the images without labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ssl_aug.data.copying import put
from ssl_aug.data.layout import class_folder
from ssl_aug.data.reading import read_rgb
from ssl_aug.export.content import PARTS, Content, Exported, Options, Placed

# words that Hugging Face's folder reader takes for the name of a split, wherever they stand in a path
_SPLIT_WORD = re.compile(
    r"(^|[-._ 0-9])(train|training|valid|validation|val|dev|test|testing|eval|evaluation)($|[-._ 0-9])"
)


def write(content: Content, folder: Path, final: Path, options: Options, placed: Placed) -> str:
    """Writes the class folders; returns the README's snippet.

    Raises:
        ValueError: a class without test or validation images, which ImageFolder refuses to read.
    """
    counts = content.counts()
    for part in ("test", "validation"):
        if counts.get(part):
            content.require_every_class(part, "ImageFolder refuses an empty class folder")
    places = {"real": ("labeled", "labeled_real"), "synthetic": ("labeled",), "unlabeled": ("unlabeled",)}
    for picture in content.pictures(*PARTS):
        inner = "all" if picture.label is None else folder_name(picture.label, content.class_names)
        for place in places.get(picture.part, (picture.part,)):
            path, sha256 = put(picture.path, folder / place / inner / picture.stem, options.link)
            if place != "labeled_real":
                placed(picture, str(path.relative_to(folder)), sha256)
    held = [f'{part} = ImageFolder(f"{{root}}/{part}")\n' for part in ("test", "validation") if counts.get(part)]
    unlabeled = 'unlabeled = ImageFolder(f"{root}/unlabeled")  # its labels say nothing\n'
    return f"""\
import json
from torchvision.datasets import ImageFolder

root = {str(final)!r}
labeled = ImageFolder(f"{{root}}/labeled")  # labeled_real: without the synthetic images
{unlabeled if content.split.unlabeled else ""}{"".join(held)}\
class_names = json.load(open(f"{{root}}/classes.json"))  # labeled.classes are ASCII names in the same order
"""


def read(folder: Path) -> Iterator[Exported]:
    """What ImageFolder would read, part by part."""
    for part, place, letter in (
        ("real", "labeled", "r"),
        ("synthetic", "labeled", "s"),
        ("unlabeled", "unlabeled", "u"),
        ("test", "test", "t"),
        ("validation", "validation", "v"),
    ):
        if not (folder / place).is_dir():
            continue
        classes = {name: label for label, name in enumerate(sorted(each.name for each in (folder / place).iterdir()))}
        paths = [path for path in (folder / place).glob("*/*") if path.name.startswith(letter)]
        for path in sorted(paths, key=lambda path: path.name):
            label = None if part == "unlabeled" else classes[path.parent.name]
            yield Exported(part, label, np.asarray(read_rgb(path)))


def folder_name(label: int, class_names: tuple[str, ...]) -> str:
    """`007_audi-tt`: ASCII, in index order, and without a word that a reader takes for the name of a split."""
    name = class_folder(label, class_names)
    index, _, slug = name.partition("_")
    return f"{index}_class" if _SPLIT_WORD.search(slug) else name
