"""Trucks, buses and trailers."""

import numpy as np

from wsss_training.world.objects.materials import (
    GLASS,
    arches,
    glass,
    metal,
    number_plate,
    paint,
    rubber,
    varied,
    wheel_parts,
)
from wsss_training.world.objects.meshes import Array, both_sides, merge
from wsss_training.world.objects.shapes import box, cylinder, loft, patch, quads
from wsss_training.world.scene import Mesh, Part, Surface


def _hull(front: float, rear: float, width: float, low: float, high: float, lean: float) -> Array:
    """Returns rings [3, 4, 3] of a box whose front leans back by ``lean`` above its middle."""
    half, waist = width / 2, low + 0.45 * (high - low)
    levels = [(low, front - 0.05, rear), (waist, front, rear), (high, front - lean, rear)]
    return np.array(
        [[(f, -half, z), (f, half, z), (r, half, z), (r, -half, z)] for z, f, r in levels]
    )


def _faces(rings: Array, level: int) -> list[Array]:
    """Returns the corners of the front, left, rear and right face above ring ``level``."""
    low, high = rings[level], rings[level + 1]
    return [np.stack([low[j], low[(j + 1) % 4], high[(j + 1) % 4], high[j]]) for j in range(4)]


def _plates(front: float, rear: float, height: float) -> Mesh:
    y, z = np.array([-0.26, 0.26, 0.26, -0.26]), np.array([0, 0, 0.11, 0.11]) + height
    return quads([np.stack([np.full(4, front), y, z], 1), np.stack([np.full(4, rear), -y, z], 1)])


def _mirrors(x: float, half_width: float, height: float) -> Mesh:
    return both_sides(box((0.12, 0.22, 0.45), (x, half_width + 0.15, height)))


def _cab(length: float, width: float, height: float, body: Surface, end: float) -> list[Part]:
    """Returns a cab-over truck's cab, its front at x = ``end``."""
    label, teacher_class = body.label, body.teacher_class
    rings = _hull(end, end - length, width, 0.45, height, 0.22)
    lower, upper = _faces(rings, 0), _faces(rings, 1)
    panes = [
        patch(upper[0], (0.04, 0.96), (0.05, 0.72)),
        patch(upper[1], (0.1, 0.62), (0.08, 0.7)),
        patch(upper[3], (0.38, 0.9), (0.08, 0.7)),
    ]
    dark = [
        patch(lower[0], (0.15, 0.85), (0.3, 0.75)),
        patch(lower[0], (0.0, 1.0), (0.0, 0.2)),
        _mirrors(end - 0.1, width / 2, height - 0.9),
    ]
    lamps = [patch(lower[0], u, (0.12, 0.32), 0.012) for u in ((0.03, 0.2), (0.8, 0.97))]
    return [
        Part(loft(rings), body),
        Part(merge(panes), glass(label, teacher_class)),
        Part(merge(dark), rubber(label, teacher_class)),
        Part(merge(lamps), Surface(label, teacher_class, (0.75, 0.77, 0.8), "plain", 0.6)),
    ]


def _load(generator: np.random.Generator, rear: float, front: float, width: float) -> list[Part]:
    """Returns what a truck carries between x = ``rear`` and ``front``: a box, a tipper, a bed."""
    middle, length = (rear + front) / 2, front - rear
    kind = generator.choice(["box", "box", "tipper", "flatbed"])
    bright = generator.random() < 0.6
    color = (
        (0.65, 0.65, 0.65)
        if bright
        else varied(generator.uniform(0.03, 0.45, 3).tolist(), generator)
    )
    skin = Surface("truck", "truck", varied(color, generator, 0.1), "metal", 0.5)
    if kind == "box":
        height = generator.uniform(1.9, 2.6)
        box_mesh = box((length, width, height), (middle, 0, 1.0 + height / 2))
        stripe = both_sides(
            quads(
                [
                    (front - 0.3, width / 2 + 0.006, 1.3 + 0.4 * height),
                    (rear + 0.3, width / 2 + 0.006, 1.3 + 0.4 * height),
                    (rear + 0.3, width / 2 + 0.006, 1.3 + 0.6 * height),
                    (front - 0.3, width / 2 + 0.006, 1.3 + 0.6 * height),
                ]
            )
        )
        sign = varied(generator.uniform(0.02, 0.5, 3).tolist(), generator)
        return [Part(box_mesh, skin), Part(stripe, Surface("truck", "truck", sign))]
    height = generator.uniform(0.8, 1.3) if kind == "tipper" else 0.4
    walls = [
        box((length, width, 0.1), (middle, 0, 1.05)),
        both_sides(box((length, 0.06, height), (middle, width / 2 - 0.03, 1.1 + height / 2))),
        box((0.06, width, height), (rear + 0.03, 0, 1.1 + height / 2)),
        box((0.06, width, height + 0.5), (front - 0.03, 0, 1.35 + height / 2)),
    ]
    parts = [Part(merge(walls), skin)]
    if generator.random() < 0.6:
        size = (length * generator.uniform(0.4, 0.85), width * 0.8, generator.uniform(0.6, 1.3))
        cargo = Surface("truck", "truck", varied((0.3, 0.22, 0.13), generator, 0.3), "rough", 0.4)
        load = box(size, (middle, 0, 1.1 + size[2] / 2), top=generator.uniform(0.6, 1.0, 2))
        parts.append(Part(load, cargo))
    return parts


