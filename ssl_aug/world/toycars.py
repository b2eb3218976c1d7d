"""toycars: a fine-grained data set drawn from parametric cars, six body types by four makes.

The classes of one body type differ systematically in their proportions, roof lines, lamps, grilles, window
lines and wheels; view, paint, light, surroundings and framing vary strongly in every picture. Every picture
is a function of (class, split, number) and of VERSION alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from ssl_aug.world.carbodies import VARIATION, varied
from ssl_aug.world.carmodel import CarModel
from ssl_aug.world.render import render_car
from ssl_aug.world.scene import Scene, SceneRanges, sample_scene

VERSION = "2"  # changes whenever a pixel changes
NUM_TRAIN_PER_CLASS = 100
NUM_TEST_PER_CLASS = 40
SPLITS = {"train": NUM_TRAIN_PER_CLASS, "test": NUM_TEST_PER_CLASS}
SIZE_PX = 64

# How far the makes of one body type differ, in units of `carbodies.VARIATION`: the dial of the difficulty (the
# smaller, the harder).
CLASS_SPREAD = 2.1
RANGES = SceneRanges(elevation_deg=(3.0, 20.0), fill=(0.76, 0.98), shift=0.05, roll_deg=3.0, occlusion=0.12)

BODIES = ("sedan", "hatchback", "suv", "coupe", "pickup", "van")
MAKES = ("arbel", "brint", "corvo", "dalma")
CLASS_NAMES: tuple[str, ...] = tuple(f"{make}_{body}" for body in BODIES for make in MAKES)

# Details of the four makes; for each body type they are dealt one place further, so that none belongs to a make.
_LAMPS = ("wide", "round", "slit", "square")
_GRILLES = ("trapezoid", "slats", "oval", "bar")
_TAILS = ("wide", "vertical", "bar", "round")
_SPOKES = (5, 8, 0, 4)
_SHAPE_SEED = 20240527
_PICTURE_SEED = 7


@lru_cache(maxsize=1)
def class_models() -> tuple[CarModel, ...]:
    """The shape of each class, in the order of CLASS_NAMES.

    Within a body type every measure takes four evenly spaced values, dealt to the makes in a random order of
    its own (a Latin hypercube), so that no two makes are near each other in all measures.
    """
    rng = np.random.default_rng(_SHAPE_SEED)
    levels = np.linspace(-1, 1, len(MAKES)) * CLASS_SPREAD
    models = []
    for turn, body in enumerate(BODIES):
        dealt = {name: rng.permutation(levels) for name in VARIATION}
        for make in range(len(MAKES)):
            place = (make + turn) % len(MAKES)
            details = {
                "lamp": _LAMPS[place],
                "grille": _GRILLES[place],
                "tail": _TAILS[place],
                "num_spokes": _SPOKES[place],
            }
            deviations = {name: float(dealt[name][make]) for name in VARIATION}
            models.append(varied(body, deviations, details))
    return tuple(models)


def image(class_index: int, split: str, index: int) -> np.ndarray:
    """Picture (64, 64, 3) uint8 number `index` of a class in a split ("train" or "test")."""
    shown = scene(class_index, split, index)
    return render_car(class_models()[class_index], shown, SIZE_PX)


def scene(class_index: int, split: str, index: int) -> Scene:
    """View, paint, light and surroundings of picture number `index` of a class in a split."""
    if split not in SPLITS:
        raise ValueError(f"split={split!r} is unknown; toycars has: {', '.join(SPLITS)}")
    if not 0 <= class_index < len(CLASS_NAMES):
        raise ValueError(f"class_index={class_index} is out of range; toycars has {len(CLASS_NAMES)} classes")
    rng = np.random.default_rng([_PICTURE_SEED, class_index, list(SPLITS).index(split), index])
    return sample_scene(rng, RANGES)


def materialize(folder: Path, progress: Callable[[int, int], None] | None = None) -> None:
    """Writes `folder`/{train,test}/<class>/<class>_0000.png ...

    Args:
        folder: an empty one, or none.
        progress: called with (pictures written, pictures in all) after each one.

    Raises:
        FileExistsError: there are pictures in `folder` already.
    """
    total = len(CLASS_NAMES) * sum(SPLITS.values())
    written = 0
    for split, count in SPLITS.items():
        for class_index, name in enumerate(CLASS_NAMES):
            (folder / split / name).mkdir(parents=True)
            for index in range(count):
                picture = Image.fromarray(image(class_index, split, index))
                picture.save(folder / split / name / f"{name}_{index:04d}.png")
                written += 1
                if progress is not None:
                    progress(written, total)
