"""CelebA (Liu et al., 2015) in the layout of `torchvision.datasets.CelebA`, with one attribute as the class.

CelebA has no classes but 40 attributes, each there or not: `data.attribute` says which is learned.
The validation images join the unlabeled set.
"""

from __future__ import annotations

from pathlib import Path

from ssl_aug.data.base import Dataset, Example, LabeledSet
from ssl_aug.data.layout import data_root, require_images, required
from ssl_aug.settings import DataSettings

FOLDER = "celeba"
LAYOUT = "celeba/ with img_align_celeba/000001.jpg ..., list_eval_partition.txt and list_attr_celeba.txt"
ATTRIBUTE = "Smiling"  # about half of the faces
PARTITIONS = ("0", "1", "2")  # train, validation, test


def load(settings: DataSettings) -> Dataset:
    """The dataset, with class 0 for images without the attribute and class 1 for those with it.

    Raises:
        FileNotFoundError: a folder, a list or an image is missing.
        ValueError: an attribute that does not exist, or a damaged list.
    """
    root = data_root(settings, LAYOUT)
    # the folder itself may be named as well as the one that holds it
    folder = root if (root / "list_eval_partition.txt").is_file() else root / FOLDER
    attribute = settings.attribute or ATTRIBUTE
    has_attribute = _attribute_of(required(folder / "list_attr_celeba.txt", LAYOUT), attribute)
    partitions = required(folder / "list_eval_partition.txt", LAYOUT)
    partition_of = _partition_of(partitions)
    unknown = next((name for name in partition_of if name not in has_attribute), None)
    if unknown is not None:
        raise ValueError(f"{partitions} lists {unknown}, list_attr_celeba.txt does not: take both from one source")
    paths = require_images(folder / "img_align_celeba", partition_of, partitions)

    def examples(partition: str) -> tuple[Example, ...]:
        return tuple(Example(path, has_attribute[path.name]) for path in paths if partition_of[path.name] == partition)

    train, valid, test = (examples(partition) for partition in PARTITIONS)
    words = attribute.replace("_", " ")
    class_names = (f"not {words}", words)
    return Dataset(
        "celeba",
        LabeledSet(train, class_names),
        LabeledSet(test, class_names),
        tuple(example.path for example in valid),
    )


def _partition_of(path: Path) -> dict[str, str]:
    """File name -> partition; one line is `000001.jpg 0`."""
    partition_of: dict[str, str] = {}
    for number, line in enumerate(_lines(path), start=1):
        row = line.split()
        if len(row) != 2 or row[1] not in PARTITIONS:
            raise ValueError(f"{path}, line {number}: {line[:40]!r} is not a file name and 0, 1 or 2: copy it again")
        partition_of[row[0]] = row[1]
    return partition_of


def _attribute_of(path: Path, attribute: str) -> dict[str, int]:
    """File name -> 1 where the attribute is there, else 0.

    The file: the number of images, the names of the attributes, then a line per image with 1 or -1 for each.
    """
    lines = _lines(path)
    names = lines[1].split() if len(lines) > 1 else []
    if attribute not in names:
        allowed = f"choose one of {', '.join(names)}" if names else "the second line should name them: copy it again"
        raise ValueError(f"data.attribute={attribute}: {path} has no such attribute; {allowed}")
    column = 1 + names.index(attribute)
    has_attribute: dict[str, int] = {}
    for number, line in enumerate(lines[2:], start=3):
        row = line.split()
        if len(row) != 1 + len(names) or row[column] not in ("1", "-1"):
            raise ValueError(
                f"{path}, line {number}: {line[:40]!r} is not a file name and {len(names)} times 1 or -1: copy it again"
            )
        has_attribute[row[0]] = int(row[column] == "1")
    return has_attribute


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is damaged or no text file: copy it again from its source") from error