def truck(generator: np.random.Generator) -> tuple[Part, ...]:
    """Draws a truck: a cab and a cargo box, tipper or flatbed."""
    length, width = generator.uniform(6.0, 9.5), generator.uniform(2.2, 2.5)
    cab_length, height = generator.uniform(1.7, 2.3), generator.uniform(2.5, 3.3)
    end, radius = length / 2, generator.uniform(0.42, 0.52)
    rear, front = -end, end - cab_length - 0.15
    axles = [end - 1.25, -end + generator.uniform(1.3, 2.0)]
    if length > 8:
        axles.append(axles[1] + 2 * radius + 0.12)
    middle = (rear + front) / 2
    chassis = [
        box((length - 0.4, 0.9, 0.25), (-0.1, 0, 0.85)),
        arches(axles[:1], radius, width / 2 + 0.008, 0.45),
        both_sides(box((1.2, 0.4, 0.4), (middle + 0.6, width / 2 - 0.3, 0.65))),
        box((0.1, width - 0.2, 0.15), (rear + 0.1, 0, 0.55)),
    ]
    lamps = both_sides(box((0.06, 0.35, 0.12), (rear + 0.05, width / 2 - 0.35, 0.72)))
    red = Surface("truck", "truck", (0.35, 0.008, 0.008), "plain", 0.8)
    return (
        *_cab(cab_length, width, height, paint(generator, "truck", "truck"), end),
        *_load(generator, rear, front, width + 0.05),
        Part(merge(chassis), rubber("truck", "truck")),
        Part(lamps, red),
        Part(_plates(end + 0.01, rear - 0.01, 0.55), number_plate("truck", "truck")),
        *wheel_parts(axles, radius, width / 2 + 0.02, 0.3, "truck", "truck"),
    )


BUS_COLORS = (
    (0.55, 0.37, 0.02),
    (0.6, 0.6, 0.6),
    (0.40, 0.02, 0.02),
    (0.03, 0.12, 0.38),
    (0.06, 0.28, 0.10),
)


def bus(generator: np.random.Generator) -> tuple[Part, ...]:
    """Draws a city bus, an other-vehicle to SemanticKITTI."""
    length, width = generator.uniform(9.5, 13.0), generator.uniform(2.45, 2.55)
    height, end = generator.uniform(2.9, 3.25), length / 2
    body = Surface(
        "other-vehicle", "bus", varied(BUS_COLORS[generator.integers(5)], generator), "plain", 0.5
    )
    rings = _hull(end, -end, width, 0.3, height, 0.18)
    lower, upper = _faces(rings, 0), _faces(rings, 1)
    count = int(length / 1.6)
    edges = np.linspace(0.015, 0.985, count + 1)
    gap = 0.006
    panes = [patch(upper[0], (0.03, 0.97), (-0.35, 0.75), 0.012)]
    panes.append(patch(upper[2], (0.1, 0.9), (0.15, 0.75)))
    for low, high in zip(edges[:-1] + gap, edges[1:] - gap, strict=True):
        panes += [patch(upper[j], (low, high), (-0.02, 0.72)) for j in (1, 3)]
    doors = [patch(lower[3], (x, x + 1.2 / length), (0.04, 0.99)) for x in (0.5, 0.89)]
    axles = (end - 2.6, -end + 3.2)
    dark = [
        arches(axles, 0.48, width / 2 + 0.008, 0.3),
        *(patch(lower[j], (0, 1), (0, 0.12)) for j in range(4)),
        _mirrors(end + 0.05, width / 2, height - 0.8),
    ]
    display = Surface("other-vehicle", "bus", (0.5, 0.25, 0.02), "plain", 0.1)
    roof = box((0.35 * length, 1.6, 0.3), (-0.1 * length, 0, height + 0.1), top=(0.95, 0.85))
    label, teacher_class = "other-vehicle", "bus"
    lamps = [patch(lower[0], u, (0.2, 0.42), 0.01) for u in ((0.04, 0.18), (0.82, 0.96))]
    red = [patch(lower[2], u, (0.4, 0.9), 0.01) for u in ((0.02, 0.09), (0.91, 0.98))]
    return (
        Part(merge([loft(rings), roof]), body),
        Part(merge([*panes, *doors]), glass(label, teacher_class, 0.7)),
        Part(merge(dark), rubber(label, teacher_class)),
        Part(patch(upper[0], (0.15, 0.85), (0.8, 0.95), 0.012), display),
        Part(merge(lamps), Surface(label, teacher_class, (0.75, 0.77, 0.8), "plain", 0.6)),
        Part(merge(red), Surface(label, teacher_class, (0.35, 0.008, 0.008), "plain", 0.8)),
        Part(_plates(end - 0.02, -end - 0.01, 0.5), number_plate(label, teacher_class)),
        *wheel_parts(axles, 0.48, width / 2 + 0.012, 0.3, label, teacher_class),
    )


