"""An export, whole or not at all: the target's files, and beside them what says where each image is from."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from generators.files import written_whole
from generators.hashes import file_hash
from ssl_aug.data.build import load_and_tell
from ssl_aug.data.reading import read_rgb, read_square
from ssl_aug.export import folder as class_folders
from ssl_aug.export import hf, lists, usb, webdataset
from ssl_aug.export import numpy as arrays
from ssl_aug.export.content import PARTS, Content, Options, listing
from ssl_aug.export.settings import ExportSettings
from ssl_aug.files import read_json, refuse_existing, write_json
from ssl_aug.lock import forget_dead, locked_beside
from ssl_aug.made_by import command_of, write_command
from ssl_aug.runtime import progress_bar
from ssl_aug.synthetic import PLACES, SyntheticSet, open_for, record_of
from ssl_aug.versions import versions

SMALL = 32  # labeled images, the other codebases' usual batch
MODULES: dict[str, ModuleType] = {  # each with `write` and `read`
    "folder": class_folders,
    "lists": lists,
    "usb": usb,
    "numpy": arrays,
    "hf": hf,
    "webdataset": webdataset,
}


def export(settings: ExportSettings) -> Path:
    """Writes the export whole, or not at all; returns its folder.

    Raises:
        ValueError, OSError: no such set, an image that cannot be read, a folder that is there already.
    """
    _, split = load_and_tell(settings.data)
    synthetic = None if settings.real_only else open_for(split.labeled, settings)
    return export_content(Content(split, synthetic), settings)


def export_content(content: Content, settings: ExportSettings) -> Path:
    """The same, of content that is at hand."""
    out = Path(str(settings.out))
    counts = content.counts()
    total = sum(counts.values())
    told = ", ".join(f"{count} {part}" for part, count in counts.items())
    if settings.dry_run:
        print(f"would write {told} images to {out}")
        return out
    target = MODULES[str(settings.to)]
    forget_dead(out)
    refuse_existing(out)
    with (
        locked_beside(out, "exporting to"),
        written_whole(out) as folder,
        progress_bar(total, f"exporting ({settings.to})") as bar,
    ):
        with listing(folder / "manifest.csv", content.class_names, bar.update) as placed:
            options = Options(settings.link, settings.size, settings.tllib_seed)
            snippet = target.write(content, folder, out.resolve(), options, placed)
        write_json(folder / "classes.json", list(content.class_names))
        write_json(folder / "export.json", _facts(content, settings, counts, folder))
        line = command_of("ssl_aug.export", "export", settings, ExportSettings, by_last_name=True)
        write_command(folder, line)
        (folder / "README.md").write_text(_readme(content, settings, told, snippet), encoding="utf-8")
    print(f"{out}: {told} images, {len(content.class_names)} classes")
    if counts["real"] + counts["synthetic"] < SMALL:
        print(
            f"{counts['real'] + counts['synthetic']} labeled images are less than a batch of {SMALL}, which other "
            "codebases drop without a word: lower their batch size"
        )
    if settings.check:
        check(content, out)
    return out


def check(content: Content, folder: Path) -> None:
    """Reads an export back and compares classes, labels and pixels with what it was made of.

    Raises:
        ValueError: they differ; the first image is named.
    """
    facts = read_json(folder / "export.json")
    if facts["class_names"] != list(content.class_names):
        raise ValueError(f"{folder}: its classes, or their order, are not those of the data")
    target = MODULES[facts["to"]]
    count = 0
    for picture, there in zip_longest(content.pictures(*PARTS), target.read(folder)):
        if picture is None or there is None:
            raise ValueError(f"{folder} holds {'more' if picture is None else 'fewer'} images than the data")
        size = there.pixels.shape[0]
        pixels = read_square(picture.path, size) if facts["to"] == "numpy" else np.asarray(read_rgb(picture.path))
        if (there.part, there.label) != (picture.part, picture.label) or not np.array_equal(there.pixels, pixels):
            raise ValueError(f"{folder}: image {count}, {picture.path}, came back as another one or with another label")
        count += 1
    print(f"{folder}: read back, {count} images with their labels are the same")


def _facts(content: Content, settings: ExportSettings, counts: dict[str, int], folder: Path) -> dict[str, Any]:
    identity: dict[str, Any] = {}
    if isinstance(content.synthetic, SyntheticSet):
        record = record_of(content.synthetic.folder)
        # a published dataset tells nobody where things lay
        identity = {name: value for name, value in record.items() if name != PLACES}
    return {
        "to": settings.to,
        "class_names": list(content.class_names),
        "counts": counts,
        "labeled_set_id": content.split.labeled.id,
        "synthetic_set_id": content.synthetic.id if content.synthetic else None,
        "manifest_sha256": file_hash(folder / "manifest.csv"),
        "generator": identity,
        "versions": versions(),
    }


def _readme(content: Content, settings: ExportSettings, told: str, snippet: str) -> str:
    data = settings.data
    warning = (
        "The synthetic images may be wrong about what they are labeled as. They are in the labeled part alone, never "
        "in the unlabeled or the test part.\n\n"
        if content.synthetic
        else ""
    )
    linked = "The images are hard links: changing one changes its original.\n\n" if settings.link == "hard" else ""
    names = "\n".join(f"{index}. {' '.join(name.split())}" for index, name in enumerate(content.class_names))
    return (
        f"# {data.name}, {data.labels_told}, split {data.split_seed}\n\n"
        f"{told} images, written by ssl_aug for `{settings.to}`.\n\n```python\n{snippet}```\n\n{warning}{linked}"
        "`manifest.csv` has a row for each image with its part, label, sha256 and, where it was drawn, its source, "
        "seed and erased rectangle; `export.json` has the settings; `classes.json` the class names in the order of "
        f"their indices:\n\n{names}\n"
    )
