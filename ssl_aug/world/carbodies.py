"""Typical cars of each body type, how far their proportions may vary, and the distance between two shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from ssl_aug.world.carmodel import BODY_TYPES, CarModel

TYPICAL: dict[str, CarModel] = {
    "sedan": CarModel(),
    "hatchback": CarModel(
        "hatchback", length=4.0, height=1.48, wheel_radius=0.32, front_axle=0.2, rear_axle=0.82,
        header=0.43, roof_end=0.83, rear_base=0.955, belt_rise=0.08, tail_height=0.8, tail_drop=0.02,
        glass_end=0.84,
    ),
    "wagon": CarModel(
        "wagon", length=4.7, height=1.48, cowl=0.26, header=0.39, roof_end=0.87, rear_base=0.96,
        roof_arch=0.04, num_side_windows=3, glass_end=0.93, tail_height=0.8, tail_drop=0.02,
    ),
    "suv": CarModel(
        "suv", length=4.6, width=1.88, height=1.72, clearance=0.28, wheel_radius=0.38, nose_height=0.95,
        hood_height=1.12, cowl=0.25, header=0.37, roof_end=0.85, rear_base=0.955, num_side_windows=3,
        glass_end=0.92, cladding=0.16, tumblehome=0.82, tail_height=0.78, tail_drop=0.02,
    ),
    "coupe": CarModel(
        "coupe", length=4.4, width=1.84, height=1.3, clearance=0.16, wheel_radius=0.34, nose_height=0.66,
        hood_height=0.87, cowl=0.32, header=0.46, roof_end=0.63, rear_base=0.89, num_side_windows=1,
        glass_end=0.78, tumblehome=0.73, rim_size=0.72,
    ),
    "pickup": CarModel(
        "pickup", length=5.2, width=1.9, height=1.76, clearance=0.3, wheel_radius=0.39, front_axle=0.17,
        rear_axle=0.77, nose_height=0.98, hood_height=1.12, cowl=0.24, header=0.34, roof_end=0.49,
        rear_base=0.565, tail_drop=0.01, belt_rise=0.04, glass_end=0.9, cladding=0.12, tumblehome=0.82,
        tail="vertical",
    ),
    "van": CarModel(
        "van", length=4.9, width=1.9, height=1.98, clearance=0.22, nose_height=0.86, hood_height=1.1,
        cowl=0.11, header=0.25, roof_end=0.9, rear_base=0.97, front_axle=0.16, num_side_windows=1,
        glass_end=0.34, tumblehome=0.88, tail="vertical", tail_height=0.7, roof_arch=0.03, tail_slope=0.06,
    ),
    "minivan": CarModel(
        "minivan", length=4.7, width=1.86, height=1.72, nose_height=0.82, hood_height=1.02, cowl=0.17,
        header=0.36, roof_end=0.88, rear_base=0.96, num_side_windows=3, glass_end=0.93, tumblehome=0.84,
        tail_height=0.78,
    ),
}  # fmt: skip

# How far each measure may lie from the typical one, in the measure's own unit.
VARIATION: dict[str, float] = {
    "length": 0.28, "width": 0.08, "height": 0.08, "clearance": 0.03, "front_axle": 0.02, "rear_axle": 0.02,
    "wheel_radius": 0.03, "nose_height": 0.05, "nose_slope": 0.08, "nose_bow": 0.08, "hood_height": 0.04,
    "belt_rise": 0.05, "tail_drop": 0.02, "tail_slope": 0.06, "cowl": 0.03, "header": 0.03, "roof_end": 0.045,
    "rear_base": 0.02, "roof_arch": 0.03, "roof_drop": 0.05, "tumblehome": 0.06, "crease": 0.14,
    "glass_end": 0.06, "glass_kink": 0.25, "lamp_size": 0.25, "lamp_height": 0.07, "lamp_spread": 0.06,
    "grille_width": 0.16, "grille_height": 0.07, "intake_width": 0.22, "tail_size": 0.25, "tail_height": 0.08,
    "rim_size": 0.09, "cladding": 0.06, "chrome": 0.4,
}  # fmt: skip

# Measures that must keep their order or their range: `varied` never takes them beyond their variation.
BOUNDED = ("cowl", "header", "roof_end", "rear_base", "glass_end", "cladding", "chrome")


def varied(body: str, deviations: Mapping[str, float], details: Mapping[str, Any]) -> CarModel:
    """A car of a body type.

    Args:
        body: one of BODY_TYPES.
        deviations: for measures of VARIATION, how far from the typical value, in units of the variation; those of
            BOUNDED are cut to [-1, 1].
        details: other fields of CarModel by name (shapes of lamps, number of spokes ...).
    """
    if body not in BODY_TYPES:
        raise ValueError(f"body type {body!r} is unknown; allowed: {', '.join(BODY_TYPES)}")
    typical = TYPICAL[body]
    measures: dict[str, Any] = {
        name: getattr(typical, name)
        + (min(max(deviation, -1.0), 1.0) if name in BOUNDED else deviation) * VARIATION[name]
        for name, deviation in deviations.items()
    }
    return replace(typical, **measures, **details)


def deviations_of(body: str, measures: Mapping[str, Any]) -> list[float]:
    """How far a car's measures lie from the typical ones of its body type, in the order and the units of VARIATION.

    Args:
        measures: fields of CarModel by name.
    """
    typical = TYPICAL[body]
    return [(measures[name] - getattr(typical, name)) / unit for name, unit in VARIATION.items()]


def model_distance(one: CarModel, other: CarModel) -> float:
    """Distance of two shapes in [0, 1]: mean over all fields, each in twice its variation and at most 1.

    Fields without a scale (body, shapes, counts) count 0 where they agree and 1 where they differ.
    """
    parts = []
    for field in fields(CarModel):
        a, b = getattr(one, field.name), getattr(other, field.name)
        scale = VARIATION.get(field.name)
        parts.append(float(a != b) if scale is None else min(abs(a - b) / (2 * scale), 1.0))
    return sum(parts) / len(parts)
