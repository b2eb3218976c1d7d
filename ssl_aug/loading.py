"""From Python to a dataset and its few-label split: a folder, arrays, or any map-style dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from ssl_aug.data.base import Dataset, LabeledSet, Split
from ssl_aug.data.build import load_and_tell
from ssl_aug.data.counts import tell
from ssl_aug.data.given import MapDataset, dataset_of, labeled_part, unlabeled_part
from ssl_aug.data.split import few_label_split
from ssl_aug.progress import Progress, told_to
from ssl_aug.settings import DataSettings, Settings
from ssl_aug.synthetic import SyntheticSet
from ssl_aug.synthetic.folder import refuse_unlabeled

Pairs = MapDataset | tuple[MapDataset, Sequence[int]]  # (image, label) items, or images and labels beside them

Asked = TypeVar("Asked", bound=Settings)


@dataclass(frozen=True)
class Data:
    """A dataset, what may be seen of it, and the synthetic images that joined its labeled ones."""

    settings: DataSettings  # what says which images, and how many labels are known
    dataset: Dataset
    split: Split
    synthetic: SyntheticSet | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of the labels."""
        return self.dataset.class_names

    @property
    def labeled(self) -> LabeledSet:
        """The labeled images, then the synthetic ones where there are any."""
        if self.synthetic is None:
            return self.split.labeled
        return self.split.labeled.with_synthetic(self.synthetic)

    @property
    def unlabeled(self) -> tuple[Path, ...]:
        """Training images whose labels are hidden, then those that came without."""
        return self.split.unlabeled

    @property
    def test(self) -> LabeledSet:
        """What accuracies are measured on; nothing learns from it."""
        return self.split.test

    def with_synthetic(self, synthetic: SyntheticSet) -> Data:
        """The same data with these synthetic images, in the place of others that it had.

        Raises:
            ValueError: they were drawn from another labeled set, or with settings after which they show no class.
        """
        self.split.labeled.with_synthetic(synthetic)
        refuse_unlabeled(synthetic.folder)
        return replace(self, synthetic=synthetic)


def load(
    source: str | Path | DataSettings | MapDataset,
    labels: Sequence[int] | None = None,
    *,
    class_names: Sequence[str] | None = None,
    test: Pairs | None = None,
    unlabeled: MapDataset | None = None,
    labels_per_class: int | None = None,
    split_seed: int = DataSettings.split_seed,
    name: str | None = None,
    progress: Progress | None = None,
) -> Data:
    """A dataset and its few-label split.

    Args:
        source: a folder with train/<class>/ and, if there are any, test/<class>/, val/<class>/ and unlabeled/; or
            images: an array (n, height, width, 3) of uint8, a list of pictures, or a map-style dataset of (picture,
            array or tensor, label); or `DataSettings`, which can name every dataset that the commands know.
        labels: one whole number for each image, where `source` holds images alone.
        class_names: in the order of the labels; None: the labels' own digits.
        test: images with labels, (images, labels) or a dataset, to measure accuracies on.
        unlabeled: further images, in addition to the training images whose labels are hidden.
        labels_per_class: how many labels of each class are known, of a smaller class all; None: all.
        split_seed: which ones.
        name: what folders of results begin with; None: "images".
        progress: told (done, total, what is being done) beside the bar, where images are written.

    Raises:
        ValueError, FileNotFoundError: images or labels that do not fit, a folder that is not there, or an argument
            that has no effect on this source.
    """
    drawn = DataSettings(labels_per_class=labels_per_class, split_seed=split_seed)
    if isinstance(source, str | Path | DataSettings):
        of_images = {"labels": labels, "class_names": class_names, "test": test, "unlabeled": unlabeled, "name": name}
        _refuse(of_images, "a folder or DataSettings, which say it themselves")
        if isinstance(source, DataSettings):
            if (labels_per_class, split_seed) != (None, DataSettings.split_seed):
                raise ValueError("labels_per_class and split_seed have no effect beside DataSettings: name them there")
            drawn = source
        else:
            drawn = replace(drawn, name="image_folder", root=str(source))
        with told_to(progress):
            return Data(drawn, *load_and_tell(drawn))
    tested = None if test is None else labeled_part("test", *(test if isinstance(test, tuple) else (test, None)))
    train = labeled_part("train", source, labels)
    with told_to(progress):
        dataset = dataset_of(name or "images", train, tested, unlabeled_part(unlabeled), class_names)
    drawn = replace(drawn, name=dataset.name)
    split = few_label_split(dataset, drawn.labels_per_class, drawn.split_seed, may_take_fewer=True)
    tell(dataset, split, drawn.labels_per_class)
    return Data(drawn, dataset, split)


def settings_for(data: Data, settings: Asked) -> Asked:
    """The settings with the data's own.

    Raises:
        ValueError: they name other data, or a dry run, which only the commands have.
    """
    if settings.data not in (DataSettings(), data.settings):
        raise ValueError(f"settings.data={settings.data}: the data were loaded with {data.settings}; leave it out here")
    if settings.dry_run:
        raise ValueError("settings.dry_run=True has no effect here: leave it out, --dry-run of the commands has one")
    return replace(settings, data=data.settings)


def _refuse(arguments: Mapping[str, object], source: str) -> None:
    given = next((name for name, value in arguments.items() if value is not None), None)
    if given is not None:
        raise ValueError(f"{given} has no effect where the source is {source}: leave it out")
