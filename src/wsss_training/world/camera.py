"""A camera in the world: sunlight, sky, shadows, haze; and what is truly in every pixel."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from wsss_perception.geometry import Camera, Matrix
from wsss_perception.ontology import load_ontology
from wsss_training.world.settings import CameraSettings
from wsss_training.world.textures import TEXTURES, value_noise
from wsss_training.world.tracer import MISS, Hits, Surfaces, Tracer

Array = NDArray[np.float32]

_OPTICAL = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]], dtype=np.float64)
"""Rotation from the optical frame (z forward) to x forward."""

_OFFSET = 2e-3  # metres from a surface at which its shadow ray starts
_GLASS = 0.4  # surfaces that lose more laser pulses than this mirror the sky
_MIRROR = np.float32(0.3)
_TRANSLUCENT = ("foliage", "grass")


@dataclass(frozen=True)
class Light:
    """A scene's light.

    Attributes:
        sun: unit vector towards the sun [3].
        sunlight: its colour and strength [3].
        skylight: colour and strength of the light from above [3].
        zenith: colour of the sky overhead [3].
        horizon: colour of the sky at the horizon [3].
        clouds: share of the sky, 0..1.
        haze: distance at which a third of the contrast is left, metres.
        exposure: factor on all light.
    """

    sun: Array
    sunlight: Array
    skylight: Array
    zenith: Array
    horizon: Array
    clouds: float
    haze: float
    exposure: float


def draw_light(generator: np.random.Generator) -> Light:
    """Draws a day's light, from clear to overcast."""
    azimuth, elevation = generator.uniform(0, 2 * np.pi), np.deg2rad(generator.uniform(18, 62))
    overcast = float(generator.beta(0.7, 0.9))
    warmth = float(generator.uniform(0, 0.25) * (1 - elevation))
    sun = [
        np.cos(elevation) * np.cos(azimuth),
        np.cos(elevation) * np.sin(azimuth),
        np.sin(elevation),
    ]
    clear = np.array([0.30, 0.48, 0.80])
    grey = np.array([0.72, 0.75, 0.80])
    return Light(
        np.array(sun, np.float32),
        ((2.2 - 1.9 * overcast) * np.array([1.0, 0.96 - warmth, 0.88 - 2 * warmth])).astype(
            np.float32
        ),
        ((0.75 + 0.45 * overcast) * (0.45 * clear / clear.mean() * 0.6 + 0.55)).astype(np.float32)
        * np.float32(0.8),
        (clear * (1 - overcast) + grey * overcast).astype(np.float32),
        (np.array([0.80, 0.86, 0.92]) * (1 - 0.1 * overcast)).astype(np.float32),
        float(generator.uniform(0, 0.7)),
        float(np.exp(generator.uniform(np.log(500), np.log(3000)))),
        float(generator.uniform(0.85, 1.2)),
    )


def intrinsics(settings: CameraSettings) -> Camera:
    """The camera's intrinsics; without distortion."""
    column, row = settings.center
    matrix = np.array([[settings.focal, 0, column], [0, settings.focal, row], [0, 0, 1]])
    return Camera(settings.width, settings.height, matrix)


def mounting(settings: CameraSettings) -> Matrix:
    """``T_ego_camera`` [4, 4] of the optical frame."""
    yaw = np.deg2rad(settings.yaw)
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    pose = np.eye(4)
    pose[:3, :3] = turn @ _OPTICAL
    pose[:3, 3] = settings.position
    return pose


def pixel_rays(camera: Camera, T_world_camera: Matrix) -> Array:
    """Rays [H * W, 6] through the centres of all pixels, row by row."""
    rows, columns = np.mgrid[0 : camera.height, 0 : camera.width]
    x = (columns.ravel() - camera.matrix[0, 2]) / camera.matrix[0, 0]
    y = (rows.ravel() - camera.matrix[1, 2]) / camera.matrix[1, 1]
    directions = np.column_stack([x, y, np.ones(len(x))]) @ T_world_camera[:3, :3].T
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    origins = np.broadcast_to(T_world_camera[:3, 3], directions.shape)
    return np.concatenate([origins, directions], axis=1).astype(np.float32)


