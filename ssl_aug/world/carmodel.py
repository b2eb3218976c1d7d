"""The shape of a toy car: a frozen set of proportions and details, and the surface patches they span.

A car is six kinds of surface patch: nose, tail, two flanks, the top of the lower body (hood and deck), the
two sides of the greenhouse and its top (windscreen, roof, rear window). Each patch is a function from two
surface coordinates to points in space, so that the shell is the patch on a grid and every detail (lamp,
grille, window, door line) is a region of a patch (`cardetails.py`). Axes: x forward, y to the car's left, z
up, in meters; `t` is the distance behind the foremost point, so x = length / 2 - t.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BODY_TYPES = ("sedan", "hatchback", "wagon", "suv", "coupe", "pickup", "van", "minivan")
LAMP_SHAPES = ("round", "wide", "slit", "square", "twin", "tall")
GRILLE_SHAPES = ("bar", "oval", "trapezoid", "split", "slats", "none")
TAIL_SHAPES = ("vertical", "wide", "round", "bar", "corner")


@dataclass(frozen=True)
class CarModel:
    """The shape of one car: this is the class. Lengths in meters unless said otherwise."""

    body: str = "sedan"  # one of BODY_TYPES: decides the bed of a pickup, the panels of a van, nothing else
    length: float = 4.5
    width: float = 1.8
    height: float = 1.45  # of the roof above the ground
    clearance: float = 0.2  # of the sill above the ground
    front_axle: float = 0.19  # distance behind the nose, share of the length
    rear_axle: float = 0.79  # distance behind the nose, share of the length
    wheel_radius: float = 0.33
    nose_height: float = 0.74  # upper edge of the nose
    nose_slope: float = 0.14  # how far the nose leans back at its upper edge
    nose_bow: float = 0.22  # how far the corners stand behind the middle, seen from above
    hood_height: float = 0.95  # at the base of the windscreen
    belt_rise: float = 0.05  # of the window line from the windscreen to the rear window
    tail_drop: float = 0.03  # of the deck from the rear window to the tail
    tail_slope: float = 0.08  # how far the tail leans forward at its upper edge
    cowl: float = 0.27  # base of the windscreen, share of the length behind the nose
    header: float = 0.41  # upper edge of the windscreen, share of the length
    roof_end: float = 0.70  # upper edge of the rear window, share of the length
    rear_base: float = 0.86  # base of the rear window, share of the length
    roof_arch: float = 0.05  # rise of the roof's middle above the line between its ends
    roof_drop: float = 0.05  # how much lower the roof ends behind than in front
    tumblehome: float = 0.78  # width of the roof, share of the width at the belt
    crease: float = 0.55  # height of the widest line of the flank, share of the flank
    glass_end: float = 0.86  # where the side windows end, share of the way from cowl to rear_base
    glass_kink: float = 0.2  # upward sweep of the window line's rear corner, share of the glass height
    num_side_windows: int = 2  # on each side
    lamp: str = "wide"  # one of LAMP_SHAPES
    lamp_size: float = 1.0  # factor
    lamp_height: float = 0.72  # share of the nose
    lamp_spread: float = 0.74  # distance of a lamp's middle from the car's middle, share of the half width
    grille: str = "bar"  # one of GRILLE_SHAPES
    grille_width: float = 0.42  # share of the half width
    grille_height: float = 0.2  # share of the nose
    intake_width: float = 0.6  # of the dark opening below, share of the half width
    tail: str = "wide"  # one of TAIL_SHAPES
    tail_size: float = 1.0  # factor
    tail_height: float = 0.74  # share of the tail
    num_spokes: int = 5  # of the rim; 0 is a plain disc
    rim_size: float = 0.66  # share of the wheel's radius
    cladding: float = 0.08  # height of the dark band along the sill, share of the flank
    chrome: float = 0.5  # brightness of grille frame and rims, 0 (black) to 1

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("body", self.body, BODY_TYPES),
            ("lamp", self.lamp, LAMP_SHAPES),
            ("grille", self.grille, GRILLE_SHAPES),
            ("tail", self.tail, TAIL_SHAPES),
        ):
            if value not in allowed:
                raise ValueError(f"CarModel.{name}={value!r} is unknown; allowed: {', '.join(allowed)}")
        if not 0 < self.cowl < self.header < self.roof_end < self.rear_base <= 1:
            raise ValueError("CarModel needs 0 < cowl < header < roof_end < rear_base <= 1 (shares of the length)")


def top_height(model: CarModel, t: np.ndarray) -> np.ndarray:
    """Height of the lower body's upper edge (hood, belt line, deck) at distances `t` behind the nose."""
    cowl, rear = model.cowl * model.length, model.rear_base * model.length
    along_hood = np.clip(t / cowl, 0, 1)
    hood = model.nose_height + (model.hood_height - model.nose_height) * (1 - (1 - along_hood) ** 1.7)
    belt = model.belt_rise * np.clip((t - cowl) / (rear - cowl), 0, 1)
    deck = model.tail_drop * np.clip((t - rear) / max(model.length - rear, 0.05), 0, 1)
    return hood + belt - deck


