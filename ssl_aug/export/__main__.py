"""python -m ssl_aug.export --to TARGET --out DIR [flags] [name=value ...]

Writes the labeled set with its synthetic images, the unlabeled and the test images in the form that another codebase
reads; README.md in DIR holds the lines that load it.

  --to TARGET      folder (torchvision and its like), lists (TLlib), usb (semilearn), numpy, hf (Hugging Face datasets)
                   or webdataset
  --out DIR        a new folder
  --real-only      without the synthetic images: nothing need be drawn
  --link L         copy the image files (default), or link them: hard or symbolic
  --size N         numpy: pixels of the arrays' images; without it the synthetic images' own
  --tllib-seed N   lists: the --seed of the TLlib run that replays the draw (0)
  --check          read the export back and compare it, image by image

The settings are those of ssl_aug.generate: they say which split and which set.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from types import ModuleType
from typing import Any

from ssl_aug.command_line import compose, overrides_of
from ssl_aug.data.build import load_split
from ssl_aug.export.content import LINKS, PARTS, Content, Options, listing, staged
from ssl_aug.help import generation_help
from ssl_aug.runtime import command, file_hash, progress_bar, read_json, versions, write_json
from ssl_aug.settings import Settings
from ssl_aug.synthetic import SyntheticSet, open_for

TARGETS = ("folder", "lists", "usb", "numpy", "hf", "webdataset")
FLAGS = {"--to": "to", "--out": "out", "--link": "link", "--size": "size", "--tllib-seed": "tllib_seed"}
SWITCHES = {"--real-only": "real_only", "--check": "check", "--dry-run": "dry_run"}
SMALL = 32  # labeled images, the other codebases' usual batch


@dataclass(frozen=True)
class ExportSettings(Settings):
    """What is exported, and how, beside all that names the split and the synthetic set."""

    to: str | None = None  # one of TARGETS
    out: str | None = None  # the folder to write; must not exist
    real_only: bool = False  # leave the synthetic images out
    link: str = "copy"  # copy, hard or symbolic
    size: int | None = None  # numpy: pixels of the images' sides; null: the synthetic images' own
    tllib_seed: int = 0  # lists: --seed of the TLlib run that replays the draw
    check: bool = False  # read the export back and compare it

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.to not in TARGETS:
            given = "is missing" if self.to is None else f"{self.to}: there is no such target"
            raise ValueError(f"--to {given}; choose one of {', '.join(TARGETS)}")
        if self.out is None:
            raise ValueError("--out is missing: name a new folder for the export")
        if self.link not in LINKS:
            raise ValueError(f"--link {self.link}: choose one of {', '.join(LINKS)}")
        if self.link != "copy" and self.to in ("numpy", "webdataset"):
            raise ValueError(f"--link {self.link} has no effect on --to {self.to}, which holds no image files")
        if self.size is not None and self.to != "numpy":
            raise ValueError(f"--size {self.size} has no effect on --to {self.to}: images keep their own size")
        if self.size is not None and self.size < 1:
            raise ValueError(f"--size {self.size}: give 1 pixel or more")
        if self.tllib_seed != 0 and self.to != "lists":
            raise ValueError(f"--tllib-seed {self.tllib_seed} has no effect on --to {self.to}: only lists replays")
        if not 0 <= self.tllib_seed < 2**32:
            raise ValueError(f"--tllib-seed {self.tllib_seed}: give 0 to {2**32 - 1}")


def export(settings: ExportSettings) -> Path:
    """Writes the export whole, or not at all; returns its folder.

    Raises:
        ValueError, OSError: no such set, an image that cannot be read, a folder that is there already.
    """
    _, split = load_split(settings.data)
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
    target = module_of(str(settings.to))
    with staged(out) as folder, progress_bar(total, f"exporting ({settings.to})") as bar:
        with listing(folder / "manifest.csv", content.class_names, bar.update) as placed:
            options = Options(settings.link, settings.size, settings.tllib_seed)
            snippet = target.write(content, folder, out.resolve(), options, placed)
        write_json(folder / "classes.json", list(content.class_names))
        write_json(folder / "export.json", _facts(content, settings, counts, folder))
        (folder / "README.md").write_text(_readme(content, settings, told, snippet), encoding="utf-8")
    print(f"{out}: {told} images, {len(content.class_names)} classes")
    if counts["real"] + counts["synthetic"] < SMALL:
        print(
            f"{counts['real'] + counts['synthetic']} labeled images are less than a batch of {SMALL}, which other "
            "codebases drop without a word: lower their batch size"
        )
    if settings.check:
        check(content, out, settings)
    return out


def module_of(target: str) -> ModuleType:
    """The file that writes and reads a target."""
    return import_module(f"ssl_aug.export.{target}")


def check(content: Content, folder: Path, settings: ExportSettings) -> None:
    """Reads an export back and compares classes, labels and pixels with what it was made of.

    Raises:
        ValueError: they differ; the first image is named.
    """
    import numpy as np

    from ssl_aug.data.reading import read_rgb, read_square

    facts = read_json(folder / "export.json")
    if facts["class_names"] != list(content.class_names):
        raise ValueError(f"{folder}: its classes, or their order, are not those of the data")
    target = module_of(facts["to"])
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
        identity = read_json(content.synthetic.folder / "generator.json")
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
        f"# {data.name}, {data.labels_per_class} labels per class, split {data.split_seed}\n\n"
        f"{told} images, written by ssl_aug for `{settings.to}`.\n\n```python\n{snippet}```\n\n{warning}{linked}"
        "`manifest.csv` has a row for each image with its part, label, sha256 and, where it was drawn, its source, "
        "seed and erased rectangle; `export.json` has the settings; `classes.json` the class names in the order of "
        f"their indices:\n\n{names}\n"
    )


def main(words: list[str]) -> None:
    """The command line."""
    if "--help" in words or "-h" in words:
        print(generation_help(__doc__ or ""))
        return
    export(compose("export", overrides_of(words, FLAGS, SWITCHES), ExportSettings))


if __name__ == "__main__":
    command(main)
