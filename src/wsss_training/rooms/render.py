"""Renders images of rooms: lamps and windows with soft shadows, and a view outside."""

import numpy as np
from numpy.typing import NDArray

from wsss_training.rooms.scene import Emitter, RoomScene
from wsss_training.rooms.textures import ROOM_TEXTURES
from wsss_training.world.camera import expose
from wsss_training.world.scene import Surface
from wsss_training.world.textures import value_noise
from wsss_training.world.tracer import MISS, Geometry, Hits

Array = NDArray[np.float32]

_OFFSET = np.float32(4e-3)  # metres from a surface at which its shadow ray starts
_FAINT = 0.03  # light below this share of the ambient is not worth a shadow ray
_SHINE = np.float32(1.6)  # of lamps and screens, times their albedo
_TEXTURES = tuple(ROOM_TEXTURES)
_GLOW, _OUTSIDE = _TEXTURES.index("glow"), _TEXTURES.index("outside")


class Palette:
    """The surfaces of a scene as columns, one row for each part of each actor.

    Args:
        scene: whose surfaces.
    """

    def __init__(self, scene: RoomScene) -> None:
        surfaces: list[Surface] = [p.surface for actor in scene.actors for p in actor.parts]
        self.labels = [surface.label for surface in surfaces]
        self.color = np.array([surface.color for surface in surfaces], np.float32)
        self.lost = np.array([surface.lost for surface in surfaces], np.float32)
        self.texture = np.array([_TEXTURES.index(s.texture) for s in surfaces], np.int32)
        generator = np.random.default_rng([scene.seed, 11])
        # patterns start elsewhere on every object and in every scene
        self.offset = generator.uniform(0, 50, (len(surfaces), 3)).astype(np.float32)
        self.sky = generator.uniform(1.5, 3.5) * np.array([0.8, 0.9, 1.0], np.float32)
        self.ground = generator.uniform(0.3, 0.9) * generator.uniform(0.4, 1, 3).astype(np.float32)


def render(
    geometry: Geometry,
    palette: Palette,
    scene: RoomScene,
    rays: Array,
    hits: Hits,
    shape: tuple[int, int],
    generator: np.random.Generator,
) -> NDArray[np.uint8]:
    """Renders an image uint8 [H, W, 3].

    Args:
        geometry: casts shadow rays.
        palette: of the scene.
        scene: whose light it is.
        rays: of the pixels, float32 [H * W, 6].
        hits: where they end.
        shape: height and width.
        generator: draws the lamps' places for soft shadows, exposure and noise.
    """
    image = np.zeros((len(rays), 3), np.float32)
    index = np.flatnonzero(hits.surface != MISS)
    surface, normal = hits.surface[index], hits.normal[index]
    points = rays[index, :3] + hits.distance[index, None] * rays[index, 3:]
    albedo = _albedo(palette, surface, points, normal)
    light = _illuminate(geometry, scene, points, normal, generator)
    shaded = albedo * light
    glowing = palette.texture[surface] == _GLOW
    shaded[glowing] = _SHINE * albedo[glowing]
    behind = np.flatnonzero(palette.texture[surface] == _OUTSIDE)
    shaded[behind] = _outside(palette, rays[index[behind], 3:])
    image[index] = shaded
    level = float(np.percentile(image[index].mean(axis=1), 60)) if len(index) else 1.0
    tint = generator.normal(1, 0.04, 3).astype(np.float32)
    # the sensor adapts, not quite to the same grey
    exposure = 0.3 * np.exp(generator.normal(0, 0.2)) / max(level, 0.02)
    return expose((image * tint).reshape(*shape, 3), exposure, generator)


def _albedo(palette: Palette, surface: NDArray[np.int32], points: Array, normals: Array) -> Array:
    albedo, texture = palette.color[surface], palette.texture[surface]
    moved = points + palette.offset[surface]
    for number, pattern in enumerate(ROOM_TEXTURES.values()):
        chosen = np.flatnonzero(texture == number)
        if len(chosen):
            albedo[chosen] = pattern(moved[chosen], normals[chosen], albedo[chosen])
    return albedo


def _illuminate(
    geometry: Geometry,
    scene: RoomScene,
    points: Array,
    normals: Array,
    generator: np.random.Generator,
) -> Array:
    """Light [M, 3] on points: from everywhere, darker near the floor's edge, and of emitters."""
    ambient = np.asarray(scene.ambient, np.float32)
    up = np.float32(0.8) + np.float32(0.2) * normals[:, 2:]
    low = 1 - np.float32(0.3) * np.exp(-np.abs(points[:, 2:]) / np.float32(0.18))
    steep = np.abs(normals[:, 2:]) < 0.5
    light = ambient * up * np.where(steep, low, 1)
    start = points + _OFFSET * normals
    for emitter in scene.emitters:
        ways, strength = _reach(emitter, start, normals, generator)
        lit = np.flatnonzero(strength * emitter.power.max() > _FAINT * ambient.max())
        if not len(lit):
            continue
        shadow = np.zeros(len(lit), np.float32)
        for towards in ways:  # two places of the lamp, opposite each other
            rays = np.concatenate([start[lit], towards[lit]], axis=1)
            shadow += geometry.blocked(rays, 0.97)
        strength[lit] *= 1 - shadow / len(ways)
        light += strength[:, None] * emitter.power
    return light


def _reach(
    emitter: Emitter, start: Array, normals: Array, generator: np.random.Generator
) -> tuple[tuple[Array, Array], Array]:
    """The ways [M, 3] to two random places of an emitter, and the share of its power [M].

    The share is that of its centre: only the edges of shadows are noisy.
    """
    middle = emitter.center - start
    square = (middle * middle).sum(axis=1)
    length = np.maximum(np.sqrt(square), np.float32(1e-3))
    cosine = (middle * normals).sum(axis=1) / length
    # a large light reaches round corners that a point would not
    wrap = np.minimum(np.linalg.norm(emitter.sides) / length, 1) * np.float32(0.4)
    strength = np.maximum((cosine + wrap) / (1 + wrap), 0)
    if emitter.normal.any():
        strength *= np.maximum(-(middle @ emitter.normal) / length, 0) ** np.float32(0.7)
    size = np.float32((emitter.sides**2).sum())
    shares = generator.uniform(-1, 1, (len(start), 2)).astype(np.float32)
    aside = shares @ emitter.sides
    return (middle + aside, middle - aside), strength / (square + size + np.float32(0.3))


def _outside(palette: Palette, directions: Array) -> Array:
    """Light [M, 3] from outside: sky above, something built or green below."""
    height = directions[:, 2:]
    noise = value_noise(directions * np.float32(7), 1.0)[:, None]
    sky = palette.sky * (np.float32(0.7) + np.float32(0.5) * noise)
    ground = palette.ground * (np.float32(0.4) + noise)
    edge = np.float32(0.02) + np.float32(0.25) * (noise - np.float32(0.4))
    return np.where(height > edge, sky, ground).astype(np.float32)
