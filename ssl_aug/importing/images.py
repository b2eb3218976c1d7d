"""Images that any other generator made, taken into a synthetic set of a split."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from unicodedata import normalize

from generators.files import written_whole
from ssl_aug.data.base import LabeledSet, Split
from ssl_aug.data.build import load_and_tell
from ssl_aug.data.copying import put
from ssl_aug.data.finding import images_below, some
from ssl_aug.data.layout import class_folder
from ssl_aug.data.reading import read_square
from ssl_aug.files import refuse_existing, write_json
from ssl_aug.importing.settings import ImportSettings
from ssl_aug.lock import forget_dead, locked_beside
from ssl_aug.made_by import command_of, write_command
from ssl_aug.runtime import progress_bar
from ssl_aug.settings import PICTURES, deciding
from ssl_aug.synthetic import PLACES, SyntheticSet, places_of, word_of, write_manifest
from ssl_aug.tables import read_named_rows
from ssl_aug.versions import versions

COMPARED_PX = 64  # images are compared at this size, so that another file format does not hide a copy
LEAK = (
    "what made these images is not known here: if it has seen test images, or labels that this split hides, "
    "accuracies with them say nothing"
)


def import_set(settings: ImportSettings) -> SyntheticSet | None:
    """Writes the set whole, or not at all; None after a dry run.

    Raises:
        ValueError: a folder that is no class, a source that is no labeled image, a copy of a test image.
        FileNotFoundError, FileExistsError: no images, or `out` is there already.
    """
    _, split = load_and_tell(settings.data)
    folder, out = Path(str(settings.folder)), Path(str(settings.out))
    images = labeled_images(folder, split.labeled)
    sources = read_sources(folder / "sources.csv", split.labeled)
    unknown = sorted(sources.keys() - {str(path.relative_to(folder)) for path, _ in images})
    if unknown:
        raise ValueError(f"{folder / 'sources.csv'} names {unknown[0]}, which is not in {folder}")
    _require_own_class(folder, images, sources, split.labeled)
    if settings.dry_run:
        print(f"would take {len(images)} images of {len({label for _, label in images})} classes into {out}")
        return None
    _refuse_copies([path for path, _ in images], split)
    per_class = Counter(split.labeled.labels)
    forget_dead(out)
    refuse_existing(out)
    with (
        locked_beside(out, "importing into"),
        written_whole(out) as part,
        progress_bar(len(images), "importing") as bar,
    ):
        rows, seen = [], Counter[object]()
        for number, (path, label) in enumerate(images):
            source = sources.get(str(path.relative_to(folder)), "")
            # k: how many images of its source come before it; of an unknown source, as if the class's took turns
            k = seen[source] if source else seen[label] // per_class[label]
            seen[source or label] += 1
            inner = Path("images") / class_folder(label, split.labeled.class_names)
            target, sha256 = put(path, part / inner / f"s{number:07d}_{k}", settings.link)
            rows.append({
                "path": str(target.relative_to(part)), "label": str(label),
                "class_name": split.labeled.class_names[label], "source": source, "k": str(k), "sha256": sha256,
            })  # fmt: skip
            bar.update()
        write_manifest(part / "manifest.csv", rows)
        write_json(part / "generator.json", {
            "labeled_set_id": split.labeled.id, "imported": True, "made_by": settings.made_by,
            "num_images": len(rows), "class_names": list(split.labeled.class_names),
            "data": deciding(settings, PICTURES)["data"], "versions": versions(),
            PLACES: places_of(settings),
        })  # fmt: skip
        write_command(part, command_of("ssl_aug.import_set", "import_set", settings, ImportSettings))
        (part / "README.md").write_text(_card(settings, split.labeled, len(rows)), encoding="utf-8")
    print(f"{len(rows)} images in {out}; benchmarks.run augment=true {word_of('synthetic.root', str(out))} takes them")
    print(f"warning: {LEAK}", file=sys.stderr)
    missing = sorted(set(range(len(split.labeled.class_names))) - {label for _, label in images})
    if missing:
        print(f"warning: no images of {len(missing)} classes, among them "
              f"{split.labeled.class_names[missing[0]]!r}", file=sys.stderr)  # fmt: skip
    return SyntheticSet.open(out)


def labeled_images(folder: Path, labeled: LabeledSet) -> list[tuple[Path, int]]:
    """(path, class index) of every image in the class folders, class after class, names sorted.

    A class folder bears the class's name, or the name that our own sets and exports give it.

    Raises:
        FileNotFoundError: no such folder, or no images in it.
        ValueError: a folder with images that is no class.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder; give one with a folder of images for each class")
    names = {normalize("NFC", name): label for label, name in enumerate(labeled.class_names)}
    names |= {class_folder(label, labeled.class_names): label for label in names.values()}
    found = []
    for inner in sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")):
        paths = images_below(inner)
        name = normalize("NFC", inner.name)
        if name not in names and paths:
            raise ValueError(
                f"{inner}: the data have no class of this name; theirs are {some(labeled.class_names)}: rename it"
            )
        found += [(path, names[name]) for path in paths]
    if not found:
        raise FileNotFoundError(f"{folder} holds no images in class folders")
    return sorted(found, key=lambda item: (item[1], str(item[0])))


