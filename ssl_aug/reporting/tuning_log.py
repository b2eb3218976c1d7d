"""What the tuning behind a set left in its adapter's folder: losses, checks on the way, sample grids."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from generators.settings import TUNED
from ssl_aug.data.reading import read_rgb
from ssl_aug.made_by import read_command
from ssl_aug.reporting.charts import Curve, curve
from ssl_aug.reporting.sheets import as_jpeg, data_uri
from ssl_aug.reporting.subject import Subject
from ssl_aug.settings import Settings
from ssl_aug.tables import read_named_rows
from ssl_aug.tuning.place import tuning_folder

WAY_OUT = "take it away: nothing but the report reads it"
GRID_WIDTH = 1024  # pixels, of up to eight columns
MOST_GRIDS = 12
CURVES = {  # of the tuning's files: what is drawn over its steps
    "losses.csv": {"loss": "training loss"},
    "reports.csv": {
        "fixed_noise_loss": "loss at fixed noise",
        "near_copy_rate": "share of near-copies among samples",
    },
}


@dataclass(frozen=True)
class Grid:
    """Samples after some steps: labeled or training images above what was drawn from them."""

    steps: int
    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class TuningLog:
    """A tuning on its way."""

    folder: Path
    curves: tuple[tuple[str, Curve], ...]  # what is drawn, and the line
    grids: tuple[Grid, ...]
    command: str | None


def read_tuning(settings: Settings, subject: Subject) -> TuningLog | None:
    """The log of the tuning that the set was drawn with; None where its folder is not here, or nothing was tuned.

    Args:
        settings: those that the set was drawn with.

    Raises:
        ValueError: one of its files is damaged.
    """
    record = subject.record
    is_tuned = settings.generator.name in TUNED and settings.tune.steps > 0 and not record.get("imported")
    if not is_tuned or "model_id" not in record or "tuning_images_id" not in record:
        return None
    classes = None
    if settings.sampling().names_class:
        if settings.data.subset is not None or not subject.labeled:  # whose classes cannot be told from here
            return None
        classes = [subject.class_names[label] for label, _ in subject.labeled]
    folder = tuning_folder(settings, settings.data.name, record["model_id"], record["tuning_images_id"], classes)
    if not folder.is_dir():
        return None
    curves = []
    for name, columns in CURVES.items():
        for column, what in columns.items():
            line = curve(_points(folder / name, column, settings.tune.steps), what)
            if line is not None:
                curves.append((what, line))
    return TuningLog(folder, tuple(curves), tuple(_grids(folder, settings.tune.steps)), read_command(folder))


def _points(path: Path, column: str, most_steps: int) -> list[tuple[float, float]]:
    if not path.is_file():
        return []
    found = []
    for number, row in read_named_rows(path, ("step", column), WAY_OUT):
        try:
            step, value = float(row["step"]), float(row[column])
        except ValueError:
            raise ValueError(f"{path}, row {number}: step and {column} are numbers: {WAY_OUT}") from None
        if math.isfinite(step) and step <= most_steps:  # a longer tuning of the same settings goes on in this folder
            found.append((step, value))
    return sorted(found)


def _grids(folder: Path, most_steps: int) -> list[Grid]:
    steps_of = {path: path.stem.removeprefix("samples_") for path in folder.glob("samples_*.png")}
    numbered = {path: int(steps) for path, steps in steps_of.items() if steps.isdecimal()}
    listed = sorted((steps, path) for path, steps in numbered.items() if steps <= most_steps)
    step = max(1, math.ceil(len(listed) / MOST_GRIDS))
    found = []
    for steps, path in listed[::-1][::step][::-1]:  # the last one is among them
        try:
            image = read_rgb(path)
        except ValueError:
            continue  # a damaged picture is no reason to show no page
        image.thumbnail((GRID_WIDTH, GRID_WIDTH), Image.Resampling.BICUBIC)
        found.append(Grid(steps, data_uri(as_jpeg(np.asarray(image), 80), "jpeg"), image.width, image.height))
    return found
