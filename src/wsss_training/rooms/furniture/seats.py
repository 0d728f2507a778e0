"""Chairs, sofas and stools."""

import itertools

import numpy as np

from wsss_training.rooms.materials import (
    BLACK,
    FABRICS,
    STEEL,
    WHITES,
    Generator,
    cloth,
    cushion,
    finish,
    legs,
    part,
    pick,
    slab,
)
from wsss_training.rooms.scene import Thing
from wsss_training.world.objects.meshes import merge, rotation, transform
from wsss_training.world.objects.shapes import cylinder
from wsss_training.world.scene import Color, Mesh, Part


def chair(generator: Generator) -> Thing:
    """Draws a chair: for a table, of an office, or of a waiting room."""
    kind = generator.choice(3, p=[0.5, 0.35, 0.15])
    return (_dining_chair, office_chair, _shell_chair)[kind](generator)


def _leaning(mesh: Mesh, angle: float, x: float, z: float) -> Mesh:
    """Turns a back about its lower edge at (x, z) so that its top leans backwards."""
    return transform(transform(mesh, (-x, 0, -z)), (x, 0, z), rotation(pitch=-angle))


def _dining_chair(generator: Generator) -> Thing:
    width, depth = generator.uniform(0.4, 0.52), generator.uniform(0.4, 0.52)
    seat, top = generator.uniform(0.42, 0.48), generator.uniform(0.78, 1.08)
    color, texture = finish(generator, 0.25)
    x, y, thick = depth / 2, width / 2, generator.uniform(0.015, 0.028)
    frame = [legs((-x, -y, 0), (x, y, seat - 0.02), thick, generator.uniform(0.6, 1))]
    frame.append(slab((-x, -y, seat - 0.06), (x, y, seat - 0.02)))
    angle = generator.uniform(0.02, 0.22)
    back = [
        cylinder((thick - x, side * (y - thick), seat), (thick - x, side * (y - thick), top), thick)
        for side in (-1, 1)
    ]
    kind = generator.integers(3)
    if kind == 0:  # bars across
        for z in np.linspace(seat + 0.12, top - 0.04, int(generator.integers(2, 5))):
            back.append(slab((-x, -y + thick, z - 0.025), (0.03 - x, y - thick, z + 0.025)))
    elif kind == 1:  # bars up
        for bar in np.linspace(-y + 0.06, y - 0.06, int(generator.integers(3, 7))):
            back.append(cylinder((thick - x, bar, seat), (thick - x, bar, top), 0.011, sides=5))
        back.append(slab((-x, -y, top - 0.07), (0.03 - x, y, top)))
    else:
        back.append(slab((-x, -y, seat + 0.1), (0.03 - x, y, top)))
    frame.append(_leaning(merge(back), angle, -x, seat))
    parts = [part("chair", frame, color, texture)]
    if generator.random() < 0.6:
        shade, pattern = cloth(generator)
    else:
        shade, pattern = color, texture
    parts.append(part("chair", cushion((-x, -y, seat - 0.02), (x, y, seat + 0.03)), shade, pattern))
    return Thing(tuple(parts))


def office_chair(generator: Generator) -> Thing:
    """Draws a swivel chair on five feet."""
    seat, radius = generator.uniform(0.42, 0.54), generator.uniform(0.26, 0.33)
    color, pattern = pick(generator, FABRICS, 0.2), "fabric"
    dark = pick(generator, (BLACK, BLACK, STEEL))
    angles = np.arange(5) * 2 * np.pi / 5 + generator.uniform(0, 1)
    base = [cylinder((0, 0, 0.1), (0, 0, seat - 0.04), 0.03)]
    for c, s in zip(np.cos(angles), np.sin(angles), strict=True):
        base.append(cylinder((0, 0, 0.12), (radius * c, radius * s, 0.07), 0.028, 0.02, 5))
        base.append(
            cylinder(
                (radius * c, radius * s - 0.02, 0.03),
                (radius * c, radius * s + 0.02, 0.03),
                0.03,
                sides=8,
            )
        )
    width, tall = generator.uniform(0.44, 0.54), generator.uniform(0.35, 0.75)
    low = seat + generator.uniform(0.02, 0.16)
    back = cushion((-0.26, -width / 2 + 0.02, low), (-0.19, width / 2 - 0.02, low + tall), 0.03)
    back = _leaning(back, generator.uniform(0.03, 0.2), -0.22, low)
    base.append(slab((-0.27, -0.03, seat - 0.04), (-0.25, 0.03, low + 0.15)))
    base.append(slab((-0.27, -0.03, seat - 0.05), (0.05, 0.03, seat - 0.02)))
    if generator.random() < 0.6:
        z = seat + generator.uniform(0.18, 0.26)
        for side in (-1, 1):
            y = side * (width / 2 + 0.02)
            base.append(slab((-0.15, y - 0.025, z), (0.14, y + 0.025, z + 0.03)))
            base.append(slab((-0.03, y - 0.015, seat - 0.03), (0.02, y + 0.015, z)))
    seat_mesh = cushion((-0.23, -width / 2, seat - 0.03), (0.24, width / 2, seat + 0.04))
    soft = part("chair", [seat_mesh, back], color, pattern)
    return Thing((part("chair", base, dark), soft))


