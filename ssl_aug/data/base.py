"""Labeled sets as lists of files and integers: what every other package is given and hands on."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from ssl_aug.data.contents import contents_of, short_id


@dataclass(frozen=True)
class Example:
    """One image file and its class index."""

    path: Path
    label: int

    @property
    def key(self) -> str:
        """The name that identifies an image of its class on every machine: its folder's and its own name.

        Letters are composed (NFC), as a Mac's copy need not have them.
        """
        return _name(self.path)


class DrawnSet(Protocol):
    """What a labeled set needs to know of synthetic images (`ssl_aug.synthetic.SyntheticSet`)."""

    @property
    def folder(self) -> Path: ...

    @property
    def labeled_set_id(self) -> str: ...

    @property
    def examples(self) -> tuple[Example, ...]: ...

    @property
    def sources(self) -> Collection[tuple[str, str]]: ...

    def require_sources(self, labeled: LabeledSet, /) -> None: ...


@dataclass(frozen=True)
class LabeledSet:
    """Images with labels in 0..len(class_names)-1."""

    examples: tuple[Example, ...]
    class_names: tuple[str, ...]

    @cached_property
    def id(self) -> str:
        """12 hex digits of names, labels and contents, whatever their order: says which labeled set this is.

        Raises:
            FileNotFoundError: an image is not there.
        """
        contents = zip(self.examples, contents_of(self.paths), strict=True)
        rows = sorted(f"{example.label} {example.key} {content}" for example, content in contents)
        return short_id([*(unicodedata.normalize("NFC", name) for name in self.class_names), *rows])

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(example.path for example in self.examples)

    @property
    def labels(self) -> tuple[int, ...]:
        return tuple(example.label for example in self.examples)

    def with_synthetic(self, synthetic: DrawnSet) -> LabeledSet:
        """This set followed by the synthetic images, as labeled examples like any other.

        Raises:
            ValueError: the images were drawn from another labeled set, so that they could carry
                knowledge about images which this split calls unlabeled or test; or one has another class than its
                labeled image.
        """
        if synthetic.labeled_set_id != self.id:
            raise ValueError(
                f"{synthetic.folder} was drawn from labeled set {synthetic.labeled_set_id}, this split's is {self.id} "
                f"({self._differences(synthetic.sources)}): draw a set for it (python -m ssl_aug.generate with these "
                "data settings), bring back the labeled images, or name another folder with synthetic.root"
            )
        synthetic.require_sources(self)
        return LabeledSet(self.examples + synthetic.examples, self.class_names)

    def _differences(self, sources: Collection[tuple[str, str]]) -> str:
        """What tells this set from the one that images were drawn from, as far as names and classes do.

        Args:
            sources: the class's name and the key of each labeled image, where a set says them.
        """
        own = {(unicodedata.normalize("NFC", self.class_names[each.label]), each.key) for each in self.examples}
        there = {(unicodedata.normalize("NFC", name), unicodedata.normalize("NFC", key)) for name, key in sources}
        found = []
        for what, pairs in (("new", own - there), ("gone", there - own)):
            if pairs and there:
                name, key = min(pairs)
                found.append(f"{len(pairs)} {what}, such as {key} of the class {name!r}")
        return "; ".join(found) or "of the same names, so that contents or labels differ"


@dataclass(frozen=True)
class Split:
    """What a semi-supervised method may see: few labels, many images without, and the test set."""

    labeled: LabeledSet
    unlabeled: tuple[Path, ...]
    test: LabeledSet
    validation: LabeledSet | None = None  # what may be looked at to choose a checkpoint or a setting


@dataclass(frozen=True)
class Dataset:
    """All that a dataset's files say, before any label is hidden."""

    name: str
    train: LabeledSet
    test: LabeledSet
    extra_unlabeled: tuple[Path, ...] = ()
    validation: LabeledSet | None = None  # where the files have a part of their own for it
    notes: tuple[str, ...] = ()  # lines on what was left out, for whoever reads the command's output

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.train.class_names

    @property
    def training_images(self) -> tuple[Path, ...]:
        """Every image that may be learned from without its label: never one of the test set."""
        return self.train.paths + self.extra_unlabeled


def file_list_id(paths: Iterable[Path]) -> str:
    """12 hex digits of names and contents of images, in their order: the key of everything cached about them.

    Raises:
        FileNotFoundError: an image is not there.
    """
    listed = list(paths)
    return short_id(f"{_name(path)} {content}" for path, content in zip(listed, contents_of(listed), strict=True))


def _name(path: Path) -> str:
    return unicodedata.normalize("NFC", f"{path.parent.name}/{path.name}")
