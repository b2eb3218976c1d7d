"""The part of a toy car above the belt line: roof, pillars, windows and mirrors."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ssl_aug.world import carmodel
from ssl_aug.world.carmodel import CarModel
from ssl_aug.world.mesh import GLASS, PAINT, Mesh, box_faces, grid_faces, mesh_of, strip_faces


def greenhouse(model: CarModel) -> list[Mesh]:
    """The cabin above the belt line: roof, windscreen, rear window and the two sides, paint and glass."""
    p = np.concatenate([np.linspace(0, 1, 4), np.linspace(1, 2, 6)[1:], np.linspace(2, 3, 5)[1:]])
    core = np.array([0.5 * model.length * (1 - model.cowl - model.rear_base), 0, model.hood_height])
    meshes = []
    t, z = carmodel.greenhouse_profile(model, p)
    belt = carmodel.top_height(model, t) - 0.02
    for side in (-1, 1):
        points = np.stack([carmodel.greenhouse_side(model, side, t, belt + (z - belt) * v) for v in (0, 0.5, 1)], 1)
        meshes.append(mesh_of(grid_faces(points), PAINT, core))
    meshes.append(
        mesh_of(grid_faces(carmodel.greenhouse_top(model, p[:, None], np.linspace(-1, 1, 7)[None])), PAINT, core)
    )

    def patch(q: np.ndarray, u: np.ndarray) -> np.ndarray:
        return carmodel.greenhouse_top(model, q, u)

    panel_van = model.body == "van" and model.num_side_windows == 1
    for first, last, half in ((0.06, 0.93, 0.9), (2.1, 2.75 if panel_van else 2.9, 0.84)):
        points = patch(np.linspace(first, last, 4)[:, None], np.linspace(-half, half, 5)[None])
        meshes.append(mesh_of(grid_faces(points), GLASS, core))
    return meshes


def side_glass(model: CarModel, side: int) -> list[Mesh]:
    """The side windows between their pillars; `side` is -1 (right) or 1 (left)."""
    cowl, rear = model.cowl * model.length, model.rear_base * model.length
    end = cowl + model.glass_end * (rear - cowl)
    inside = np.array([0.5 * model.length * (1 - model.cowl - model.rear_base), 0, model.hood_height])
    edges = np.linspace(cowl + 0.22, end, model.num_side_windows + 1)
    if model.num_side_windows == 2:
        edges[1] += 0.08 * (end - cowl)
    meshes = []
    for first, last in pairwise(edges):
        t = np.linspace(first + 0.02, last - 0.035, 6)
        low = carmodel.top_height(model, t) + 0.03
        high = carmodel.roof_line(model, t) - 0.075
        swept = np.clip((t - (end - 0.45)) / 0.45, 0, 1) * model.glass_kink
        low = low + swept * np.maximum(high - low, 0)
        high = np.maximum(high, low)
        faces = strip_faces(lambda a, b: carmodel.greenhouse_side(model, side, a, b), t, low, high)
        meshes.append(mesh_of(faces, GLASS, inside))
    return meshes


def mirror(model: CarModel, side: int) -> list[Mesh]:
    """The outside mirror of a side, -1 (right) or 1 (left)."""
    t = model.cowl * model.length + 0.32
    y = side * float(carmodel.half_width(model, np.array(t), np.array(1.0)))
    z = float(carmodel.top_height(model, np.array(t))) + 0.08
    low = np.array([model.length / 2 - t - 0.07, min(y, y + side * 0.16), z - 0.06])
    high = np.array([model.length / 2 - t + 0.07, max(y, y + side * 0.16), z + 0.07])
    return [mesh_of(box_faces(low, high), PAINT, (low + high) / 2)]
