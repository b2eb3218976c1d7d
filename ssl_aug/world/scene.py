"""What varies between two pictures of one toy car: view, framing, paint, light, surroundings, occlusion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PAINTS: dict[str, tuple[int, int, int]] = {
    "white": (240, 240, 238),
    "black": (30, 30, 33),
    "grey": (110, 113, 118),
    "silver": (186, 190, 195),
    "red": (196, 28, 30),
    "blue": (28, 74, 180),
    "green": (30, 118, 58),
    "yellow": (240, 198, 30),
    "orange": (232, 112, 22),
    "brown": (104, 66, 40),
    "beige": (206, 186, 150),
    "purple": (104, 44, 140),
}
TIMES = ("day", "overcast", "dusk")
GROUNDS: dict[str, tuple[int, int, int]] = {
    "asphalt": (96, 97, 100),
    "concrete": (156, 153, 147),
    "grass": (98, 128, 62),
    "sand": (194, 172, 128),
    "snow": (226, 230, 236),
}
BACKDROPS = ("sky", "buildings", "trees", "hills", "wall")
OCCLUDERS = ("none", "pole", "bush", "car")
VIEWS = ("front", "front left", "left", "rear left", "rear", "rear right", "right", "front right")


@dataclass(frozen=True)
class SceneRanges:
    """How strongly the pictures of a data set vary."""

    elevation_deg: tuple[float, float] = (3.0, 24.0)  # camera above the horizon
    fill: tuple[float, float] = (0.66, 0.97)  # share of the picture's side that the car takes
    shift: float = 0.06  # largest shift of the car from the middle, share of the picture's side
    roll_deg: float = 4.0  # largest turn of the camera around its axis
    occlusion: float = 0.2  # share of pictures in which something stands before the car
    noise: float = 2.0  # largest standard deviation of the sensor's noise, of 255


@dataclass(frozen=True)
class Scene:
    """Everything in a picture that is not the shape of its car."""

    azimuth_deg: float  # where the camera stands: 0 before the car, 90 on the car's left, 180 behind it
    elevation_deg: float
    distance: float  # of the camera from the car, in car lengths of 4.5 m: the smaller, the more perspective
    fill: float
    shift: tuple[float, float]  # of the car from the middle, shares of the picture's side (right, down)
    roll_deg: float
    paint: str  # key of PAINTS
    paint_rgb: tuple[float, float, float]  # the tone of this car, 0..255
    time: str  # one of TIMES
    sun_azimuth_deg: float
    sun_elevation_deg: float
    sun_strength: float
    ground: str  # key of GROUNDS
    backdrop: str  # one of BACKDROPS
    road_lines: bool
    occluder: str  # one of OCCLUDERS
    occluder_place: float  # where it stands across the picture, -1 (left edge) to 1
    noise: float
    seed: int  # of everything small: positions of houses, noise

    @property
    def view(self) -> str:
        """The name of the nearest of the eight views."""
        return VIEWS[round(self.azimuth_deg / 45) % 8]


def sample_scene(rng: np.random.Generator, ranges: SceneRanges | None = None) -> Scene:
    """A random scene; the same state of `rng` gives the same scene."""
    ranges = ranges or SceneRanges()
    paint = str(rng.choice(list(PAINTS)))
    tone = np.clip(np.array(PAINTS[paint]) * rng.uniform(0.85, 1.12) + rng.uniform(-9, 9, 3), 8, 250)
    time = str(rng.choice(TIMES, p=[0.5, 0.28, 0.22]))
    low, high = ranges.elevation_deg
    red, green, blue = (float(value) for value in tone)
    hidden = rng.uniform() < ranges.occlusion
    return Scene(
        azimuth_deg=float(rng.uniform(0, 360)),
        elevation_deg=float(low + (high - low) * rng.beta(1.1, 1.8)),
        distance=float(rng.uniform(1.5, 3.5)),
        fill=float(rng.uniform(*ranges.fill)),
        shift=(float(rng.uniform(-1, 1) * ranges.shift), float(rng.uniform(-1, 1) * ranges.shift)),
        roll_deg=float(rng.uniform(-1, 1) * ranges.roll_deg),
        paint=paint,
        paint_rgb=(red, green, blue),
        time=time,
        sun_azimuth_deg=float(rng.uniform(0, 360)),
        sun_elevation_deg=float(rng.uniform(8, 22) if time == "dusk" else rng.uniform(30, 70)),
        sun_strength=float(rng.uniform(0.75, 1.15)),
        ground=str(rng.choice(list(GROUNDS), p=[0.45, 0.2, 0.15, 0.12, 0.08])),
        backdrop=str(rng.choice(BACKDROPS, p=[0.12, 0.32, 0.26, 0.15, 0.15])),
        road_lines=bool(rng.uniform() < 0.4),
        occluder=str(rng.choice(OCCLUDERS[1:])) if hidden else "none",
        occluder_place=float(rng.uniform(-1, 1)),
        noise=float(rng.uniform(0, ranges.noise)),
        seed=int(rng.integers(2**31)),
    )
