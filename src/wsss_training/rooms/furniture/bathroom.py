"""Toilets, sinks, bathtubs, showers."""

import numpy as np

from wsss_training.rooms.furniture.storage import fronts
from wsss_training.rooms.materials import (
    FABRICS,
    STEEL,
    WHITES,
    Generator,
    drape,
    finish,
    hollow,
    oval,
    part,
    pick,
    slab,
)
from wsss_training.rooms.scene import Thing
from wsss_training.world.objects.meshes import merge, transform
from wsss_training.world.objects.shapes import cylinder, prism
from wsss_training.world.scene import Color, Mesh, Part

CERAMIC: tuple[Color, ...] = ((0.82, 0.82, 0.81), (0.80, 0.79, 0.74), (0.70, 0.66, 0.58))


def toilet(generator: Generator) -> Thing:
    """Draws a toilet, its tank against the wall."""
    color = pick(generator, CERAMIC[:2], 0.05)
    seat, long, wide = generator.uniform(0.37, 0.43), generator.uniform(0.21, 0.26), 0.18
    middle = 0.12
    rim = oval(long, wide)
    foot = oval(0.6 * long, 0.6 * wide)
    hung = generator.random() < 0.2
    low = 0.08 if hung else 0.0
    bowl = hollow(
        [(foot, low), (0.95 * foot, 0.2), (rim, seat), (0.72 * rim, seat), (0.4 * rim, 0.2)]
    )
    meshes: list[Mesh] = [transform(bowl, (middle, 0, 0))]
    top = seat + generator.uniform(0.3, 0.4)
    tank = generator.uniform(0.18, 0.24)
    if hung:
        meshes.append(slab((-0.3, -0.2, 0.15), (-0.06, 0.2, seat - 0.02)))
    else:
        meshes.append(slab((-0.32, -tank, seat), (-0.14, tank, top)))
        meshes.append(slab((-0.33, -tank - 0.01, top), (-0.13, tank + 0.01, top + 0.03)))
        meshes.append(slab((-0.3, -0.12, 0), (-0.05, 0.12, seat)))
    if generator.random() < 0.5:  # closed
        meshes.append(transform(prism(1.03 * rim, seat, seat + 0.035, "z"), (middle, 0, 0)))
    else:
        lid = transform(prism(rim[:, ::-1], 0, 0.025, "x"), (-0.13, 0, seat + long))
        meshes.append(lid)
        seat_ring = hollow(
            [(rim, seat), (rim, seat + 0.02), (0.7 * rim, seat + 0.02), (0.7 * rim, seat)]
        )
        meshes.append(transform(seat_ring, (middle, 0, 0)))
    return Thing((part("toilet", meshes, color),))


def faucet(x: float, y: float, z: float, reach: float = 0.13) -> Mesh:
    """Returns a tap that stands at a point and reaches towards +x."""
    post = cylinder((x, y, z), (x, y, z + 0.16), 0.014, sides=6)
    arm = cylinder((x, y, z + 0.15), (x + reach, y, z + 0.12), 0.011, sides=6)
    return merge([post, arm])


def washbasin(generator: Generator) -> Thing:
    """Draws a sink on a pedestal, or on the wall."""
    color = pick(generator, CERAMIC, 0.05)
    x, y, top = (
        generator.uniform(0.2, 0.26),
        generator.uniform(0.24, 0.34),
        generator.uniform(0.78, 0.88),
    )
    outline = oval(x, y, generator.choice([2.5, 4.0]), 20)
    bowl = hollow(
        [(0.55 * outline, top - 0.17), (outline, top - 0.06), (outline, top), (0.82 * outline, top)]
        + [(0.5 * outline, top - 0.13)]
    )
    meshes = [bowl, slab((-x, -0.8 * y, top - 0.1), (-0.8 * x, 0.8 * y, top))]
    if generator.random() < 0.6:
        meshes.append(cylinder((-0.3 * x, 0, 0), (-0.3 * x, 0, top - 0.12), 0.1, 0.08, 10))
    tap = part("otherprop", faucet(-0.8 * x, 0, top), STEEL, "metal")
    return Thing((part("sink", meshes, color), tap))


def basin_in_slab(
    low: tuple[float, float],
    high: tuple[float, float],
    hole: tuple[float, float, float, float],
    top: float,
    thick: float,
) -> list[Mesh]:
    """Returns a worktop between corners (x, y) around a hole (low x, low y, high x, high y)."""
    (x0, y0), (x1, y1) = low, high
    a0, b0, a1, b1 = hole
    bounds = [(x0, y0, x1, b0), (x0, b1, x1, y1), (x0, b0, a0, b1), (a1, b0, x1, b1)]
    return [slab((p, q, top - thick), (r, s, top)) for p, q, r, s in bounds]