def trailer(generator: np.random.Generator) -> tuple[Part, ...]:
    """Draws a parked trailer of a car: open, covered, or a caravan.

    An other-vehicle to SemanticKITTI, nothing to Cityscapes.
    """
    label, teacher_class = "other-vehicle", "background"
    kind = generator.choice(["open", "covered", "caravan"])
    length, width = generator.uniform(2.0, 3.2), generator.uniform(1.3, 1.7)
    low, radius, high = 0.5, 0.29, generator.uniform(0.35, 0.45)
    color = varied((0.3, 0.31, 0.32), generator)
    if kind == "caravan":
        length, width = generator.uniform(4.2, 6.0), generator.uniform(2.05, 2.3)
        low, high, color = 0.42, generator.uniform(2.0, 2.2), varied((0.68, 0.67, 0.62), generator)
    elif kind == "covered":
        high = generator.uniform(1.2, 1.7)
        color = varied(
            ((0.02, 0.05, 0.2), (0.3, 0.3, 0.3), (0.05, 0.15, 0.06))[generator.integers(3)],
            generator,
        )
    skin = Surface(label, teacher_class, color, "metal" if kind == "open" else "plain", 0.4)
    middle = -0.55
    front, rear = middle + length / 2, middle - length / 2
    parts = []
    if kind == "open":
        floor = box((length, width, 0.08), (middle, 0, low + 0.04))
        side = both_sides(box((length, 0.04, high), (middle, width / 2, low + high / 2)))
        ends = [box((0.04, width, high), (x, 0, low + high / 2)) for x in (front, rear)]
        parts.append(Part(merge([floor, side, *ends]), skin))
    else:
        rings = _hull(front, rear, width, low, low + high, 0.3 if kind == "caravan" else 0.05)
        parts.append(Part(loft(rings), skin))
        if kind == "caravan":
            faces = _faces(rings, 1)
            panes = [patch(faces[j], (0.15, 0.45), (0.1, 0.6)) for j in (1, 3)]
            panes += [patch(faces[j], (0.2, 0.8), (0.1, 0.6)) for j in (0, 2)]
            panes.append(patch(faces[3], (0.6, 0.85), (-0.7, 0.7)))
            parts.append(
                Part(merge(panes), Surface(label, teacher_class, GLASS, "plain", 0.1, 0.5))
            )
    bar = [
        cylinder((front - 0.3, y, low - 0.05), (front + 1.1, 0, low - 0.05), 0.04, sides=4)
        for y in (-0.35, 0.35)
    ]
    jockey = cylinder((front + 0.9, 0.0, 0.0), (front + 0.9, 0.0, low + 0.2), 0.035, sides=6)
    lamps = both_sides(box((0.05, 0.2, 0.1), (rear - 0.02, width / 2 - 0.15, low - 0.04)))
    return (
        *parts,
        Part(merge([*bar, jockey]), metal(label, teacher_class)),
        Part(lamps, Surface(label, teacher_class, (0.35, 0.008, 0.008), "plain", 0.8)),
        *wheel_parts((middle - 0.1,), radius, width / 2 + 0.12, 0.16, label, teacher_class),
    )
