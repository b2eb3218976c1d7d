"""From data settings to a dataset and its few-label split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module

from ssl_aug.data.base import Dataset, Split
from ssl_aug.data.cached import sweep_cache
from ssl_aug.data.copies import notes_on_copies
from ssl_aug.data.counts import tell
from ssl_aug.data.split import few_label_split
from ssl_aug.settings import EMBEDDED_DATA, DataSettings

# name -> module with `load(settings) -> Dataset`; imported when asked for
DATASETS: dict[str, str] = {
    "toycars": "ssl_aug.data.toycars",
    "digits": "ssl_aug.data.digits",
    "image_folder": "ssl_aug.data.image_folder",
    "csv": "ssl_aug.data.csv_list",
    "hf": "ssl_aug.data.hf",
    "stanford_cars": "ssl_aug.data.stanford_cars",
    "flowers102": "ssl_aug.data.flowers102",
    "celeba": "ssl_aug.data.celeba",
}
OF_THE_USER = ("image_folder", "csv", "hf")  # of a class with fewer images than labels are asked for, all are taken


def load_dataset(settings: DataSettings) -> Dataset:
    """Reads (or makes, for the embedded worlds) the files' names and labels.

    Raises:
        ValueError, FileNotFoundError: an unknown name, a missing or empty folder, a setting without effect.
    """
    if settings.name not in DATASETS:
        raise ValueError(f"data={settings.name}: there is no such dataset; choose one of {', '.join(DATASETS)}")
    if settings.crop_to_box and settings.name != "stanford_cars":
        raise ValueError(f"data.crop_to_box=true has no effect on {settings.name}: leave it out, there are no boxes")
    if settings.attribute is not None and settings.name != "celeba":
        raise ValueError(
            f"data.attribute={settings.attribute} has no effect on {settings.name}: "
            "leave it out, only celeba has attributes"
        )
    for name, column in (("image_column", settings.image_column), ("label_column", settings.label_column)):
        if column is not None and settings.name != "hf":
            raise ValueError(
                f"data.{name}={column} has no effect on {settings.name}: leave it out, only hf has columns to choose"
            )
    sweep_cache()
    load: Callable[[DataSettings], Dataset] = import_module(DATASETS[settings.name]).load
    return load(settings)


def load_split(settings: DataSettings) -> tuple[Dataset, Split]:
    """The dataset and what a method may see of it.

    Raises:
        ValueError, FileNotFoundError: as `load_dataset`; or every test image is a training image.
    """
    dataset = load_dataset(settings)
    if settings.name not in EMBEDDED_DATA:
        dataset = replace(dataset, notes=(*dataset.notes, *notes_on_copies(dataset)))
    return dataset, few_label_split(
        dataset,
        settings.labels_per_class,
        settings.split_seed,
        settings.validation_per_class,
        may_take_fewer=settings.name in OF_THE_USER,
    )


def load_and_tell(settings: DataSettings) -> tuple[Dataset, Split]:
    """The same, told on stderr: what every command that works on the data says first.

    Raises:
        ValueError, FileNotFoundError: as `load_split`.
    """
    dataset, split = load_split(settings)
    tell(dataset, split, settings.labels_per_class)
    return dataset, split
