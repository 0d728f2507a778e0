"""Trees, bushes and hedges: many small leaves around a dark core, so that they are not glass."""

from collections.abc import Sequence

import numpy as np

from wsss_training.world.objects.materials import varied
from wsss_training.world.objects.meshes import Array, above_ground, merge
from wsss_training.world.objects.shapes import cone, cylinder, ellipsoid, leaves, loft, tube
from wsss_training.world.scene import Color, Mesh, Part, Surface

GREENS: tuple[Color, ...] = (
    (0.07, 0.15, 0.03),
    (0.10, 0.19, 0.04),
    (0.05, 0.11, 0.03),
    (0.13, 0.19, 0.05),
    (0.16, 0.15, 0.04),
)
BARKS: tuple[Color, ...] = ((0.11, 0.08, 0.055), (0.16, 0.13, 0.10), (0.07, 0.055, 0.045))

Blob = tuple[Array, Array]
"""Centre [3] and radii [3] of a part of a crown."""


def _foliage(color: Color, brightness: float = 1.0) -> Surface:
    red, green, blue = (brightness * channel for channel in color)
    return Surface("vegetation", "vegetation", (red, green, blue), "foliage", 0.5)


def _lumpy(center: Array, radii: Array, generator: np.random.Generator) -> Mesh:
    core = ellipsoid(center, radii, 7, 3)
    bumps = generator.uniform(0.8, 1.15, (len(core.vertices), 1)).astype(np.float32)
    middle = np.asarray(center, dtype=np.float32)
    vertices = middle + bumps * (core.vertices - middle)
    vertices[:, 2] = np.maximum(vertices[:, 2], 0)
    return Mesh(vertices, core.triangles)


def _crown(
    blobs: Sequence[Blob], count: int, size: float, color: Color, generator: np.random.Generator
) -> list[Part]:
    """Returns leaves over blobs, in two tones, and the blobs' cores."""
    shares = np.array([np.prod(radii) ** (2 / 3) for _, radii in blobs])
    counts = np.maximum(count * shares / shares.sum(), 8).astype(int)
    tufts = merge(
        above_ground(leaves(int(n), center, radii, size, generator))
        for n, (center, radii) in zip(2 * counts, blobs, strict=True)
    )
    centers, radii = (np.array(column) for column in zip(*blobs, strict=True))
    middles = tufts.vertices.reshape(-1, 3, 3).mean(axis=1)
    away = np.linalg.norm((middles[:, None] - centers) / radii, axis=2).min(axis=1)
    seen = tufts.triangles[np.argsort(away)[len(away) - count :]]  # not those inside other blobs
    cores = [_lumpy(center, 0.76 * size, generator) for center, size in blobs]
    light, dark = (Mesh(tufts.vertices, generator.permutation(seen)[k::2]) for k in (0, 1))
    return [
        Part(light, _foliage(color, 1.15)),
        Part(dark, _foliage(color, 0.85)),
        Part(merge(cores), _foliage(color, 0.7)),
    ]


def _trunk(height: float, radius: float, generator: np.random.Generator) -> tuple[Array, Mesh]:
    """Returns the trunk's top [3] and its mesh, slightly bent."""
    drift = generator.normal(0, 0.018 * height, (4, 2)).cumsum(0)
    points = np.zeros((4, 3))
    points[:, 2] = np.array([0.0, 0.12, 0.6, 1.0]) * height
    points[1:, :2] = drift[1:] * [[0.2], [0.6], [1.0]]
    return points[-1], tube(points, radius * np.array([1.35, 1.0, 0.85, 0.6]), 8)


def _bark(generator: np.random.Generator) -> Surface:
    color = varied(BARKS[generator.integers(len(BARKS))], generator)
    return Surface("trunk", "vegetation", color, "bark", 0.4)


def _broadleaf(generator: np.random.Generator) -> tuple[Part, ...]:
    height = generator.uniform(6.0, 13.0)
    clear = generator.uniform(1.9, 3.0) if height < 9 else generator.uniform(2.5, 4.0)
    spread = generator.uniform(0.28, 0.42) * height
    top, trunk = _trunk(clear + 0.25 * (height - clear), 0.022 * height, generator)
    middle = np.array([top[0], top[1], (height + clear) / 2])
    half = (height - clear) / 2
    slender = generator.uniform(0.85, 1.15)
    blobs = [(middle, np.array([0.72 * spread, 0.72 * spread, 0.9 * half]))]
    limbs = []
    count = int(generator.integers(5, 9))
    angles = np.arange(count) * (2 * np.pi / count) + generator.uniform(0, 0.8, count)
    for angle in angles:
        rise = generator.uniform(-0.55, 0.5)
        out = 0.55 * spread * slender * np.sqrt(1 - rise**2)
        center = middle + [out * np.cos(angle), out * np.sin(angle), 0.75 * rise * half]
        radii = (
            spread * generator.uniform(0.34, 0.52) * np.array([1, 1, generator.uniform(0.75, 1)])
        )
        blobs.append((center, radii))
        limbs.append(
            cylinder(top - [0, 0, 0.15 * height], center, 0.009 * height, 0.004 * height, 4)
        )
    color = varied(GREENS[generator.integers(len(GREENS))], generator)
    crown = _crown(blobs, int(generator.uniform(1000, 1300)), 0.42, color, generator)
    return Part(merge([trunk, *limbs[:4]]), _bark(generator)), *crown


