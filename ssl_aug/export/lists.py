"""List files, `path label` in each line, for TLlib's ImageList and everything that reads such lists.

Paths are relative to the export's folder and hold neither blanks nor anything but ASCII. `tllib/` is a dataset folder
for TLlib's own scripts: their few-label draw, replayed, picks exactly the labeled and synthetic images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from ssl_aug.data.copying import put
from ssl_aug.data.reading import read_rgb
from ssl_aug.data.split import draw_labeled
from ssl_aug.export.content import PARTS, Content, Exported, Options, Placed

LISTS = {  # part -> the lists that it is in
    "real": ("labeled", "labeled_real"),
    "synthetic": ("labeled", "labeled_synthetic"),
    "unlabeled": ("unlabeled",),
    "test": ("test",),
    "validation": ("validation",),
}


def write(content: Content, folder: Path, final: Path, options: Options, placed: Placed) -> str:
    """Writes the images and their lists; returns the README's snippet."""
    counts = content.counts()
    with ExitStack() as stack:
        parts = [part for part in PARTS if part in counts and (content.synthetic or part != "synthetic")]
        names = [name for part in parts for name in LISTS[part]]
        files = {name: stack.enter_context((folder / f"{name}.txt").open("w")) for name in dict.fromkeys(names)}
        for picture in content.pictures(*PARTS):
            path, sha256 = put(picture.path, folder / "images" / picture.part / picture.stem, options.link)
            name = str(path.relative_to(folder))
            for target in LISTS[picture.part]:
                files[target].write(f"{name} {picture.label or 0}\n")
            placed(picture, name, sha256)
    one_line = [" ".join(name.splitlines()) for name in content.class_names]
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in one_line), encoding="utf-8")
    replayed = _write_replay(folder, content, options.tllib_seed)
    if replayed:
        command = f"python fixmatch.py {final}/tllib -d DATASET --num-samples-per-class {replayed}"
        scripts = f"""\
# TLlib's own scripts, unchanged, draw exactly these images:
#   {command} --seed {options.tllib_seed}
# DATASET: one of theirs with {len(content.class_names)} classes; docs/plug_in.md has a wrapper for any other data"""
    else:
        scripts = "# no tllib/ folder: its draw takes as many images of every class, and these classes differ in size"
    validation = 'validation = ImageList(root, class_names, f"{root}/validation.txt")\n'
    return f"""\
import json
from tllib.vision.datasets.imagelist import ImageList

root = {str(final)!r}
class_names = json.load(open(f"{{root}}/classes.json"))
labeled = ImageList(root, class_names, f"{{root}}/labeled.txt")  # labeled_real.txt: without the synthetic images
unlabeled = ImageList(root, class_names, f"{{root}}/unlabeled.txt")  # the label 0 there stands for unknown
test = ImageList(root, class_names, f"{{root}}/test.txt")
{validation if "validation" in counts else ""}\

{scripts}
"""


def _write_replay(folder: Path, content: Content, seed: int) -> int | None:
    """`tllib/image_list/`: returns the labeled images per class, None where the classes differ in size."""
    num_classes = len(content.class_names)
    labeled = list(read_list(folder / "labeled.txt"))
    count = Counter(label for _, label in labeled)
    if len({count[label] for label in range(num_classes)}) != 1:
        return None
    unlabeled = (path for path, _ in read_list(folder / "unlabeled.txt"))
    lines = replay(labeled, unlabeled, content.counts()["unlabeled"], num_classes, seed)
    root = folder / "tllib"
    for name in ("train", "test", "image_list"):  # TLlib looks for all three before it downloads anything
        (root / name).mkdir(parents=True)
    with (root / "image_list" / "train_100.txt").open("w") as file:
        file.writelines(f"../{path} {label}\n" for path, label in lines)
    with (root / "image_list" / "test.txt").open("w") as file:
        file.writelines(f"../{path} {label}\n" for path, label in read_list(folder / "test.txt"))
    return count[0]


def replay(
    labeled: Sequence[tuple[str, int]], unlabeled: Iterable[str], num_unlabeled: int, num_classes: int, seed: int
) -> Iterator[tuple[str, int]]:
    """Lines in such an order that the published few-label draw picks exactly `labeled`.

    The draw depends on the seed and on the sizes of the classes alone, so the wanted lines are put where it will look.
    The unlabeled ones stand as class 0, at places that it passes over.

    Args:
        labeled: (path, label), as many of each class.
        unlabeled: `num_unlabeled` paths, which are taken one by one.
        seed: `--seed` of the run that draws.
    """
    per_class = len(labeled) // num_classes
    labels = [0] * (per_class + num_unlabeled) + [label for label in range(1, num_classes) for _ in range(per_class)]
    wanted = sorted(labeled, key=lambda line: line[1])  # stable: class after class, as the draw goes
    placed = dict(zip(draw_labeled(labels, num_classes, per_class, seed), wanted, strict=True))
    rest = iter(unlabeled)
    for position in range(len(labels)):
        yield placed[position] if position in placed else (next(rest), 0)


def read_list(path: Path) -> Iterator[tuple[str, int]]:
    """(path, label) of each line, by the documented rule: the last word is the label, the others are the path."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            *words, label = line.split()
            yield " ".join(words), int(label)


def read(folder: Path) -> Iterator[Exported]:
    """The images of the lists, part by part."""
    for part in PARTS:
        path = folder / f"{LISTS[part][-1]}.txt"
        for name, label in read_list(path) if path.is_file() else ():
            pixels = np.asarray(read_rgb(folder / name))
            yield Exported(part, None if part == "unlabeled" else label, pixels)
