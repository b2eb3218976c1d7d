"""What stands around a toy car: sky, ground, road lines, houses, trees, hills, a wall, and what hides it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image, ImageDraw

from ssl_aug.world.scene import GROUNDS, Scene


class Projector(Protocol):
    """The part of a camera that surroundings need."""

    @property
    def position(self) -> np.ndarray: ...
    @property
    def axes(self) -> np.ndarray: ...
    def project(self, points: np.ndarray) -> np.ndarray: ...


def _fill(color: np.ndarray) -> tuple[int, int, int]:
    red, green, blue = np.clip(color, 0, 255).astype(int).tolist()
    return red, green, blue


def sky(size: int, low: np.ndarray, high: np.ndarray, elevation_deg: float) -> Image.Image:
    """A square picture of `size` pixels that fades from the color overhead to the color at the horizon."""
    share = np.linspace(0.9 - elevation_deg / 40, 0, size)[:, None].clip(0, 1)
    column = (low + (high - low) * share)[:, None]
    return Image.fromarray(np.broadcast_to(column, (size, size, 3)).astype(np.uint8))


def _ahead(camera: Projector) -> tuple[np.ndarray, np.ndarray]:
    forward = camera.axes[2] * [1, 1, 0]
    forward = forward / np.linalg.norm(forward)
    return forward, np.array([forward[1], -forward[0], 0.0])


def draw_ground(
    draw: ImageDraw.ImageDraw,
    scene: Scene,
    camera: Projector,
    shine: np.ndarray,
    haze: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Bands of ground that pale towards the horizon, spots on it, and road lines where the scene has them."""
    forward, right = _ahead(camera)
    color = np.array(GROUNDS[scene.ground]) * shine * rng.uniform(0.85, 1.1)
    near = camera.position * [1, 1, 0] + forward * 0.8
    for distance, pale in ((400, 0.35), (45, 0.2), (22, 0.1), (12, 0.04), (7, 0.0)):
        far = camera.position * [1, 1, 0] + forward * distance
        outline = np.stack([far - right * 900, far + right * 900, near + right * 900, near - right * 900])
        draw.polygon(camera.project(outline).ravel().tolist(), fill=_fill(color * (1 - pale) + haze * pale))
    for _ in range(5):
        center = rng.uniform(-6, 6, 2)
        angle = np.linspace(0, 2 * np.pi, 9)[:-1]
        spot = center[:, None] + np.stack([np.cos(angle), np.sin(angle)]) * rng.uniform(0.4, 2.0, (2, 1))
        points = np.concatenate([spot, np.zeros((1, 8))]).T
        draw.polygon(camera.project(points).ravel().tolist(), fill=_fill(color * rng.uniform(0.88, 1.1)))
    if scene.road_lines:
        line = np.array([236, 232, 214]) * shine
        for y in (-1.9, 2.1):
            for x in (-14, -9, -4, 1, 6, 11):
                points = np.array([(x, y, 0), (x + 3.2, y, 0), (x + 3.2, y + 0.18, 0), (x, y + 0.18, 0)])
                draw.polygon(camera.project(points).ravel().tolist(), fill=_fill(line))


@dataclass(frozen=True, eq=False)
class _Stage:
    """Where the things behind the car are drawn: distances ahead of the middle, offsets to the right."""

    draw: ImageDraw.ImageDraw
    camera: Projector
    forward: np.ndarray
    right: np.ndarray
    shine: np.ndarray
    haze: np.ndarray

    def upright(self, distance: float, left: float, width: float, low: float, high: float, color: np.ndarray) -> None:
        """A standing rectangle that faces the camera, in meters."""
        base = self.forward * distance + self.right * left
        ends = np.stack([base, base + self.right * width])
        outline = np.concatenate([ends + np.array([0, 0, low]), ends[::-1] + np.array([0, 0, high])])
        self.draw.polygon(self.camera.project(outline).ravel().tolist(), fill=_fill(color))

    def blob(self, center: np.ndarray, radius: float, color: np.ndarray) -> None:
        """A round patch of leaves."""
        middle = self.camera.project(center)
        edge = self.camera.project(center + radius * self.camera.axes[0])
        r = float(np.hypot(*(edge - middle)))
        x, y = middle.tolist()
        self.draw.ellipse((x - r, y - 0.85 * r, x + r, y + 0.85 * r), fill=_fill(color))