def inset_basin(hole: tuple[float, float, float, float], top: float, deep: float) -> Mesh:
    """Returns a basin with a rim that hangs in a hole of a worktop."""
    a0, b0, a1, b1 = hole
    outline = oval((a1 - a0) / 2, (b1 - b0) / 2, 6.0, 20)
    sections = [
        (outline + 0.02 * np.sign(outline), top),
        (outline + 0.02 * np.sign(outline), top + 0.008),
    ]
    sections += [(0.95 * outline, top + 0.008), (0.85 * outline, top - deep)]
    return transform(hollow(sections), ((a0 + a1) / 2, (b0 + b1) / 2, 0))


def vanity(generator: Generator) -> Thing:
    """Draws a cabinet with a counter and a sink."""
    depth, width, top = (
        generator.uniform(0.45, 0.56),
        generator.uniform(0.6, 1.4),
        generator.uniform(0.78, 0.9),
    )
    x, y = depth / 2, width / 2
    paint = finish(generator, 0.5)
    body = slab((-x, 0.01 - y, 0.08), (x - 0.04, y - 0.01, top - 0.16))
    doors = fronts(
        generator,
        "cabinet",
        (x - 0.04, 0.01 - y, 0.1, y - 0.01, top - 0.04),
        max(round(width / 0.45), 1),
        1,
        paint,
    )
    wide = min(0.24, 0.7 * y)
    hole = (-0.45 * x, -wide, 0.6 * x, wide)
    color = pick(generator, (*WHITES, (0.2, 0.19, 0.18), (0.45, 0.4, 0.33)))
    board = basin_in_slab((-x, -y), (x, y), hole, top, 0.03)
    sides = [slab((-x, s, 0.08), (x - 0.04, s + 0.015, top - 0.03)) for s in (-y, y - 0.015)]
    bowl = part("sink", inset_basin(hole, top, 0.12), pick(generator, CERAMIC, 0.05))
    tap = part("otherprop", faucet(-0.7 * x, 0, top), STEEL, "metal")
    top_part = part("counter", board, color, ("stone", "plain")[generator.integers(2)])
    spots = ((-0.8 * x, wide + 0.05, 0.5 * x, y, top),) if y - wide > 0.2 else ()
    return Thing((part("cabinet", [body, *sides], *paint), *doors, top_part, bowl, tap), spots)


def bathtub(generator: Generator) -> Thing:
    """Draws a bathtub, its long side to the wall; some have a shower curtain."""
    length, width, top = (
        generator.uniform(1.45, 1.75),
        generator.uniform(0.68, 0.8),
        generator.uniform(0.42, 0.6),
    )
    x, y = width / 2, length / 2
    inner = oval(0.84 * x, 0.88 * y, 5.0, 20)
    outer = np.clip(oval(x, y, 60.0, 20), [-x, -y], [x, y])
    skin = hollow([(outer, 0), (outer, top), (inner, top), (0.8 * inner, 0.12)])
    color = pick(generator, CERAMIC, 0.05)
    parts = [part("bathtub", skin, color)]
    parts.append(
        part("otherprop", transform(faucet(0, 0, 0), (-0.9 * x, 0, top + 0.1)), STEEL, "metal")
    )
    if generator.random() < 0.75:
        parts += shower_curtain(generator, length, x)
    return Thing(tuple(parts))


def shower_curtain(generator: Generator, length: float, x: float) -> list[Part]:
    """Returns a curtain on its rod along y, drawn across a part of it."""
    high = generator.uniform(1.85, 2.05)
    width = length * generator.uniform(0.3, 0.95)
    sheet = drape(
        width, generator.uniform(0.15, 0.4), high, generator.uniform(0.05, 0.1), generator
    )
    side = generator.choice([-1, 1]) * (length - width) / 2
    color = pick(generator, (*WHITES, *FABRICS[3:]), 0.2)
    cloth = part(
        "shower curtain",
        transform(sheet, (x - 0.05, side, 0)),
        color,
        ("fabric", "bands", "flowers", "checks")[generator.integers(4)],
    )
    rod = cylinder((x, -length / 2, high + 0.01), (x, length / 2, high + 0.01), 0.012, sides=6)
    return [cloth, part("otherstructure", rod, STEEL, "metal")]


def shower(generator: Generator) -> Thing:
    """Draws a shower in a corner: a tray behind a curtain."""
    size = generator.uniform(0.8, 1.0)
    half = size / 2
    tray = slab((-half, -half, 0), (half, half, generator.uniform(0.05, 0.15)))
    head = [cylinder((0.03 - half, 0, 0.9), (0.03 - half, 0, 2.0), 0.012, sides=6)]
    head.append(cylinder((0.03 - half, 0, 2.0), (0.3 - half, 0, 1.95), 0.03, 0.05, 8))
    return Thing(
        (
            part("otherstructure", tray, pick(generator, CERAMIC, 0.05)),
            part("otherprop", head, STEEL, "metal"),
            *shower_curtain(generator, size, half),
        )
    )
