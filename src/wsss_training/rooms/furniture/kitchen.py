"""Kitchen units: cabinets below a counter with a sink and a stove, and cabinets above."""

import numpy as np

from wsss_training.rooms.furniture.bathroom import basin_in_slab, faucet, inset_basin
from wsss_training.rooms.furniture.storage import fronts
from wsss_training.rooms.materials import (
    BLACK,
    STEEL,
    WHITES,
    WOODS,
    Generator,
    finish,
    oval,
    part,
    pick,
    slab,
)
from wsss_training.rooms.scene import Thing
from wsss_training.world.objects.shapes import prism
from wsss_training.world.scene import Part


def kitchen_unit(generator: Generator) -> Thing:
    """Draws a row of kitchen units with a sink; most have a stove and cabinets above."""
    width = generator.uniform(1.5, 3.4)
    depth, top = generator.uniform(0.58, 0.65), generator.uniform(0.86, 0.93)
    x, y, thick = depth / 2, width / 2, 0.04
    paint = finish(generator, 0.5)
    stove = generator.random() < 0.7 and width > 1.7
    split = -y + 0.6 if stove else -y
    parts: list[Part] = []
    wide = generator.uniform(0.25, 0.4)
    middle = generator.uniform(split + wide + 0.08, y - wide - 0.08)
    hole = (-0.55 * x, middle - wide, 0.55 * x, middle + wide)
    carcass = [slab((-x, split, 0.1), (x - 0.05, y, top - 0.22))]
    carcass += [slab((-x, s, 0.1), (x - 0.05, s + 0.02, top - thick)) for s in (split, y - 0.02)]
    parts.append(part("cabinet", carcass, *paint))
    parts.append(part("cabinet", slab((-x, split, 0), (x - 0.1, y, 0.1)), BLACK))
    columns = max(round((y - split) / 0.5), 1)
    face = (x - 0.05, split, 0.1, y, top - thick)
    parts += fronts(generator, "cabinet", face, columns, 1, paint)
    colors = (*WHITES, *WOODS[:2], (0.12, 0.12, 0.12), (0.4, 0.36, 0.3))
    board = basin_in_slab((-x, split), (x + 0.02, y), hole, top, thick)
    parts.append(
        part(
            "counter",
            board,
            pick(generator, colors),
            ("stone", "plain", "across")[generator.integers(3)],
        )
    )
    parts.append(
        part(
            "sink",
            inset_basin(hole, top, 0.17),
            pick(generator, (STEEL, STEEL, WHITES[0]), 0.08),
            "metal",
        )
    )
    parts.append(part("otherprop", faucet(-0.75 * x, middle, top, 0.2), STEEL, "metal"))
    if stove:
        parts += _stove(generator, x, -y, top)
    if generator.random() < 0.8:
        parts += _wall_cabinets(generator, x, y, paint)
    spots = (
        (-0.7 * x, split, 0.5 * x, hole[1] - 0.05, top),
        (-0.7 * x, hole[3] + 0.05, 0.5 * x, y, top),
    )
    return Thing(tuple(parts), tuple(s for s in spots if s[3] - s[1] > 0.25))


def _stove(generator: Generator, x: float, y: float, top: float) -> list[Part]:
    color = pick(generator, (WHITES[0], STEEL, BLACK))
    body = [slab((-x, y + 0.005, 0.02), (x - 0.02, y + 0.595, top))]
    body.append(slab((x - 0.02, y + 0.02, 0.15), (x, y + 0.58, top - 0.16)))
    plates = [
        prism(oval(0.09, 0.09) + [a, y + b], top, top + 0.012, "z")
        for a in (-0.13, 0.13)
        for b in (0.16, 0.44)
    ]
    glass = slab((x, y + 0.1, 0.25), (x + 0.004, y + 0.5, top - 0.28))
    bar = slab((x + 0.02, y + 0.08, top - 0.2), (x + 0.04, y + 0.52, top - 0.18))
    return [
        part("otherfurniture", body, color),
        part("otherfurniture", [*plates, glass], BLACK),
        part("otherfurniture", bar, STEEL, "metal"),
    ]


def _wall_cabinets(generator: Generator, x: float, y: float, paint: tuple) -> list[Part]:
    low, high = generator.uniform(1.35, 1.5), generator.uniform(2.0, 2.25)
    start, end = -y, y
    if generator.random() < 0.5:
        start, end = (-y, y - 0.7) if generator.random() < 0.5 else (0.7 - y, y)
    front = -x + generator.uniform(0.3, 0.37)
    columns = max(int(np.rint((end - start) / 0.45)), 1)
    return [
        part("cabinet", slab((-x, start, low), (front, end, high)), *paint),
        *fronts(generator, "cabinet", (front, start, low, end, high), columns, 1, paint),
    ]


def counter_bar(generator: Generator) -> Thing:
    """Draws a counter that stands alone: of a kitchen, a shop or a reception."""
    x, y = generator.uniform(0.25, 0.35), generator.uniform(0.6, 1.1)
    top = generator.uniform(0.88, 1.1)
    paint = finish(generator, 0.4)
    body = slab((-x + 0.04, -y + 0.03, 0), (x - 0.06, y - 0.03, top - 0.04))
    board = slab((-x, -y, top - 0.04), (x, y, top))
    color = pick(generator, (*WHITES, *WOODS[:3], (0.12, 0.12, 0.12)))
    return Thing(
        (
            part("cabinet" if generator.random() < 0.6 else "counter", body, *paint),
            part("counter", board, color, ("stone", "across")[generator.integers(2)]),
        ),
        ((-0.6 * x, -0.8 * y, 0.6 * x, 0.8 * y, top),),
    )