def draw_backdrop(
    draw: ImageDraw.ImageDraw,
    scene: Scene,
    camera: Projector,
    shine: np.ndarray,
    haze: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """What stands behind the car; nothing under the open sky."""
    if scene.backdrop == "sky":
        return
    kinds = {"hills": _hills, "wall": _wall, "buildings": _buildings, "trees": _trees}
    kinds[scene.backdrop](_Stage(draw, camera, *_ahead(camera), shine, haze), rng)


def _hills(stage: _Stage, rng: np.random.Generator) -> None:
    for distance, tone in ((160, 0.55), (90, 0.3)):
        x = np.linspace(-140, 140, 15)
        wave = np.sin(x / rng.uniform(14, 30) + rng.uniform(0, 6))
        height = np.maximum(4, distance * 0.09 * (1 + wave))
        ridge = stage.forward * distance + x[:, None] * stage.right + height[:, None] * [0, 0, 1]
        foot = stage.forward * distance + x[::-1, None] * stage.right
        color = np.array([70, 104, 66]) * stage.shine * (1 - tone) + stage.haze * tone
        outline = stage.camera.project(np.concatenate([ridge, foot]))
        stage.draw.polygon(outline.ravel().tolist(), fill=_fill(color))


def _wall(stage: _Stage, rng: np.random.Generator) -> None:
    distance, height = float(rng.uniform(4, 9)), float(rng.uniform(1.2, 3.2))
    tones = [(164, 92, 72), (186, 180, 168), (120, 128, 132), (206, 190, 150)]
    color = rng.choice(tones) * stage.shine
    stage.upright(distance, -60, 120, 0, height, color)
    for left in np.arange(-24, 24, rng.uniform(1.2, 2.6)).tolist():
        stage.upright(distance, left, 0.12, 0, height, color * 0.78)
    stage.upright(distance, -60, 120, height - 0.15, height, color * 1.15)


def _buildings(stage: _Stage, rng: np.random.Generator) -> None:
    left = -32.0
    while left < 30:
        distance, width = float(rng.uniform(9, 26)), float(rng.uniform(4, 11))
        height = float(rng.uniform(3, 13))
        color = rng.uniform(70, 215) * rng.uniform(0.85, 1.12, 3) * stage.shine
        stage.upright(distance, left, width, 0, height, color)
        columns, rows = int(width / 2.2), int(height / 2.4)
        for column in range(columns):
            for row in range(min(rows, 3)):
                x, z = left + (column + 0.28) * width / columns, (row + 0.35) * height / rows
                stage.upright(distance - 0.05, x, 0.45 * width / columns, z, z + 1.1, color * 0.5 + 10)
        left += width + float(rng.uniform(-1.5, 2.5))


def _trees(stage: _Stage, rng: np.random.Generator) -> None:
    for _ in range(9):
        distance, left = float(rng.uniform(6, 26)), float(rng.uniform(-20, 20))
        height = float(rng.uniform(2.5, 6.5))
        tone = np.array([58, 104, 46]) * rng.uniform(0.7, 1.25) * rng.uniform(0.85, 1.15, 3) * stage.shine
        stage.upright(distance, left, 0.35, 0, height * 0.5, np.array([84, 62, 44]) * stage.shine)
        for _ in range(3):
            radius = float(rng.uniform(0.32, 0.5)) * height * 0.6
            spot = stage.forward * distance + stage.right * (left + 0.15 + rng.uniform(-0.7, 0.7))
            spot = spot + np.array([0, 0, height * rng.uniform(0.6, 0.8)])
            stage.blob(spot, radius, tone * rng.uniform(0.85, 1.15))


def draw_occluder(
    draw: ImageDraw.ImageDraw, scene: Scene, size: int, shine: np.ndarray, rng: np.random.Generator
) -> None:
    """A pole or a bush before the car; nothing where the scene has none."""
    x = size * (0.5 + 0.5 * scene.occluder_place)
    if scene.occluder == "pole":
        half = size * rng.uniform(0.012, 0.03)
        color = rng.uniform(40, 190) * shine
        lean = size * rng.uniform(-0.02, 0.02)
        draw.polygon([x - half, 0, x + half, 0, x + half + lean, size, x - half + lean, size], fill=_fill(color))
        draw.polygon([x, 0, x + half, 0, x + half + lean, size, x + lean, size], fill=_fill(color * 0.75))
    elif scene.occluder == "bush":
        tone = np.array([52, 96, 44]) * rng.uniform(0.7, 1.3) * shine
        for _ in range(9):
            cx, cy = x + size * rng.uniform(-0.16, 0.16), size * rng.uniform(0.84, 1.03)
            r = size * rng.uniform(0.05, 0.1)
            draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=_fill(tone * rng.uniform(0.75, 1.2)))
