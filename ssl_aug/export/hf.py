"""Folders with `metadata.jsonl` for Hugging Face datasets' `imagefolder`.

Labels stand in a column, because that reader never adds folder names to a metadata file, and the splits are named
when loading, because it drops folders that it does not know for splits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from ssl_aug.data.copying import put
from ssl_aug.data.reading import read_rgb
from ssl_aug.export.content import PARTS, Content, Exported, Options, Placed

SPLITS = {"real": "labeled", "synthetic": "labeled", **{part: part for part in ("unlabeled", "test", "validation")}}
# of a synthetic image, and what stands for "not drawn": without a value a column would have another type in each split
FACTS: dict[str, Any] = {"source": "", "k": -1, "seed": -1, "mask_rate": -1.0, "guidance": -1.0}


def write(content: Content, folder: Path, final: Path, options: Options, placed: Placed) -> str:
    """Writes a folder for each split with images and metadata; returns the README's snippet."""
    count = content.counts()
    with ExitStack() as stack:
        files = {}
        for split in dict.fromkeys(SPLITS[part] for part in count):
            (folder / split / "images").mkdir(parents=True)
            # not CSV: a column with gaps would be read as floating point, which cannot hold a seed
            files[split] = stack.enter_context((folder / split / "metadata.jsonl").open("w", encoding="utf-8"))
        for picture in content.pictures(*PARTS):
            split = SPLITS[picture.part]
            path, sha256 = put(picture.path, folder / split / "images" / picture.stem, options.link)
            row = {
                "file_name": f"images/{path.name}",
                "label": -1 if picture.label is None else picture.label,
                "synthetic": picture.part == "synthetic",
                **{name: type(none)(picture.facts.get(name) or none) for name, none in FACTS.items()},
            }
            files[split].write(json.dumps(row) + "\n")
            placed(picture, str(path.relative_to(folder)), sha256)
    splits = tuple(dict.fromkeys(SPLITS[part] for part in count if count[part]))  # an empty one cannot be loaded
    return f"""\
import json
from datasets import ClassLabel, Features, Image, Value, load_dataset

root = {str(final)!r}
class_names = json.load(open(f"{{root}}/classes.json"))
features = Features({{
    "image": Image(), "label": ClassLabel(names=class_names), "synthetic": Value("bool"), "source": Value("string"),
    "k": Value("int64"), "seed": Value("int64"), "mask_rate": Value("float64"), "guidance": Value("float64"),
}})
files = {{split: f"{{root}}/{{split}}/**" for split in {splits}}}  # named: none is guessed
data = load_dataset("imagefolder", data_files=files, features=features)
{", ".join(splits)} = {", ".join(f'data["{split}"]' for split in splits)}  # unlabeled has the label -1
real = labeled.filter(lambda synthetic: not synthetic, input_columns="synthetic")
"""


def read(folder: Path) -> Iterator[Exported]:
    """The images that the metadata name, part by part."""
    for split in dict.fromkeys(SPLITS.values()):
        if not (folder / split).is_dir():  # there are no validation images
            continue
        with (folder / split / "metadata.jsonl").open(encoding="utf-8") as file:
            for row in map(json.loads, file):
                pixels = np.asarray(read_rgb(folder / split / row["file_name"]))
                own = "synthetic" if row["synthetic"] else {"labeled": "real"}.get(split, split)
                yield Exported(own, None if own == "unlabeled" else row["label"], pixels)
