"""The renderer of the embedded world: meshes of quadrilaterals and a scene become a small picture.

Pure NumPy for geometry and light, Pillow for filling polygons, three times supersampled. Light is Lambert
plus a mirrored sky whose weight rises at grazing angles (Schlick's approximation), which is what makes paint
and glass legible at 64 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from ssl_aug.world import backdrop
from ssl_aug.world import mesh as materials
from ssl_aug.world.cardetails import car_mesh
from ssl_aug.world.carmodel import CarModel
from ssl_aug.world.mesh import Mesh
from ssl_aug.world.scene import Scene

SUPERSAMPLING = 3

# Colors of the materials of `mesh.py` (the first is replaced by the scene's paint), and how they answer to
# light: gloss is the weight of the mirrored sky seen straight on, glow the share of light they give
# themselves.
PALETTE = np.array(
    [
        (0, 0, 0), (26, 32, 40), (24, 24, 27), (30, 30, 32), (168, 172, 178), (205, 208, 214),
        (250, 248, 232), (232, 20, 26), (248, 150, 30), (236, 236, 226), (58, 60, 63), (14, 14, 15),
    ],
    dtype=np.float32,
)  # fmt: skip
GLOSS = np.array([0.10, 0.22, 0.02, 0.0, 0.12, 0.2, 0.05, 0.04, 0.04, 0.0, 0.02, 0.0], dtype=np.float32)
GLOW = np.array([0, 0, 0, 0, 0, 0, 0.6, 0.45, 0.3, 0.3, 0, 0], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera; `project` gives pixels of the supersampled picture, x to the right and y down."""

    position: np.ndarray  # (3,) meters
    axes: np.ndarray  # (3, 3): rows right, up, forward
    focal: float  # pixels
    center: tuple[float, float]  # pixel of the optical axis

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of points (..., 3); points behind the camera are put far outside, not mirrored."""
        seen = (points - self.position) @ self.axes.T
        depth = np.maximum(seen[..., 2:], 0.3)
        return np.array(self.center) + seen[..., :2] * np.array([self.focal, -self.focal]) / depth


@dataclass(frozen=True, eq=False)
class Light:
    """Sun and sky; colors are factors around 1."""

    sun_direction: np.ndarray  # (3,) unit, towards the sun
    sun: np.ndarray  # (3,)
    ambient: np.ndarray  # (3,)
    sky_low: np.ndarray  # (3,) 0..255, at the horizon
    sky_high: np.ndarray  # (3,) 0..255, overhead


def camera_of(scene: Scene, framed: np.ndarray, size_px: int) -> Camera:
    """The camera of a scene, framed so that the points (n, 3) take `scene.fill` of a picture of `size_px`."""
    azimuth, elevation, roll = np.radians([scene.azimuth_deg, scene.elevation_deg, scene.roll_deg])
    towards = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    position = np.array([0, 0, 0.55]) + towards * (scene.distance * 4.5 + 1.5)
    forward = -towards
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    axes = np.stack([np.cos(roll) * right + np.sin(roll) * up, np.cos(roll) * up - np.sin(roll) * right, forward])
    unit = Camera(position, axes, 1.0, (0.0, 0.0)).project(framed)
    low, high = unit.min(axis=0), unit.max(axis=0)
    focal = scene.fill * size_px / float(max(high - low))
    middle = size_px * (0.5 + np.array(scene.shift)) - focal * (low + high) / 2
    return Camera(position, axes, focal, (float(middle[0]), float(middle[1])))


def light_of(scene: Scene) -> Light:
    """Sun and sky of a scene."""
    azimuth, elevation = np.radians([scene.sun_azimuth_deg, scene.sun_elevation_deg])
    direction = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    sun, ambient, low, high = {
        "day": ((0.72, 0.70, 0.64), (0.52, 0.54, 0.58), (196, 216, 236), (92, 146, 214)),
        "overcast": ((0.18, 0.18, 0.18), (0.78, 0.79, 0.81), (206, 209, 213), (160, 166, 174)),
        "dusk": ((0.62, 0.44, 0.28), (0.46, 0.43, 0.50), (244, 172, 112), (84, 82, 134)),
    }[scene.time]
    strength = scene.sun_strength
    return Light(
        direction,
        strength * np.array(sun),
        strength * np.array(ambient),
        np.array(low, float),
        np.array(high, float),
    )


def shade(mesh: Mesh, palette: np.ndarray, light: Light, camera: Camera, centers: np.ndarray) -> np.ndarray:
    """Colors (n, 3), 0..255, of the faces of a mesh."""
    to_camera = camera.position - centers
    to_camera = to_camera / np.linalg.norm(to_camera, axis=1, keepdims=True)
    facing = (mesh.normals * to_camera).sum(axis=1, keepdims=True)
    normals = np.where(mesh.two_sided[:, None] & (facing < 0), -mesh.normals, mesh.normals)
    facing = np.abs(facing)
    glow = GLOW[mesh.materials][:, None]
    lambert = np.clip(normals @ light.sun_direction, 0, 1)[:, None] * light.sun
    shine = lambert + light.ambient * (0.8 + 0.3 * normals[:, 2:])
    color = palette[mesh.materials] * ((1 - glow) * shine + glow)
    mirrored = 2 * facing * normals - to_camera
    height = np.clip(mirrored[:, 2:] * 2.2 + 0.25, 0, 1)
    sky = light.sky_low + (light.sky_high - light.sky_low) * np.clip(mirrored[:, 2:], 0, 1)
    seen = height * sky * light.ambient.mean() * 1.6 + (1 - height) * 50
    gloss = GLOSS[mesh.materials][:, None]
    fresnel = gloss + (1 - gloss) * (1 - facing) ** 5 * np.minimum(6 * gloss, 0.7)
    spark = np.clip(mirrored @ light.sun_direction, 0, 1)[:, None] ** 24 * light.sun * 900 * gloss
    return np.clip(color * (1 - fresnel) + seen * fresnel + spark, 0, 255)


def draw_mesh(draw: ImageDraw.ImageDraw, mesh: Mesh, palette: np.ndarray, light: Light, camera: Camera) -> None:
    """Draws the faces of a mesh that look at the camera, in the mesh's order."""
    centers = mesh.corners.mean(axis=1)
    facing = (mesh.normals * (camera.position - centers)).sum(axis=1)
    seen = (facing > 0) | mesh.two_sided
    visible = Mesh(mesh.corners[seen], mesh.normals[seen], mesh.materials[seen], mesh.two_sided[seen])
    colors = shade(visible, palette, light, camera, centers[seen]).astype(int).tolist()
    outlines = camera.project(visible.corners).reshape(len(colors), 8).tolist()
    for outline, color in zip(outlines, colors, strict=True):
        draw.polygon(outline, fill=tuple(color))


