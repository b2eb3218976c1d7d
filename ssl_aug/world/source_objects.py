"""Things of the source world that are no cars: a bus, a box truck, and simple objects, as meshes."""

from __future__ import annotations

import numpy as np

from ssl_aug.world import mesh as materials
from ssl_aug.world.carbodies import TYPICAL, VARIATION, varied
from ssl_aug.world.cardetails import car_mesh
from ssl_aug.world.mesh import Mesh, box_faces, grid_faces, joined, mesh_of
from ssl_aug.world.render import PALETTE
from ssl_aug.world.scene import Scene

OBJECT_KINDS = ("bus", "box truck", "box", "ball", "cone", "tree", "house", "tent")

Part = tuple[Mesh, np.ndarray]


def object_parts(kind: str, scene: Scene, rng: np.random.Generator) -> list[Part]:
    """Meshes with palettes of an object in the paint of the scene; its proportions are drawn from `rng`."""
    palette = PALETTE.copy()
    palette[materials.PAINT] = scene.paint_rgb
    if kind in ("bus", "box truck"):
        return [(mesh, palette) for mesh in (_bus(rng) if kind == "bus" else _box_truck(rng))]
    size = rng.uniform(0.8, 1.25, 3)
    turned = {
        "box": lambda: [_box(size)],
        "ball": lambda: [_round(np.linspace(0, np.pi, 9), size[0], ball=True)],
        "cone": lambda: [_round(np.linspace(0, 1, 2), size[0], ball=False)],
        "tree": lambda: _tree(size),
        "house": lambda: _house(size),
        "tent": lambda: [_roof(np.array([1.6, 1.2, 0.0]) * size, 1.4 * size[2], materials.PAINT)],
    }[kind]()
    return [(mesh, palette) for mesh in turned]


def _bus(rng: np.random.Generator) -> list[Mesh]:
    measures = {name: float(rng.uniform(-1, 1)) for name in VARIATION if name not in _BUS}
    return [car_mesh(varied("van", measures, {**_BUS, "length": float(rng.uniform(8, 11))}))]


_BUS: dict[str, float | int] = {
    "length": 9.0, "width": 2.4, "height": 2.9, "wheel_radius": 0.46, "nose_height": 1.2, "hood_height": 1.35,
    "cowl": 0.02, "header": 0.05, "roof_end": 0.975, "rear_base": 0.99, "belt_rise": 0.02, "glass_end": 0.97,
    "num_side_windows": 6, "glass_kink": 0.0, "front_axle": 0.2, "rear_axle": 0.76, "roof_arch": 0.02,
    "roof_drop": 0.02, "nose_slope": 0.05,
}  # fmt: skip


def _box_truck(rng: np.random.Generator) -> list[Mesh]:
    measures = {name: float(rng.uniform(-1, 1)) for name in ("nose_height", "lamp_size", "grille_width", "tail_size")}
    details: dict[str, float | int | str] = {
        "length": 6.2, "width": 2.1, "height": 2.1, "cowl": 0.12, "header": 0.19, "roof_end": 0.30,
        "rear_base": 0.32, "wheel_radius": 0.42, "num_side_windows": 1, "hood_height": 1.25,
        "lamp": str(rng.choice(["square", "round"])),
    }  # fmt: skip
    cab = varied("pickup", measures, details)
    high = float(rng.uniform(2.6, 3.2))
    low_corner, high_corner = np.array([-3.05, -1.08, 1.05]), np.array([0.95, 1.08, high])
    box = mesh_of(box_faces(low_corner, high_corner), materials.PLATE, (low_corner + high_corner) / 2)
    return [car_mesh(cab), box]


def _box(size: np.ndarray) -> Mesh:
    half = np.array([0.8, 0.8, 0.0]) * size
    low, high = -half, half + np.array([0, 0, 1.3 * size[2]])
    return mesh_of(_tiled(box_faces(low, high)), materials.PAINT, (low + high) / 2)


def _tiled(faces: np.ndarray) -> np.ndarray:
    """Each face cut in four, so that light and mirrored sky change across it."""
    a, b, c, d = faces[:, 0], faces[:, 1], faces[:, 2], faces[:, 3]
    ab, bc, cd, da, middle = (a + b) / 2, (b + c) / 2, (c + d) / 2, (d + a) / 2, faces.mean(axis=1)
    cut = [(a, ab, middle, da), (ab, b, bc, middle), (middle, bc, c, cd), (da, middle, cd, d)]
    return np.concatenate([np.stack(piece, axis=1) for piece in cut])


def _round(along: np.ndarray, scale: float, ball: bool, low: float = 0.0, material: int = materials.PAINT) -> Mesh:
    around = np.linspace(0, 2 * np.pi, 15)
    radius = np.sin(along) if ball else 0.75 * (1 - along)
    height = 1 - np.cos(along) if ball else 1.8 * along
    points = np.stack(
        [
            radius[:, None] * np.cos(around),
            radius[:, None] * np.sin(around),
            np.broadcast_to(height[:, None], (len(along), len(around))),
        ],
        axis=-1,
    )
    inside = np.array([0, 0, low + scale * (1.0 if ball else 0.4)])
    return mesh_of(grid_faces(points * scale + [0, 0, low]), material, inside)


def _tree(size: np.ndarray) -> list[Mesh]:
    trunk_low, trunk_high = np.array([-0.13, -0.13, 0.0]), np.array([0.13, 0.13, 1.1])
    trunk = mesh_of(box_faces(trunk_low, trunk_high), materials.CLADDING, (trunk_low + trunk_high) / 2)
    crown = _round(np.linspace(0, np.pi, 8), 0.9 * float(size[0]), ball=True, low=0.9)
    return [joined([trunk, crown])]


def _roof(half: np.ndarray, rise: float, material: int, low: float = 0.0) -> Mesh:
    x, y = float(half[0]), float(half[1])
    eaves = np.array([(-x, -y, low), (x, -y, low), (x, y, low), (-x, y, low)])
    ridge = np.array([(-x, 0, low + rise), (x, 0, low + rise)])
    faces = np.stack(
        [
            np.stack([eaves[0], eaves[1], ridge[1], ridge[0]]),
            np.stack([eaves[2], eaves[3], ridge[0], ridge[1]]),
            np.stack([eaves[0], eaves[3], ridge[0], ridge[0]]),
            np.stack([eaves[1], eaves[2], ridge[1], ridge[1]]),
        ]
    )
    return mesh_of(faces, material, np.array([0, 0, low + 0.3 * rise]))


def _house(size: np.ndarray) -> list[Mesh]:
    half = np.array([2.0, 1.5, 0.0]) * size
    low, high = -half, half + np.array([0, 0, 1.9])
    middle = (low + high) / 2
    walls = mesh_of(box_faces(low, high), materials.PAINT, middle)
    panes = []
    for side in (-1, 1):
        for x in (-0.55, 0.25):
            pane = np.array([(x, side, 0.7), (x + 0.3, side, 0.7), (x + 0.3, side, 1.4), (x, side, 1.4)])
            panes.append(pane * [half[0], half[1], 1])
            panes.append(pane[:, [1, 0, 2]] * [half[0], half[1], 1])
    windows = mesh_of(np.stack(panes), materials.GLASS, middle)
    return [joined([walls, windows, _roof(half * 1.12, 1.2 * float(size[2]), materials.DARK, low=1.9)])]


assert set(_BUS) <= {*VARIATION, "num_side_windows"} and "van" in TYPICAL
