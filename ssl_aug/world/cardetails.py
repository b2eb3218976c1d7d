"""Meshes of toy cars: the shell from the patches of `carmodel.py`, and everything that is painted on it.

A mesh is a list of quadrilaterals in drawing order. Faces that look away from the camera are left out, and
what remains of a car is convex layer by layer (wheels, lower body, its details, greenhouse, its details), so
that drawing in this order is right without a depth buffer.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ssl_aug.world import carmodel
from ssl_aug.world.cargreenhouse import greenhouse, mirror, side_glass
from ssl_aug.world.carmodel import CarModel
from ssl_aug.world.carwheels import underbody, wheels
from ssl_aug.world.mesh import (
    AMBER,
    CHROME,
    CLADDING,
    DARK,
    HOLE,
    LAMP,
    PAINT,
    PLATE,
    TAIL_LAMP,
    Mesh,
    Patch,
    ellipse_faces,
    grid_faces,
    joined,
    mesh_of,
    strip_faces,
)  # fmt: skip


@lru_cache(maxsize=1024)
def car_mesh(model: CarModel) -> Mesh:
    """The whole car, standing on the plane z = 0 with its middle at the origin."""
    meshes = [*underbody(model), *_lower_shell(model), *_nose_details(model), *_tail_details(model)]
    for side in (-1, 1):
        meshes += [*_flank_details(model, side), *wheels(model, side)]
    meshes += [*greenhouse(model)]
    for side in (-1, 1):
        meshes += [*side_glass(model, side), *mirror(model, side)]
    return joined(meshes)


def _core(model: CarModel) -> np.ndarray:
    return np.array([0.0, 0.0, 0.5 * (model.clearance + model.hood_height)])


def _lower_shell(model: CarModel) -> list[Mesh]:
    core, across, up = _core(model), np.linspace(-1, 1, 9), np.array([0, 0.12, 0.3, model.crease, 0.8, 1.0])
    along = np.linspace(0, model.length, 15)
    meshes = [
        mesh_of(grid_faces(carmodel.nose(model, across[:, None], up[None])), PAINT, core),
        mesh_of(grid_faces(carmodel.tail(model, across[:, None], up[None])), PAINT, core),
        mesh_of(grid_faces(carmodel.top(model, along[:, None], np.linspace(-1, 1, 7)[None])), PAINT, core),
    ]
    for side in (-1, 1):
        faces = grid_faces(carmodel.flank(model, side, along[:, None], up[None]))
        meshes.append(mesh_of(faces, PAINT, faces.mean(axis=1) * [1, 0, 1]))
    if model.body == "pickup":
        edge = np.array([model.rear_base * model.length + 0.1, model.length - model.tail_slope - 0.22])
        bed = strip_faces(lambda a, b: carmodel.top(model, a, b), edge, np.full(2, -0.82), np.full(2, 0.82))
        meshes.append(mesh_of(bed, HOLE, core))
    return meshes


def _nose_details(model: CarModel) -> list[Mesh]:
    core = _core(model)

    def patch(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return carmodel.nose(model, u, v)

    def bar(half: float, low: float, high: float, narrow: float = 0.0) -> np.ndarray:
        u = np.linspace(-half, half, 7)
        shrink = np.clip(np.abs(u) / half - 0.6, 0, 1) * narrow * (high - low)
        return strip_faces(patch, u, np.full(7, low) + shrink, np.full(7, high) - 0.2 * shrink)

    w, h, v = model.grille_width, model.grille_height / 2, model.lamp_height - 0.04
    meshes = [mesh_of(bar(model.intake_width, 0.07, 0.21, 0.5), DARK, core)]
    meshes.append(mesh_of(bar(0.97, 0.0, max(model.cladding * 0.8, 0.03)), CLADDING, core))
    frame = mesh_of(np.empty((0, 4, 3)), CHROME, core)
    if model.grille == "bar":
        frame, hole = mesh_of(bar(w + 0.04, v - h - 0.03, v + h + 0.03), CHROME, core), [bar(w, v - h, v + h)]
    elif model.grille == "oval":
        frame = mesh_of(ellipse_faces(patch, 0, v, w + 0.05, h + 0.05), CHROME, core)
        hole = [ellipse_faces(patch, 0, v, w, h)]
    elif model.grille == "trapezoid":
        frame = mesh_of(bar(w + 0.05, v - 1.7 * h - 0.03, v + h + 0.03, 1.0), CHROME, core)
        hole = [bar(w, v - 1.7 * h, v + h, 1.0)]
    elif model.grille == "split":
        sides = [(0.05 + w / 2), -(0.05 + w / 2)]
        frame = joined([mesh_of(ellipse_faces(patch, u, v, w / 2 + 0.04, h + 0.04), CHROME, core) for u in sides])
        hole = [ellipse_faces(patch, u, v, w / 2, h) for u in sides]
    elif model.grille == "slats":
        frame = mesh_of(bar(w, v - h, v + h), CHROME, core)
        hole = [bar(w, v - h + 2 * h * i / 3, v - h + 2 * h * (i + 0.55) / 3) for i in range(3)]
    else:
        hole = [bar(w, v - 0.03, v)]
    meshes += [frame, *(mesh_of(faces, DARK, core) for faces in hole)]
    meshes.append(mesh_of(strip_faces(patch, np.array([-0.27, 0.27]), np.full(2, 0.26), np.full(2, 0.38)), PLATE, core))
    for side in (-1, 1):
        meshes += _head_lamp(model, patch, side)
    return meshes


def _head_lamp(model: CarModel, patch: Patch, side: int) -> list[Mesh]:
    core, u, v, s = _core(model), side * model.lamp_spread, model.lamp_height, model.lamp_size
    rim = 0.03
    if model.lamp == "round":
        return [
            mesh_of(ellipse_faces(patch, u, v, 0.15 * s + rim, 0.17 * s + rim), CHROME, core),
            mesh_of(ellipse_faces(patch, u, v, 0.15 * s, 0.17 * s), LAMP, core),
        ]
    if model.lamp == "twin":
        spots = (u - side * 0.15 * s, u + side * 0.09 * s)
        back = mesh_of(ellipse_faces(patch, u - side * 0.03 * s, v, 0.27 * s, 0.14 * s), DARK, core)
        return [
            back,
            *(mesh_of(ellipse_faces(patch, spot, v, 0.10 * s, 0.11 * s), LAMP, core) for spot in spots),
        ]
    half_u, half_v, sweep = {
        "wide": (0.21, 0.09, 0.10),
        "slit": (0.24, 0.045, 0.08),
        "square": (0.15, 0.12, 0.0),
        "tall": (0.09, 0.20, 0.04),
    }[model.lamp]
    across = np.linspace(-1, 1, 5)
    a = np.clip(u + side * half_u * s * across, -0.99, 0.99)
    middle = v + sweep * s * across
    narrow = 1 - 0.4 * np.clip(-across, 0, 1) * (sweep > 0)
    low, high = middle - half_v * s * narrow, np.minimum(middle + half_v * s * narrow, 0.985)
    outer = mesh_of(strip_faces(patch, a, low - rim, np.minimum(high + rim, 0.995)), DARK, core)
    lens = mesh_of(strip_faces(patch, a[:-1], low[:-1], high[:-1]), LAMP, core)
    corner = mesh_of(strip_faces(patch, a[-2:], low[-2:], high[-2:]), AMBER if sweep else LAMP, core)
    return [outer, lens, corner]


def _tail_details(model: CarModel) -> list[Mesh]:
    core, s, v = _core(model), model.tail_size, model.tail_height

    def patch(u: np.ndarray, w: np.ndarray) -> np.ndarray:
        return carmodel.tail(model, u, w)

    def area(u0: float, u1: float, v0: float, v1: float) -> np.ndarray:
        u = np.linspace(max(u0, -0.99), min(u1, 0.99), 5)
        return strip_faces(patch, u, np.full(5, v0), np.full(5, min(v1, 0.98)))

    meshes = [
        mesh_of(area(-0.9, 0.9, 0.0, 0.1 + model.cladding), CLADDING, core),
        mesh_of(area(-0.27, 0.27, 0.4, 0.54), PLATE, core),
        mesh_of(area(-0.95, 0.95, 0.26, 0.275), DARK, core),
    ]
    if model.tail == "bar":
        meshes.append(mesh_of(area(-0.95, 0.95, v - 0.06 * s, v + 0.06 * s), TAIL_LAMP, core))
    for side in (-1, 1):

        def outer(first: float, v0: float, v1: float, side: int = side) -> np.ndarray:
            return area(first, 1.0, v0, v1) if side > 0 else area(-1.0, -first, v0, v1)

        regions: list[np.ndarray]
        if model.tail == "vertical":
            regions = [outer((1 - 0.2 * s), v - 0.28 * s, v + 0.25 * s)]
        elif model.tail == "wide":
            regions = [outer((1 - 0.45 * s), v - 0.1 * s, v + 0.1 * s)]
        elif model.tail == "round":
            regions = [ellipse_faces(patch, side * spot, v, 0.11 * s, 0.12 * s) for spot in (0.83, 0.83 - 0.24 * s)]
        elif model.tail == "corner":
            regions = [
                outer((1 - 0.16 * s), v - 0.3 * s, v + 0.14 * s),
                outer((1 - 0.48 * s), v + 0.02, v + 0.14 * s),
            ]
        else:
            regions = [outer(0.8, v - 0.12 * s, v + 0.1 * s)]
        meshes += [mesh_of(_spread(faces, 0.025), DARK, core) for faces in regions]
        meshes += [mesh_of(faces, TAIL_LAMP, core) for faces in regions]
    return meshes


def _spread(faces: np.ndarray, margin: float) -> np.ndarray:
    """Faces of a tail lamp grown by `margin` meters across and up: its dark frame."""
    low, high = faces.min(axis=(0, 1)), faces.max(axis=(0, 1))
    middle, half = (low + high) / 2, np.maximum((high - low) / 2, 1e-3)
    return middle + (faces - middle) * (1 + margin * np.array([0, 1, 1]) / half)


def _flank_details(model: CarModel, side: int) -> list[Mesh]:
    def patch(t: np.ndarray, v: np.ndarray) -> np.ndarray:
        return carmodel.flank(model, side, t, v)

    along = np.linspace(0, model.length, 9)
    regions = [(strip_faces(patch, along, np.zeros(9), np.full(9, 0.03 + model.cladding)), CLADDING)]
    first, last = model.cowl * model.length + 0.12, model.rear_base * model.length * 0.86
    doors = np.linspace(first, last, 2 + (model.num_side_windows > 1)) if model.body != "pickup" else [first, last]
    for t in doors:
        edge = np.array([t - 0.011, t + 0.011])
        regions.append((strip_faces(patch, edge, np.full(2, 0.1), np.ones(2)), DARK))
    for t in doors[1:]:
        edge = np.array([t - 0.26, t - 0.08])
        regions.append((strip_faces(patch, edge, np.full(2, 0.76), np.full(2, 0.82)), CHROME))
    inside = np.array([0.0, 0.0, 0.5])
    return [mesh_of(faces, material, faces.mean(axis=1) * [1, 0, 0] + inside) for faces, material in regions]
