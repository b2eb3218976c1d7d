"""Wheels, wheel arches and the dark underside of a toy car."""

from __future__ import annotations

import numpy as np

from ssl_aug.world.carmodel import CarModel
from ssl_aug.world.mesh import CHROME, DARK, HOLE, RIM, TIRE, Mesh, box_faces, disc_faces, grid_faces, mesh_of


def _axles(model: CarModel) -> tuple[float, float]:
    return model.front_axle * model.length, model.rear_axle * model.length


def underbody(model: CarModel) -> list[Mesh]:
    """The dark floor, and the treads and inner sides of the four wheels."""
    front, rear = (model.length / 2 - t for t in _axles(model))
    low = np.array([rear - 0.5, -0.42 * model.width, 0.6 * model.clearance])
    high = np.array([front + 0.5, 0.42 * model.width, model.clearance + 0.1])
    meshes = [mesh_of(box_faces(low, high), HOLE, (low + high) / 2)]
    angle = np.linspace(0, 2 * np.pi, 15)
    for x in (front, rear):
        for side in (-1, 1):
            outer = side * 0.475 * model.width
            ring = np.stack([x + model.wheel_radius * np.cos(angle), model.wheel_radius * (1 + np.sin(angle))], -1)
            y = np.array([outer - side * 0.22, outer])
            tread = np.stack([np.insert(ring, 1, value, axis=1) for value in y])
            middle = np.array([x, y.mean(), model.wheel_radius])
            meshes.append(mesh_of(grid_faces(tread), TIRE, middle))
            meshes.append(mesh_of(disc_faces(x, y[0], model.wheel_radius, model.wheel_radius), TIRE, middle, True))
    return meshes


def wheels(model: CarModel, side: int) -> list[Mesh]:
    meshes, y, radius = [], side * 0.485 * model.width, model.wheel_radius
    for t in _axles(model):
        x = model.length / 2 - t
        inside = np.array([x, 0.0, radius])
        rim = radius * model.rim_size
        meshes.append(mesh_of(_arch(x, y, radius * 1.17, model.clearance), HOLE, inside))
        meshes.append(mesh_of(disc_faces(x, y, radius, radius), TIRE, inside))
        meshes.append(mesh_of(disc_faces(x, y, radius, rim), RIM, inside))
        if model.num_spokes:
            angle = 2 * np.pi * (np.arange(model.num_spokes) + 0.25) / model.num_spokes
            half = 0.55 * np.pi / model.num_spokes
            polar = [(0.25, -0.5 * half), (0.88, -half), (0.88, half), (0.25, 0.5 * half)]
            gaps = np.stack(
                [
                    np.stack(
                        [
                            x + r * rim * np.cos(angle + d),
                            np.full_like(angle, y),
                            radius + r * rim * np.sin(angle + d),
                        ],
                        -1,
                    )
                    for r, d in polar
                ],
                axis=1,
            )
            meshes.append(mesh_of(gaps, DARK, inside))
        else:
            meshes.append(mesh_of(disc_faces(x, y, radius, 0.35 * rim), CHROME, inside))
    return meshes


def _arch(x: float, y: float, radius: float, clearance: float) -> np.ndarray:
    angle = np.linspace(0, np.pi, 9)
    center = radius / 1.17
    ring = np.stack([x + radius * np.cos(angle), np.full(9, y)], axis=-1)
    upper = np.concatenate([ring, np.maximum(center + radius * np.sin(angle), clearance)[:, None]], axis=1)
    lower = np.concatenate([ring, np.full((9, 1), clearance)], axis=1)
    return grid_faces(np.stack([lower, upper]))