def _ground_shadow(canvas: Image.Image, mesh: Mesh, camera: Camera, light: Light, strength: float) -> None:
    """Darkens the ground below and beside the mesh: contact shadow and cast shadow, softened."""
    points = mesh.corners.reshape(-1, 3)
    low, high = points.min(axis=0), points.max(axis=0)
    corners = np.array([(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])]) * 0.97
    offset = light.sun_direction[:2] / max(light.sun_direction[2], 0.25) * 0.75 * high[2]
    small = canvas.width // SUPERSAMPLING
    mask = Image.new("L", (small, small), 0)
    draw = ImageDraw.Draw(mask)
    if strength > 0.3:  # cast shadow: the footprint swept along the ground, as overlapping copies
        for share in (0.25, 0.5, 0.75, 1.0):
            _fill_ground(draw, camera, corners * (1 - 0.2 * share) - offset * share, int(110 * strength))
    _fill_ground(draw, camera, corners, 175)
    mask = mask.filter(ImageFilter.GaussianBlur(small / 55)).resize(canvas.size, Image.Resampling.BILINEAR)
    canvas.paste((12, 12, 18), (0, 0), mask)


def _fill_ground(draw: ImageDraw.ImageDraw, camera: Camera, corners: np.ndarray, value: int) -> None:
    outline = camera.project(np.concatenate([corners, np.zeros((len(corners), 1))], axis=1)) / SUPERSAMPLING
    draw.polygon(outline.ravel().tolist(), fill=value)


