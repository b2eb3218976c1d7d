"""Flawless drawings: each labeled toycar four times more, with another view or another look.

python docs/results/scripts/flawless_drawings.py     # writes view/ and look/, class folders for ssl_aug.import_set
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from ssl_aug.data.build import load_split
from ssl_aug.settings import DataSettings
from ssl_aug.world import toycars
from ssl_aug.world.render import render_car
from ssl_aug.world.scene import Scene, sample_scene

VIEW = ("azimuth_deg", "elevation_deg", "distance", "fill", "shift", "roll_deg")


def changed(scene: Scene, other: Scene, what: str) -> Scene:
    """`scene` with the view of `other`, or with everything but the view of it ("look")."""
    if what == "view":
        return replace(scene, **{name: getattr(other, name) for name in VIEW}, seed=other.seed, occluder="none")
    return replace(other, **{name: getattr(scene, name) for name in VIEW}, occluder="none")


def main() -> None:
    """Writes 384 images each into view/ and look/."""
    rng = np.random.default_rng(5)
    labeled = load_split(DataSettings())[1].labeled
    for what in ("view", "look"):
        for path, label in zip(labeled.paths, labeled.labels, strict=True):
            number = re.search(r"_(\d+)\.png", path.name)
            assert number is not None
            scene = toycars.scene(label, "train", int(number[1]))
            for k in range(4):
                shown = changed(scene, sample_scene(rng, toycars.RANGES), what)
                file = Path(what) / toycars.CLASS_NAMES[label] / f"{path.stem}_{k}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(render_car(toycars.class_models()[label], shown, 64)).save(file)


if __name__ == "__main__":
    main()
