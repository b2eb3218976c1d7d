"""The source world: what the embedded models are pretrained on, with an honest caption for every picture.

400 car models of all body types (none of them a class of toycars: `nearest_toycar`), buses and box trucks,
and simple objects. A caption names only what its picture shows: lamps where the front is in view, what
stands behind where the camera is low enough to see it. It does not say where a car is seen from, so that the
condition need not (the lamps that it names do tell front from rear).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ssl_aug.world import toycars
from ssl_aug.world.carbodies import VARIATION, model_distance, varied
from ssl_aug.world.carmodel import BODY_TYPES, GRILLE_SHAPES, LAMP_SHAPES, TAIL_SHAPES, CarModel
from ssl_aug.world.render import render_car, render_meshes
from ssl_aug.world.scene import OCCLUDERS, Scene, SceneRanges, sample_scene
from ssl_aug.world.source_objects import OBJECT_KINDS, object_parts

VERSION = "2"  # changes whenever a pixel or a caption changes
NUM_CARS = 400
KINDS: tuple[str, ...] = (*BODY_TYPES, *OBJECT_KINDS)
NUM_MODELS = NUM_CARS + len(OBJECT_KINDS)
OBJECT_SHARE = 0.12  # of the pictures that show no car
RANGES = SceneRanges()
MODEL_SPREAD = 2.0  # how far the measures of source cars go, in units of `carbodies.VARIATION`
CAR_SHARE = 0.25  # of the captions of cars that say "car" and not which kind
_SHAPE_SEED = 911


@dataclass(frozen=True, eq=False)
class SourceImage:
    """One picture of the source world and the factors it was drawn from."""

    image: np.ndarray  # (64, 64, 3) uint8
    model_index: int  # < NUM_CARS: a car; above: NUM_CARS + place in OBJECT_KINDS
    caption: str
    paint: str  # key of `scene.PAINTS`
    body_type: str  # one of KINDS
    view: str  # one of `scene.VIEWS`
    model: CarModel | None  # None where the picture shows no car
    scene: Scene


@lru_cache(maxsize=NUM_CARS)
def source_model(model_index: int) -> CarModel:
    """The shape of source car `model_index` in [0, NUM_CARS); it does not depend on toycars."""
    if not 0 <= model_index < NUM_CARS:
        raise ValueError(f"model_index={model_index} is no source car; there are {NUM_CARS}")
    rng = np.random.default_rng([_SHAPE_SEED, model_index])
    body = BODY_TYPES[model_index % len(BODY_TYPES)]
    details: dict[str, object] = {
        "lamp": str(rng.choice(LAMP_SHAPES)),
        "grille": str(rng.choice(GRILLE_SHAPES)),
        "tail": str(rng.choice(TAIL_SHAPES)),
        "num_spokes": int(rng.choice([0, 4, 5, 6, 7, 8])),
    }
    measures = list(VARIATION)
    if body == "van" and rng.uniform() < 0.5:  # a van with windows all along
        details |= {"num_side_windows": 3, "glass_end": 0.9}
        measures.remove("glass_end")
    return varied(body, {name: MODEL_SPREAD * rng.uniform(-1, 1) for name in measures}, details)


def nearest_toycar(model: CarModel) -> float:
    """Distance of a shape to the nearest class of toycars (`carbodies.model_distance`, in [0, 1])."""
    return min(model_distance(model, other) for other in toycars.class_models())


def source_image(index: int, seed: int = 0) -> SourceImage:
    """Picture number `index` of the source world; the same (index, seed) gives the same bytes and caption."""
    rng = np.random.default_rng([_SHAPE_SEED, 1, seed, index])
    is_car = rng.uniform() >= OBJECT_SHARE
    model_index = int(rng.integers(NUM_CARS)) if is_car else NUM_CARS + int(rng.integers(len(OBJECT_KINDS)))
    scene = sample_scene(rng, RANGES)
    if is_car:
        model: CarModel | None = source_model(model_index)
        assert model is not None
        kind, pixels = model.body, render_car(model, scene)
    else:
        model, kind = None, OBJECT_KINDS[model_index - NUM_CARS]
        pixels = render_meshes(object_parts(kind, scene, rng), scene)
    caption = caption_of(kind, model, scene, rng)
    return SourceImage(pixels, model_index, caption, scene.paint, kind, scene.view, model, scene)


LAMP_WORDS = {
    "round": "round lamps", "wide": "wide lamps", "slit": "slit lamps",
    "square": "square lamps", "twin": "twin lamps", "tall": "tall lamps",
}  # fmt: skip
TAIL_WORDS = {
    "vertical": "upright tail lamps", "wide": "wide tail lamps", "round": "round tail lamps",
    "bar": "a light bar across the tail", "corner": "hooked tail lamps",
}  # fmt: skip
GRILLE_WORDS = {
    "bar": "grille", "oval": "oval grille", "trapezoid": "deep grille", "split": "split grille",
    "slats": "slatted grille",
}  # fmt: skip
TIME_WORDS = {
    "day": ("in daylight", "on a sunny day", "by day"),
    "overcast": ("on a cloudy day", "under a grey sky"),
    "dusk": ("at dusk", "in the evening"),
}
BACKDROP_WORDS = {
    "buildings": "in front of buildings", "trees": "in front of trees", "hills": "in front of hills",
    "wall": "in front of a wall", "sky": "under the open sky",
}  # fmt: skip
OCCLUDER_WORDS = {"pole": "behind a pole", "bush": "behind a bush", "car": "beside another car"}
_HIGH_CAMERA_DEG = 9.0  # above it, what stands behind the car is out of the picture


def visible_details(model: CarModel, scene: Scene) -> list[str]:
    """Phrases for the details of a car that its view shows."""
    if scene.view.startswith("front"):
        details = [LAMP_WORDS[model.lamp]]
        if model.grille == "none":
            return [*details, "no grille"]
        width = "wide " if model.grille_width > 0.49 else "narrow " if model.grille_width < 0.35 else ""
        phrase = width + GRILLE_WORDS[model.grille]
        return [*details, f"an {phrase}" if phrase[0] in "aeiou" else f"a {phrase}"]
    return [TAIL_WORDS[model.tail]] if scene.view.startswith("rear") else []


def caption_of(kind: str, model: CarModel | None, scene: Scene, rng: np.random.Generator) -> str:
    """A sentence about a picture from its factors, in one of several phrasings."""
    word = "car" if model is not None and rng.uniform() < CAR_SHARE else kind
    thing = f"{scene.paint} {word}"
    thing = f"an {thing}" if thing[0] in "aeiou" else f"a {thing}"
    if scene.backdrop != "sky" and scene.elevation_deg < _HIGH_CAMERA_DEG:
        place = BACKDROP_WORDS[scene.backdrop]
    else:
        place = f"on {scene.ground}"
    moment = str(rng.choice(TIME_WORDS[scene.time]))
    details = visible_details(model, scene) if model is not None else []
    detail = f"with {' and '.join(details)}" if details else ""
    hidden = OCCLUDER_WORDS.get(scene.occluder, "") if rng.uniform() < 0.5 else ""
    style = int(rng.integers(5))
    if style in (0, 1):
        return thing
    if style == 2:
        return " ".join(part for part in (thing, detail, place) if part)
    if style == 3:
        return f"a picture of {thing} {moment}"
    head = ", ".join(part for part in (thing, detail, hidden) if part)
    return f"{head}, {moment} {place}"


assert set(OCCLUDER_WORDS) == set(OCCLUDERS[1:])