def _shell_chair(generator: Generator) -> Thing:
    width, seat = generator.uniform(0.42, 0.52), generator.uniform(0.42, 0.46)
    y, x = width / 2, generator.uniform(0.2, 0.24)
    shell = [cushion((-x, -y, seat - 0.015), (x, y, seat + 0.015), 0.015)]
    back = cushion((-x, -y, seat + 0.05), (0.03 - x, y, generator.uniform(0.75, 0.86)), 0.015)
    shell.append(_leaning(back, generator.uniform(0.1, 0.3), -x, seat))
    color: Color = pick(generator, (*FABRICS, *WHITES), 0.2)
    frame = [legs((-x, -y, 0), (x, y, seat), 0.012)]
    for side in (-1, 1):
        frame.append(
            slab((-x, side * (y - 0.03), seat), (0.015 - x, side * (y - 0.015), seat + 0.2))
        )
    metal = pick(generator, (STEEL, BLACK))
    return Thing((part("chair", shell, color), part("chair", frame, metal, "metal")))


def armchair(generator: Generator) -> Thing:
    """Draws an upholstered chair, which is much like a sofa for one."""
    return _upholstered(generator, "chair", generator.uniform(0.68, 0.95), 1)


def sofa(generator: Generator) -> Thing:
    """Draws a sofa for two to four."""
    seats = int(generator.choice([2, 3, 4], p=[0.45, 0.45, 0.1]))
    return _upholstered(generator, "sofa", seats * generator.uniform(0.6, 0.75) + 0.35, seats)


def _upholstered(generator: Generator, label: str, width: float, seats: int) -> Thing:
    depth, seat = generator.uniform(0.78, 1.0), generator.uniform(0.38, 0.48)
    top, arm = generator.uniform(0.72, 0.98), generator.uniform(0.1, 0.24)
    arm_top = seat + generator.uniform(0.08, 0.25)
    x, y, back = depth / 2, width / 2, generator.uniform(0.16, 0.26)
    color, pattern = cloth(generator)
    if generator.random() < 0.25:  # leather
        color, pattern = (
            pick(generator, ((0.03, 0.02, 0.02), (0.16, 0.08, 0.04), WHITES[2])),
            "plain",
        )
    foot = generator.uniform(0.02, 0.14)
    body = [
        slab((-x, -y, foot), (x - 0.03, y, seat - 0.12)),
        cushion((-x, -y, foot), (back - x, y, top), 0.06),
        *(cushion((-x, s, foot), (x, s + arm, arm_top), 0.05) for s in (-y, y - arm)),
    ]
    edges = np.linspace(-y + arm, y - arm, seats + 1)
    for a, b in itertools.pairwise(edges):
        body.append(cushion((back - x, a, seat - 0.13), (x, b, seat), 0.04))
        if generator.random() < 0.7:
            body.append(cushion((back - x, a + 0.01, seat), (back - x + 0.17, b - 0.01, top), 0.06))
    if label == "sofa" and generator.random() < 0.2:  # a chaise at one end
        a = -y if generator.random() < 0.5 else y - 0.75
        body.append(cushion((x - 0.05, a, foot), (x + 0.6, a + 0.75, seat), 0.05))
    parts = [part(label, body, color, pattern)]
    parts.append(part(label, legs((-x, -y, 0), (x, y, foot), 0.025), BLACK))
    if generator.random() < 0.45:
        parts.append(_pillows(generator, int(generator.integers(1, 4)), x - 0.3, y - arm, seat))
    return Thing(tuple(parts))


def _pillows(generator: Generator, count: int, x: float, y: float, z: float) -> Part:
    shade, pattern = cloth(generator)
    meshes = []
    for _ in range(count):
        size = generator.uniform(0.17, 0.24)
        pillow = cushion((-0.06, -size, 0), (0.06, size, 2 * size), 0.06)
        turned = rotation(pitch=-0.4, yaw=generator.normal(0, 0.3))
        meshes.append(
            transform(pillow, (x - 0.2, generator.uniform(-1, 1) * max(y - 0.25, 0.02), z), turned)
        )
    return part("pillow", meshes, shade, pattern)


def stool(generator: Generator) -> Thing:
    """Draws a stool or an ottoman, which ScanNet counts as other furniture."""
    height, half = generator.uniform(0.38, 0.7), generator.uniform(0.15, 0.26)
    color, pattern = cloth(generator)
    if generator.random() < 0.4:
        block = cushion((-half, -half, 0.04), (half, half, min(height, 0.46)), 0.05)
        feet = legs((-half, -half, 0), (half, half, 0.05), 0.02)
        return Thing(
            (part("otherfurniture", block, color, pattern), part("otherfurniture", feet, BLACK))
        )
    wood, grain = finish(generator)
    seat = cylinder((0, 0, height - 0.05), (0, 0, height), half, sides=14)
    frame = legs((-half, -half, 0), (half, half, height - 0.04), 0.016)
    return Thing(
        (part("otherfurniture", seat, color, pattern), part("otherfurniture", frame, wood, grain))
    )
