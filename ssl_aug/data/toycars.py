"""toycars as files: the embedded world's procedural cars, rendered into a folder once."""

from __future__ import annotations

from pathlib import Path

from ssl_aug.data.base import Dataset
from ssl_aug.data.cached import images_made_once, listed
from ssl_aug.data.layout import refuse_root
from ssl_aug.runtime import progress_bar
from ssl_aug.settings import DataSettings
from ssl_aug.world import toycars


def load(settings: DataSettings) -> Dataset:
    """The dataset, its classes in the renderer's order.

    Raises:
        ValueError: `data.root` is set, or the cache cannot be written to.
    """
    refuse_root(settings)
    num_train = len(toycars.CLASS_NAMES) * toycars.NUM_TRAIN_PER_CLASS
    num_test = len(toycars.CLASS_NAMES) * toycars.NUM_TEST_PER_CLASS

    def make(folder: Path) -> None:
        with progress_bar(num_train + num_test, "rendering toycars") as bar:
            toycars.materialize(folder, lambda written, total: bar.update(1))

    folder = images_made_once("toycars", str(toycars.VERSION), make)
    return listed("toycars", folder, toycars.CLASS_NAMES, num_train, num_test)