def half_width(model: CarModel, t: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Half width of the lower body at distance `t` and relative height `v` in [0, 1] (sill to belt)."""
    front = np.clip(1 - t / 0.6, 0, 1) ** 2
    rear = np.clip(1 - (model.length - t) / 0.6, 0, 1) ** 2
    plan = 1 - 0.4 * model.nose_bow * front - 0.08 * rear
    section = np.interp(v, [0, 0.12, model.crease, 1], [0.91, 0.965, 1.0, 0.93])
    return 0.5 * model.width * plan * section


def _bottom_height(model: CarModel, t: np.ndarray) -> np.ndarray:
    ends = np.clip(1 - t / 0.5, 0, 1) + np.clip(1 - (model.length - t) / 0.5, 0, 1)
    return model.clearance + 0.07 * ends


def _lower_body(model: CarModel, t: np.ndarray, side: np.ndarray, v: np.ndarray) -> np.ndarray:
    bottom = _bottom_height(model, t)
    z = bottom + v * (top_height(model, t) - bottom)
    return np.stack([model.length / 2 - t, side * half_width(model, t, v), z], axis=-1)


def _nose_lean(model: CarModel, v: np.ndarray) -> np.ndarray:
    return np.interp(v, [0, 0.22, 0.45, 1], [0.07, 0, 0.03, model.nose_slope])


def _tail_lean(model: CarModel, v: np.ndarray) -> np.ndarray:
    return np.interp(v, [0, 0.22, 0.45, 1], [0.07, 0, 0.03, model.tail_slope])


def nose(model: CarModel, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Points of the nose; `u` in [-1, 1] across (the car's left is 1), `v` in [0, 1] upwards."""
    u, v = np.broadcast_arrays(u, v)
    points = _lower_body(model, _nose_lean(model, v) + model.nose_bow, u, v)
    t = _nose_lean(model, v) + model.nose_bow * np.abs(u) ** 2.5
    points[..., 0] = model.length / 2 - t
    return points


def tail(model: CarModel, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Points of the tail; `u` in [-1, 1] across (the car's left is 1), `v` in [0, 1] upwards."""
    u, v = np.broadcast_arrays(u, v)
    points = _lower_body(model, model.length - _tail_lean(model, v) - 0.12, u, v)
    t = model.length - _tail_lean(model, v) - 0.12 * np.abs(u) ** 3
    points[..., 0] = model.length / 2 - t
    return points


def flank(model: CarModel, side: int, t: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Points of the left (`side` = 1) or right (-1) flank at distance `t` and relative height `v`."""
    t, v = np.broadcast_arrays(t, v)
    return _lower_body(model, flank_clip(model, t, v), np.array(side), v)


def flank_clip(model: CarModel, t: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Distances `t` clipped to where the flank lies between nose and tail at relative height `v`."""
    return np.clip(t, _nose_lean(model, v) + model.nose_bow, model.length - _tail_lean(model, v) - 0.12)


def top(model: CarModel, t: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Points of hood and deck at distance `t` and across `u` in [-1, 1], slightly crowned in the middle."""
    t, u = np.broadcast_arrays(t, u)
    first = model.nose_slope + model.nose_bow * np.abs(u) ** 2.5
    last = model.length - model.tail_slope - 0.12 * np.abs(u) ** 3
    points = _lower_body(model, np.clip(t, first, last), u, np.ones_like(t))
    points[..., 2] += 0.035 * (1 - u**2)
    return points


def greenhouse_profile(model: CarModel, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Side view of the greenhouse: (t, z) at `p` in [0, 3]: 0..1 windscreen, 1..2 roof, 2..3 rear window."""
    knots = np.array([model.cowl, model.header, model.roof_end, model.rear_base]) * model.length
    t = np.interp(p, [0, 1, 2, 3], knots)
    ends = top_height(model, knots)
    header = model.height - 0.03
    z = np.interp(p, [0, 1, 2, 3], [ends[0], header, header - model.roof_drop, ends[3]])
    q = p - np.clip(np.floor(p), 0, 2)
    bulge = np.select([p < 1, p < 2], [0.04, model.roof_arch], 0.06)
    return t, z + bulge * 4 * q * (1 - q)


def roof_line(model: CarModel, t: np.ndarray) -> np.ndarray:
    """Height of the greenhouse's upper outline at distances `t` behind the nose."""
    ts, zs = greenhouse_profile(model, np.linspace(0, 3, 40))
    return np.interp(t, ts, zs)


def greenhouse_half_width(model: CarModel, t: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Half width of the greenhouse at distance `t` and height `z`: narrower towards the roof."""
    belt = top_height(model, t)
    lean = np.clip((z - belt) / (model.height - model.hood_height), 0, 1.1)
    return 0.97 * half_width(model, t, np.ones_like(t)) * (1 - (1 - model.tumblehome) * lean)


def greenhouse_side(model: CarModel, side: int, t: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Points of the left (`side` = 1) or right (-1) side of the greenhouse at distance `t` and height `z`."""
    t, z = np.broadcast_arrays(t, z)
    return np.stack([model.length / 2 - t, side * greenhouse_half_width(model, t, z), z], axis=-1)


def greenhouse_top(model: CarModel, p: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Points of windscreen, roof and rear window at `p` in [0, 3] (see the profile) and across `u`."""
    p, u = np.broadcast_arrays(p, u)
    t, z = greenhouse_profile(model, p)
    width = greenhouse_half_width(model, t, z)
    middle = 1 - u**2
    bow = 0.14 * np.clip(1 - p, 0, 1) - min(0.10, 0.98 * model.length * (1 - model.rear_base)) * np.clip(p - 2, 0, 1)
    x = model.length / 2 - t + bow * middle
    return np.stack([x, u * width, z + 0.03 * middle], axis=-1)