def render_meshes(parts: Sequence[tuple[Mesh, np.ndarray]], scene: Scene, size_px: int = 64) -> np.ndarray:
    """Picture (size_px, size_px, 3) uint8 of meshes with their palettes (m, 3), the farthest drawn first."""
    size = size_px * SUPERSAMPLING
    framed = np.concatenate([mesh.corners.reshape(-1, 3) for mesh, _ in parts])
    camera, light = camera_of(scene, framed, size), light_of(scene)
    rng = np.random.default_rng(scene.seed)
    canvas = backdrop.sky(size, light.sky_low, light.sky_high, scene.elevation_deg)
    draw = ImageDraw.Draw(canvas)
    shine = light.ambient + 0.6 * light.sun * light.sun_direction[2]
    backdrop.draw_ground(draw, scene, camera, shine, light.sky_low, rng)
    backdrop.draw_backdrop(draw, scene, camera, shine, light.sky_low, rng)
    sunny = float(light.sun.mean() / 0.6)
    for mesh, _ in parts:
        _ground_shadow(canvas, mesh, camera, light, sunny)
    distance = [-float(np.linalg.norm(mesh.corners.mean(axis=(0, 1)) - camera.position)) for mesh, _ in parts]
    for index in np.argsort(distance, kind="stable"):
        mesh, palette = parts[index]
        draw_mesh(draw, mesh, palette, light, camera)
    if scene.occluder == "car":
        _draw_other_car(draw, scene, camera, light, rng)
    else:
        backdrop.draw_occluder(draw, scene, size, shine, rng)
    clean = np.asarray(canvas.resize((size_px, size_px), Image.Resampling.LANCZOS), dtype=np.float32)
    pixels = clean + rng.normal(0, scene.noise, clean.shape)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def _draw_other_car(
    draw: ImageDraw.ImageDraw, scene: Scene, camera: Camera, light: Light, rng: np.random.Generator
) -> None:
    """A plain car that stands nearer to the camera and reaches into the picture from the left or right."""
    mesh = car_mesh(CarModel())
    side = 1.0 if scene.occluder_place > 0 else -1.0
    forward = camera.axes[2] * [1, 1, 0]
    forward /= np.linalg.norm(forward)
    right = np.array([forward[1], -forward[0], 0])
    reach = draw.im.size[0] / camera.focal * 0.5
    near = 0.45 * float(np.linalg.norm(camera.position[:2]))
    depth = float(np.linalg.norm(camera.position)) - near
    place = -near * forward + right * side * (reach * depth + 1.9 - 0.5 * abs(scene.occluder_place))
    moved = Mesh((mesh.corners + place).astype(np.float32), mesh.normals, mesh.materials, mesh.two_sided)
    palette = PALETTE.copy()
    palette[materials.PAINT] = rng.uniform(30, 220, 3)
    draw_mesh(draw, moved, palette, light, camera)


def render_car(model: CarModel, scene: Scene, size_px: int = 64) -> np.ndarray:
    """Picture (size_px, size_px, 3) uint8 of one car in one scene; the same arguments give the same bytes."""
    palette = PALETTE.copy()
    palette[materials.PAINT] = scene.paint_rgb
    palette[materials.RIM] = 70 + 130 * model.chrome
    palette[materials.CHROME] = 50 + 165 * model.chrome
    return render_meshes([(car_mesh(model), palette)], scene, size_px)