def true_maps(
    hits: Hits, surfaces: Surfaces, shape: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Cityscapes label uint8 [H, W] and region int32 [H, W] of every pixel."""
    sky = load_ontology("cityscapes").classes.index("sky")
    hit = hits.surface != MISS
    classes = np.where(hit, surfaces.teacher_class[hits.surface], sky).astype(np.uint8)
    regions = np.where(hit, surfaces.region[hits.surface], -1).astype(np.int32)
    return classes.reshape(shape), regions.reshape(shape)


def render(
    tracer: Tracer,
    rays: Array,
    hits: Hits,
    light: Light,
    seconds: float,
    shape: tuple[int, int],
    generator: np.random.Generator,
) -> NDArray[np.uint8]:
    """Renders an image uint8 [H, W, 3].

    Args:
        tracer: casts shadow rays.
        rays: of the pixels, float32 [H * W, 6].
        hits: where they end.
        light: of the scene.
        seconds: time in the scene.
        shape: height and width.
        generator: draws the sensor's noise.
    """
    image = np.empty((len(rays), 3), np.float32)
    missed, index = np.flatnonzero(hits.surface == MISS), np.flatnonzero(hits.surface != MISS)
    image[missed] = _sky(rays[missed, 3:], light)
    surfaces, surface = tracer.surfaces, hits.surface[index]
    albedo = _albedo(surfaces, surface, hits.local[index], hits.normal[index])
    shaded = albedo * _illumination(tracer, rays, hits, index, light, seconds)
    glass = np.flatnonzero(surfaces.lost[surface] > _GLASS)
    direction, normal = rays[index[glass], 3:], hits.normal[index[glass]]
    reflected = direction - 2 * (direction * normal).sum(axis=1, keepdims=True) * normal
    shaded[glass] += _MIRROR * (_sky(reflected, light) - shaded[glass])
    clear = np.exp(-hits.distance[index, None] / np.float32(light.haze))
    image[index] = shaded * clear + light.horizon * (1 - clear)
    return expose(image.reshape(*shape, 3), light.exposure, generator)


def _albedo(surfaces: Surfaces, surface: NDArray[np.int32], points: Array, normals: Array) -> Array:
    albedo = surfaces.color[surface]
    texture = surfaces.texture[surface]
    for number, pattern in enumerate(TEXTURES.values()):
        chosen = np.flatnonzero(texture == number)
        if len(chosen):
            albedo[chosen] = pattern(points[chosen], normals[chosen], albedo[chosen])
    return albedo


def _illumination(
    tracer: Tracer, rays: Array, hits: Hits, index: NDArray[np.int64], light: Light, seconds: float
) -> Array:
    """Light [M, 3] that falls on the hits: sun where it is not blocked, sky, a bit from below."""
    normal = hits.normal[index]
    towards = normal @ light.sun
    names = list(TEXTURES)
    texture = tracer.surfaces.texture[hits.surface[index]]
    soft = np.isin(texture, [names.index(name) for name in _TRANSLUCENT])
    lambert = np.where(soft, 0.35 + 0.4 * np.abs(towards), np.maximum(towards, 0))
    lambert = lambert.astype(np.float32)
    lit = np.flatnonzero(lambert > 0)
    point = rays[index[lit], :3] + hits.distance[index[lit], None] * rays[index[lit], 3:]
    start = point + _OFFSET * normal[lit]
    towards_sun = np.broadcast_to(light.sun, start.shape)
    blocked = tracer.blocked(np.concatenate([start, towards_sun], axis=1), seconds)
    lambert[lit[blocked]] *= np.where(soft[lit[blocked]], np.float32(0.35), np.float32(0))
    above = np.where(soft, np.float32(0.75), 0.62 + 0.38 * normal[:, 2])[:, None]
    return lambert[:, None] * light.sunlight + above * light.skylight


def _sky(directions: Array, light: Light) -> Array:
    """Colour [M, 3] of the sky in given directions."""
    height = np.clip(directions[:, 2:], 0, 1) ** np.float32(0.55)
    color = light.horizon * (1 - height) + light.zenith * height
    flat = directions[:, :2] / np.maximum(directions[:, 2:] + np.float32(0.12), 0.05)
    puffs = 0.6 * value_noise(flat, 0.9) + 0.4 * value_noise(flat, 0.27)
    cover = np.clip((puffs - (1 - light.clouds)) * 3, 0, 1)[:, None] * np.float32(0.8)
    return color * (1 - cover) + np.float32(0.93) * cover


def expose(image: Array, exposure: float, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Linear light [H, W, 3] to 8-bit sRGB through a filmic curve, a little blur and noise."""
    light = np.float32(1.05 * exposure) * image
    mapped = light * (1 + light / 2.4) / (1 + light)
    grey = mapped.mean(axis=-1, keepdims=True)
    mapped = grey + np.float32(1.25) * (mapped - grey)
    encoded = 255 * np.clip(mapped, 0, 1) ** np.float32(1 / 2.2)
    noise = generator.normal(0, 2.0, encoded.shape[:2]).astype(np.float32)[..., None]
    pixels = np.clip(encoded + noise, 0, 255).astype(np.uint8)
    blurred = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(0.45))
    return np.asarray(blurred)
