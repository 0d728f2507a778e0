"""Surfaces that many objects share, and draws of their colours."""

from collections.abc import Sequence

import numpy as np

from wsss_training.world.objects.meshes import both_sides, merge, mesh_of, transform
from wsss_training.world.objects.shapes import cylinder
from wsss_training.world.scene import Color, Mesh, Part, Surface

PAINTS: tuple[tuple[float, Color, float, float], ...] = (
    # share of the cars on the road, colour, reflectance, lost
    (0.20, (0.70, 0.70, 0.70), 0.65, 0.0),  # white
    (0.22, (0.012, 0.012, 0.014), 0.05, 0.25),  # black
    (0.15, (0.07, 0.075, 0.08), 0.15, 0.1),  # dark grey
    (0.18, (0.38, 0.39, 0.40), 0.45, 0.0),  # silver
    (0.06, (0.02, 0.05, 0.16), 0.12, 0.1),  # dark blue
    (0.06, (0.05, 0.16, 0.40), 0.3, 0.0),  # blue
    (0.07, (0.36, 0.02, 0.02), 0.4, 0.0),  # red
    (0.02, (0.03, 0.11, 0.06), 0.2, 0.0),  # green
    (0.02, (0.28, 0.22, 0.15), 0.4, 0.0),  # beige
    (0.02, (0.55, 0.38, 0.03), 0.6, 0.0),  # yellow
)
PAINT_SHARES = np.array([share for share, *_ in PAINTS])
RUBBER: Color = (0.018, 0.018, 0.018)
GLASS: Color = (0.02, 0.028, 0.035)


def varied(color: Sequence[float], generator: np.random.Generator, spread: float = 0.15) -> Color:
    """Returns a colour a little brighter or darker and of a slightly different hue."""
    factors = generator.normal(1.0, spread) + generator.normal(0.0, 0.3 * spread, 3)
    red, green, blue = np.clip(np.asarray(color) * np.maximum(factors, 0.3), 0.005, 0.9)
    return float(red), float(green), float(blue)


def paint(generator: np.random.Generator, label: str, teacher_class: str) -> Surface:
    """Returns the surface of a vehicle's body, in the colours of the roads of Europe."""
    _, color, reflectance, lost = PAINTS[generator.choice(len(PAINTS), p=PAINT_SHARES)]
    color = varied(color, generator)
    return Surface(label, teacher_class, color, "plain", reflectance, lost)


def glass(label: str, teacher_class: str, lost: float = 0.8) -> Surface:
    """Returns dark glass, which most pulses pass."""
    return Surface(label, teacher_class, GLASS, "plain", 0.06, lost)


def rubber(label: str, teacher_class: str) -> Surface:
    """Returns the black of tyres and unpainted plastics."""
    return Surface(label, teacher_class, RUBBER, "plain", 0.05)


def metal(label: str, teacher_class: str, color: Color = (0.32, 0.33, 0.34)) -> Surface:
    """Returns bare or galvanised metal."""
    return Surface(label, teacher_class, color, "metal", 0.3)


def number_plate(label: str, teacher_class: str) -> Surface:
    """Returns a vehicle's registration plate."""
    return Surface(label, teacher_class, (0.75, 0.75, 0.70), "plain", 0.95)


def disc(radius: float, sides: int = 12) -> Mesh:
    """Returns a disc in the plane y = 0 that faces +y, around the origin."""
    angles = np.arange(sides) * (2 * np.pi / sides)
    points = np.stack([radius * np.sin(angles), 0 * angles, radius * np.cos(angles)], 1)
    k = np.arange(1, sides - 1)
    return mesh_of(points, np.stack([0 * k, k, k + 1], 1))


def axles(
    positions: Sequence[float], radius: float, half_width: float, tyre: float, sides: int = 14
) -> tuple[Mesh, Mesh]:
    """Returns the tyres and the rims of a vehicle's wheels, left and right.

    Args:
        positions: x of each axle.
        radius: of the wheels.
        half_width: y of the tyres' outer sides.
        tyre: breadth of a tyre.
        sides: of the polygon that a wheel is.
    """
    wheel = cylinder((0, half_width - tyre, 0), (0, half_width, 0), radius, sides=sides)
    rim = transform(disc(0.64 * radius, 10), (0, half_width + 0.006, 0))
    low = -float(wheel.vertices[:, 2].min())  # polygons do not reach their circle at the bottom
    tyres = both_sides(merge(transform(wheel, (x, 0, low)) for x in positions))
    return tyres, both_sides(merge(transform(rim, (x, 0, low)) for x in positions))


def arches(positions: Sequence[float], radius: float, half_width: float, clearance: float) -> Mesh:
    """Returns dark wheel arches on both sides of a body; for the arguments see ``axles``."""
    arch = disc(1.16 * radius, 16)
    arch.vertices[:, 2] = np.maximum(arch.vertices[:, 2], clearance - radius)
    return both_sides(merge(transform(arch, (x, half_width, radius)) for x in positions))


def wheel_parts(
    positions: Sequence[float],
    radius: float,
    half_width: float,
    tyre: float,
    label: str,
    teacher_class: str,
) -> list[Part]:
    """Returns the parts of a vehicle's wheels; see ``axles``."""
    tyres, rims = axles(positions, radius, half_width, tyre)
    return [
        Part(tyres, rubber(label, teacher_class)),
        Part(rims, metal(label, teacher_class)),
    ]
