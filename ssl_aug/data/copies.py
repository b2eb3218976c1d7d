"""The same image twice where that makes accuracies say nothing: in train and in test, or under two labels.

Byte for byte. Only files of equal size are read, so it costs next to nothing on photos.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from ssl_aug.data.base import Dataset, Example
from ssl_aug.data.contents import contents_of


def notes_on_copies(dataset: Dataset) -> list[str]:
    """What has to be said of them.

    Raises:
        ValueError: every test image is a training image, as where `test` is a link to `train`.
    """
    held_out = {"test": dataset.test.paths}
    if dataset.validation is not None:
        held_out["validation"] = dataset.validation.paths
    content = _contents([*dataset.training_images, *(path for paths in held_out.values() for path in paths)])
    labeled = {content[path]: path for path in reversed(dataset.train.paths) if path in content}
    unlabeled = {content[path]: path for path in reversed(dataset.extra_unlabeled) if path in content}
    notes = []
    for part, paths in held_out.items():
        for known, kind in ((labeled, "training"), (unlabeled, "unlabeled")):
            copies = [path for path in paths if path in content and content[path] in known]
            if not copies:
                continue
            example = f"{copies[0]} is {known[content[copies[0]]]}"
            if part == "test" and kind == "training" and len(copies) == len(paths):
                raise ValueError(
                    f"every test image is a training image ({example}): accuracies would say nothing; put other images "
                    "into test, or leave test out"
                )
            notes.append(
                f"warning: {len(copies)} of {len(paths)} {part} images are {kind} images as well ({example}): "
                "accuracies are too high; remove them from one of the parts"
            )
    return notes + _under_two_labels(dataset.train.examples, content)


def _under_two_labels(examples: Sequence[Example], content: dict[Path, str]) -> list[str]:
    labels: dict[str, dict[int, Example]] = defaultdict(dict)
    for example in examples:
        if example.path in content:
            labels[content[example.path]].setdefault(example.label, example)
    torn = [list(found.values()) for found in labels.values() if len(found) > 1]
    if not torn:
        return []
    return [
        f"warning: {len(torn)} training images have two labels ({torn[0][0].path} is {torn[0][1].path}): "
        "remove those that are wrong"
    ]


def _contents(paths: Sequence[Path]) -> dict[Path, str]:
    """What the images are known by that share their size with another one."""
    sizes = {path: path.stat().st_size for path in paths}
    count = Counter(sizes.values())
    alike = [path for path, size in sizes.items() if count[size] > 1]
    return dict(zip(alike, contents_of(alike), strict=True))
