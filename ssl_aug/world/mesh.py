"""Meshes of the renderer: quadrilaterals in drawing order, and how surfaces and outlines become them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# Materials: indices into a palette. The first is the paint, which belongs to the scene.
PAINT, GLASS, DARK, TIRE, RIM, CHROME, LAMP, TAIL_LAMP, AMBER, PLATE, CLADDING, HOLE = range(12)

Patch = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Mesh:
    """Quadrilaterals in drawing order."""

    corners: np.ndarray  # (n, 4, 3) float, meters
    normals: np.ndarray  # (n, 3) float, unit length, outwards
    materials: np.ndarray  # (n,) int
    two_sided: np.ndarray  # (n,) bool: drawn whichever way it looks


def mesh_of(faces: np.ndarray, material: int, inside: np.ndarray, two_sided: bool = False) -> Mesh:
    """Mesh of faces (n, 4, 3) whose normals point away from the point `inside` (3,) or points (n, 3)."""
    normals = np.cross(faces[:, 2] - faces[:, 0], faces[:, 3] - faces[:, 1])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    outward = ((faces.mean(axis=1) - inside) * normals).sum(axis=1, keepdims=True)
    normals = np.where(outward < 0, -normals, normals)
    count = len(faces)
    return Mesh(faces, normals, np.full(count, material), np.full(count, two_sided))


def joined(meshes: list[Mesh]) -> Mesh:
    """One mesh that draws the given ones after each other."""
    return Mesh(
        np.concatenate([mesh.corners for mesh in meshes]).astype(np.float32),
        np.concatenate([mesh.normals for mesh in meshes]).astype(np.float32),
        np.concatenate([mesh.materials for mesh in meshes]),
        np.concatenate([mesh.two_sided for mesh in meshes]),
    )


def grid_faces(points: np.ndarray) -> np.ndarray:
    """Faces (r * c, 4, 3) between the neighbors of a grid of points (r + 1, c + 1, 3)."""
    faces = np.stack([points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]], axis=2)
    return faces.reshape(-1, 4, 3)


def strip_faces(patch: Patch, a: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Faces of the region of a patch between the curves (a, low) and (a, high)."""
    return grid_faces(np.stack([patch(a, low), patch(a, high)], axis=0))


def ellipse_faces(patch: Patch, a: float, b: float, radius_a: float, radius_b: float, steps: int = 7) -> np.ndarray:
    """Faces of an ellipse around (a, b) in the coordinates of a patch."""
    angle = np.linspace(0, np.pi, steps)
    half = radius_b * np.sin(angle)
    return strip_faces(patch, a - radius_a * np.cos(angle), b - half, b + half)


def box_faces(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The six faces of an upright box between two opposite corners (3,), (3,): -x, x, -y, y, -z, z."""
    x, y, z = np.stack([low, high], axis=1)
    corner = np.array([[[[i, j, k] for k in z] for j in y] for i in x])
    return np.stack(
        [
            np.stack([s[0, 0], s[0, 1], s[1, 1], s[1, 0]])
            for s in (corner[0], corner[1], corner[:, 0], corner[:, 1], corner[:, :, 0], corner[:, :, 1])
        ]
    )


def disc_faces(x: float, y: float, z: float, radius: float, steps: int = 9) -> np.ndarray:
    """A disc of quads around (x, y, z), radius in meters, in the plane of the car's side."""
    angle = np.linspace(0, np.pi, steps)
    ring = np.stack([x + radius * np.cos(angle), np.full(steps, y)], axis=-1)
    height = radius * np.sin(angle)
    upper, lower = (np.concatenate([ring, (z + sign * height)[:, None]], axis=1) for sign in (1, -1))
    return grid_faces(np.stack([lower, upper]))