def read_sources(path: Path, labeled: LabeledSet) -> dict[str, str]:
    """path in the folder -> key of the labeled image that it was made from; empty where there is no such file.

    Raises:
        ValueError: other columns, or a source that is not one of the labeled images.
    """
    if not path.is_file():
        return {}
    named = read_named_rows(path, ("path", "source"), "correct it, and save it as CSV in UTF-8")
    rows = {row["path"]: normalize("NFC", row["source"]) for _, row in named}
    keys = {example.key for example in labeled.examples}
    wrong = next((source for source in rows.values() if source not in keys), None)
    if wrong is not None:
        raise ValueError(
            f"{path} names the source {wrong!r}, which is not one of the {len(keys)} labeled images of this split "
            f"(they are written {next(iter(sorted(keys)))!r})"
        )
    return rows


def _require_own_class(
    folder: Path, images: Iterable[tuple[Path, int]], sources: dict[str, str], labeled: LabeledSet
) -> None:
    """Raises ValueError where an image lies in another class's folder than its source is of."""
    known = {(example.key, example.label) for example in labeled.examples}
    for path, label in images:
        source = sources.get(str(path.relative_to(folder)))
        if source is not None and (source, label) not in known:
            raise ValueError(
                f"{folder / 'sources.csv'}: {path} is of class {labeled.class_names[label]!r}, its source {source!r} "
                "of another: move the image, or correct its row or take it out"
            )


def _refuse_copies(paths: Iterable[Path], split: Split) -> None:
    held_out = (*split.test.examples, *(split.validation.examples if split.validation else ()))
    test = {_fingerprint(example.path): example.path for example in held_out}
    unlabeled = {_fingerprint(path): path for path in split.unlabeled}
    copies = 0
    for path in paths:
        mark = _fingerprint(path)
        if mark in test:
            raise ValueError(
                f"{path} is a copy of the test or validation image {test[mark]}: accuracies with it would say nothing"
            )
        copies += mark in unlabeled
    if copies:
        print(f"warning: {copies} images are copies of unlabeled ones, so that their labels are no longer hidden",
              file=sys.stderr)  # fmt: skip


def _fingerprint(path: Path) -> bytes:
    return hashlib.sha256(read_square(path, COMPARED_PX).tobytes()).digest()


def _card(settings: ImportSettings, labeled: LabeledSet, count: int) -> str:
    return (
        "---\ntags: [synthetic, image-classification]\n---\n"
        f"# Imported images for {settings.data.name}, {settings.data.labels_told}\n\n"
        f"{count} images, made by: {settings.made_by}. Taken in for labeled set {labeled.id} "
        f"(split {settings.data.split_seed}).\n\nNote: {LEAK}.\n"
    )
