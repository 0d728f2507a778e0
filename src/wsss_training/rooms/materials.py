"""Surfaces and simple solids that many pieces of furniture share."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsss_training.world.objects.materials import varied
from wsss_training.world.objects.meshes import merge
from wsss_training.world.objects.shapes import box, cylinder, loft, quads
from wsss_training.world.scene import Color, Mesh, Part, Surface

Generator = np.random.Generator

WOODS: tuple[Color, ...] = (
    *((0.42, 0.27, 0.14), (0.30, 0.16, 0.07), (0.13, 0.06, 0.03), (0.52, 0.38, 0.22)),
    *((0.22, 0.11, 0.05), (0.60, 0.48, 0.32), (0.07, 0.045, 0.03)),
)
PAINTS: tuple[Color, ...] = (
    *((0.72, 0.72, 0.70), (0.74, 0.72, 0.66), (0.62, 0.57, 0.47), (0.55, 0.60, 0.62)),
    *((0.48, 0.55, 0.45), (0.66, 0.60, 0.36), (0.36, 0.45, 0.55), (0.58, 0.40, 0.34)),
)
FABRICS: tuple[Color, ...] = (
    *((0.05, 0.05, 0.055), (0.20, 0.20, 0.21), (0.45, 0.44, 0.42), (0.08, 0.10, 0.22)),
    *((0.30, 0.05, 0.05), (0.38, 0.29, 0.19), (0.14, 0.08, 0.05), (0.10, 0.20, 0.14)),
    *((0.62, 0.60, 0.55), (0.12, 0.25, 0.38), (0.45, 0.25, 0.08), (0.30, 0.14, 0.30)),
)
WHITES: tuple[Color, ...] = ((0.78, 0.78, 0.77), (0.70, 0.70, 0.68), (0.72, 0.68, 0.60))
STEEL: Color = (0.42, 0.43, 0.44)
BLACK: Color = (0.025, 0.025, 0.027)
CLOTHS = ("fabric", "fabric", "bands", "checks", "flowers")


def pick(generator: Generator, colors: Sequence[Color], spread: float = 0.12) -> Color:
    """Draws one of the colours, a little changed."""
    return varied(colors[int(generator.integers(len(colors)))], generator, spread)


def cloth(generator: Generator) -> tuple[Color, str]:
    """Draws the colour and the pattern of a cloth."""
    return pick(generator, FABRICS, 0.2), CLOTHS[generator.integers(len(CLOTHS))]


def finish(generator: Generator, painted: float = 0.35) -> tuple[Color, str]:
    """Draws the colour and the pattern of furniture: wood, or painted."""
    if generator.random() < painted:
        colors = WHITES if generator.random() < 0.7 else (*PAINTS[3:], BLACK)
        return pick(generator, colors), "plain"
    return pick(generator, WOODS), ("wood", "across")[generator.integers(2)]


def part(
    label: str, meshes: Mesh | Sequence[Mesh], color: Color, texture: str = "plain", lost: float = 0
) -> Part:
    """Returns a part of NYU40's class ``label``; for ``lost`` see ``depth.measure_depth``."""
    mesh = meshes if isinstance(meshes, Mesh) else merge(meshes)
    return Part(mesh, Surface(label, "background", color, texture, 0.3, lost))


def slab(low: ArrayLike, high: ArrayLike) -> Mesh:
    """Returns the box between two corners [3]."""
    low, high = np.asarray(low, float), np.asarray(high, float)
    return box(high - low, (low + high) / 2)


def cushion(low: ArrayLike, high: ArrayLike, edge: float = 0.05) -> Mesh:
    """Returns a box between two corners [3] with its edges rounded off."""
    low, high = np.asarray(low, float), np.asarray(high, float)
    half, edge = (high - low) / 2, min(edge, float((high - low).min()) / 2.2)
    rings = []
    for z, shrink in ((0, edge), (edge, 0), (2 * half[2] - edge, 0), (2 * half[2], edge)):
        ring = _octagon(half[:2] - shrink, edge)
        rings.append(np.column_stack([ring, np.full(8, z)]))
    return loft(np.array(rings) + [*(low + high)[:2] / 2, low[2]])


def _octagon(half: NDArray[np.float64], cut: float) -> NDArray[np.float64]:
    """A rectangle [8, 2] of half sides with its corners cut off, counter-clockwise."""
    x, y = half
    c = min(cut, x / 2, y / 2)
    return np.array(
        [[-x + c, -y], [x - c, -y], [x, -y + c], [x, y - c]]
        + [[x - c, y], [-x + c, y], [-x, y - c], [-x, -y + c]]
    )


def oval(half_x: float, half_y: float, power: float = 2.0, sides: int = 16) -> NDArray[np.float64]:
    """Returns an outline [sides, 2] between an ellipse (power 2) and a rectangle (higher)."""
    angle = (np.arange(sides) + 0.5) * 2 * np.pi / sides
    points = np.column_stack([np.cos(angle), np.sin(angle)])
    return np.sign(points) * np.abs(points) ** (2 / power) * [half_x, half_y]


def hollow(sections: Sequence[tuple[NDArray[np.float64], float]]) -> Mesh:
    """Returns the skin over outlines [n, 2] at heights, in order: up outside and down inside."""
    return loft(np.array([np.column_stack([o, np.full(len(o), z)]) for o, z in sections]))


def legs(
    low: ArrayLike, high: ArrayLike, radius: float, taper: float = 1.0, sides: int = 6
) -> Mesh:
    """Returns four legs between the corners (x, y, z) of a box."""
    (x0, y0, z0), (x1, y1, z1) = np.asarray(low, float), np.asarray(high, float)
    at = [(x, y) for x in (x0 + radius, x1 - radius) for y in (y0 + radius, y1 - radius)]
    return merge(cylinder((x, y, z0), (x, y, z1), taper * radius, radius, sides) for x, y in at)


def drape(width: float, low: float, high: float, depth: float, generator: Generator) -> Mesh:
    """Returns a hanging cloth in the plane x = 0, with folds up to ``depth`` deep, along y."""
    count = max(int(width / 0.035), 6)
    y = np.linspace(-width / 2, width / 2, count)
    turns = width / generator.uniform(0.09, 0.2)
    phase = np.linspace(0, 2 * np.pi * turns, count) + generator.normal(0, 0.25, count).cumsum() / 2
    x = depth / 2 * (1 + np.sin(phase))
    upper, lower = np.column_stack([x * 0.7, y, 0 * y + high]), np.column_stack([x, y, 0 * y + low])
    return quads(np.stack([lower[:-1], lower[1:], upper[1:], upper[:-1]], axis=1))