def _young(generator: np.random.Generator) -> tuple[Part, ...]:
    height, clear = generator.uniform(3.5, 6.0), generator.uniform(1.7, 2.3)
    spread = generator.uniform(0.16, 0.28) * height
    top, trunk = _trunk(0.7 * height, generator.uniform(0.04, 0.08), generator)
    middle, half = np.array([*top[:2], (height + clear) / 2]), (height - clear) / 2
    blobs = [(middle, np.array([spread, spread, half]))]
    for angle in generator.uniform(0, 2 * np.pi, 3):
        center = middle + [0.5 * spread * np.cos(angle), 0.5 * spread * np.sin(angle), 0]
        blobs.append((center + [0, 0, half * generator.uniform(-0.4, 0.3)], 0.65 * blobs[0][1]))
    color = varied(GREENS[generator.integers(len(GREENS))], generator)
    return Part(trunk, _bark(generator)), *_crown(blobs, 650, 0.27, color, generator)


def _conifer(generator: np.random.Generator) -> tuple[Part, ...]:
    height, clear = generator.uniform(6.0, 14.0), generator.uniform(0.4, 1.6)
    spread = generator.uniform(0.17, 0.25) * height
    trunk = cylinder((0, 0, 0), (0, 0, 0.7 * height), 0.018 * height, 0.006 * height)
    count = 1100
    share = np.sqrt(generator.uniform(0, 1, count)).astype(np.float32)  # 1 at the crown's foot
    cloud = leaves(count, (0, 0, 0), (1e-6, 1e-6, 1e-6), 0.4, generator)
    angle = generator.uniform(0, 2 * np.pi, count)
    tier = 1.0 - 0.35 * ((share * 7) % 1.0)  # branches reach out at the foot of each tier
    reach = spread * (share * (1.15 - 0.5 * (1 - tier))) * generator.uniform(0.75, 1.0, count)
    middle = np.stack(
        [reach * np.cos(angle), reach * np.sin(angle), height - share * (height - clear)], 1
    )
    points = cloud.vertices.reshape(-1, 3, 3) * [1, 1, 0.6] + middle[:, None]
    needles = Mesh(points.reshape(-1, 3).astype(np.float32), cloud.triangles)
    color = varied((0.035, 0.085, 0.035), generator)
    core = cone((0, 0, clear + 0.2), (0, 0, 0.96 * height), 0.72 * spread, 9)
    light, dark = (Mesh(needles.vertices, needles.triangles[k::2]) for k in (0, 1))
    return (
        Part(trunk, _bark(generator)),
        Part(light, _foliage(color, 1.2)),
        Part(dark, _foliage(color, 0.85)),
        Part(core, _foliage(color, 0.7)),
    )


def tree(generator: np.random.Generator) -> tuple[Part, ...]:
    """Draws a broadleaf tree, a young one with a thin trunk, or a conifer."""
    kinds = (_broadleaf, _young, _conifer)
    return kinds[generator.choice(3, p=[0.55, 0.25, 0.2])](generator)


def bush(generator: np.random.Generator) -> tuple[Part, ...]:
    """Draws a bush, 0.6 to 2.5 m high."""
    height = generator.uniform(0.6, 2.5)
    spread = height * generator.uniform(0.45, 0.8)
    blobs = []
    for _ in range(generator.integers(2, 5)):
        at = np.array([*generator.uniform(-0.5, 0.5, 2) * spread, 0.0])
        half = 0.5 * height * generator.uniform(0.75, 1.0)
        radii = np.array([0.7 * spread, 0.7 * spread, half]) * generator.uniform(0.8, 1.0)
        blobs.append((at + [0, 0, 0.9 * radii[2]], radii))
    color = varied(GREENS[generator.integers(len(GREENS))], generator)
    count = int(250 + 200 * height)
    return tuple(_crown(blobs, count, 0.10 + 0.05 * height, color, generator))


def hedge(length: float, generator: np.random.Generator) -> tuple[Part, ...]:
    """Draws a hedge from x = 0 to x = ``length``, 0.9 to 2.1 m high, its middle along y = 0."""
    height, depth = generator.uniform(0.9, 2.1), generator.uniform(0.5, 0.9)
    color = varied(GREENS[generator.integers(3)], generator)
    radii = np.array([length, depth, height]) / 2
    center = np.array([length / 2, 0, height / 2])
    cloud = above_ground(leaves(int(90 * length), center, radii, 0.2, generator, boxed=True))
    inner = _hedge_core(length, depth, height, generator)
    light, dark = (Mesh(cloud.vertices, cloud.triangles[k::2]) for k in (0, 1))
    return (
        Part(light, _foliage(color, 1.15)),
        Part(dark, _foliage(color, 0.85)),
        Part(inner, _foliage(color, 0.75)),
    )


def _hedge_core(length: float, depth: float, height: float, generator: np.random.Generator) -> Mesh:
    """Returns a lumpy bar, a hand's breadth inside of the hedge."""
    count = max(int(2 * length), 1) + 1
    outline = np.array(
        [
            (-1, 0),
            (1, 0),
            (1.05, 0.35),
            (0.95, 0.8),
            (0.7, 1),
            (-0.7, 1),
            (-0.95, 0.8),
            (-1.05, 0.35),
        ]
    )
    sections = np.zeros((count, 8, 3))
    sections[:, :, 0] = np.linspace(0.05, length - 0.05, count)[:, None]
    lumps = generator.uniform(0.85, 1.05, (count, 8))
    sections[:, :, 1] = outline[:, 0] * lumps * (depth / 2 - 0.09)
    sections[:, :, 2] = outline[:, 1] * generator.uniform(0.93, 1.02, (count, 8)) * (height - 0.1)
    return loft(sections)
