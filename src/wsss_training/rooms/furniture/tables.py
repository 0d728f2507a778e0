"""Tables and desks."""

import itertools

import numpy as np

from wsss_training.rooms.materials import (
    BLACK,
    STEEL,
    WHITES,
    Generator,
    finish,
    legs,
    oval,
    part,
    pick,
    slab,
)
from wsss_training.rooms.scene import Thing
from wsss_training.world.objects.shapes import cylinder, prism
from wsss_training.world.scene import Mesh


def dining_table(generator: Generator) -> Thing:
    """Draws a table to eat at."""
    length, width = generator.uniform(0.8, 1.9), generator.uniform(0.72, 1.0)
    return _table(generator, length, width, generator.uniform(0.70, 0.78), 0.3)


def meeting_table(generator: Generator) -> Thing:
    """Draws a large table."""
    length, width = generator.uniform(1.8, 3.4), generator.uniform(0.95, 1.35)
    return _table(generator, length, width, generator.uniform(0.70, 0.76), 0.25)


def coffee_table(generator: Generator) -> Thing:
    """Draws a low table."""
    length, width = generator.uniform(0.7, 1.25), generator.uniform(0.45, 0.7)
    return _table(generator, length, width, generator.uniform(0.36, 0.5), 0.35)


def side_table(generator: Generator) -> Thing:
    """Draws a small table."""
    size = generator.uniform(0.38, 0.6)
    return _table(
        generator, size, size * generator.uniform(0.8, 1), generator.uniform(0.45, 0.7), 0.4
    )


def _table(generator: Generator, length: float, width: float, top: float, rounded: float) -> Thing:
    x, y, thick = width / 2, length / 2, generator.uniform(0.02, 0.05)
    color, texture = finish(generator, 0.3)
    glass = generator.random() < 0.06
    if generator.random() < rounded:
        if generator.random() < 0.5 and length < 1.5:
            x = y = (x + y) / 2
        board: Mesh = prism(oval(x, y, generator.choice([2.0, 3.0])), top - thick, top, "z")
        inner = 0.66
    else:
        board, inner = slab((-x, -y, top - thick), (x, y, top)), 1.0
    under = _underframe(generator, inner * x, inner * y, top - thick)
    metal = generator.random() < 0.35
    frame = pick(generator, (STEEL, BLACK, WHITES[0])) if metal else color
    parts = (
        part(
            "table",
            board,
            (0.3, 0.36, 0.34) if glass else color,
            "plain" if glass else texture,
            0.6 if glass else 0.0,
        ),
        part("table", under, frame, "metal" if metal else texture),
    )
    return Thing(parts, ((-0.7 * x, -0.7 * y, 0.7 * x, 0.7 * y, top),))


def _underframe(generator: Generator, x: float, y: float, top: float) -> list[Mesh]:
    kind = generator.choice(4, p=[0.55, 0.2, 0.15, 0.1])
    if kind == 0:
        thick = generator.uniform(0.018, 0.045)
        apron = slab((-0.92 * x, -0.92 * y, top - 0.09), (0.92 * x, 0.92 * y, top))
        return [legs((-x, -y, 0), (x, y, top), thick, generator.uniform(0.6, 1)), apron]
    if kind == 1:  # pedestals
        places = [0.0] if y < 0.75 else [-0.6 * y, 0.6 * y]
        return [
            mesh
            for place in places
            for mesh in (
                cylinder((0, place, 0.04), (0, place, top), 0.045, sides=10),
                cylinder((0, place, 0), (0, place, 0.04), 0.75 * x, 0.7 * x, 14),
            )
        ]
    sides = (-0.85 * y, 0.85 * y)
    if kind == 2:  # boards at both ends
        return [slab((-0.85 * x, s - 0.02, 0), (0.85 * x, s + 0.02, top)) for s in sides]
    meshes = [slab((-0.03, -0.8 * y, 0.3 * top), (0.03, 0.8 * y, 0.3 * top + 0.06))]
    for s in sides:  # trestles
        meshes += [cylinder((e * 0.85 * x, s, 0.02), (0.1 * e * x, s, top), 0.025) for e in (-1, 1)]
    return meshes


def desk(generator: Generator) -> Thing:
    """Draws a desk: its back to -x; one sits at +x."""
    width, depth = generator.uniform(1.0, 1.85), generator.uniform(0.55, 0.82)
    top, thick = generator.uniform(0.70, 0.77), generator.uniform(0.02, 0.04)
    x, y = depth / 2, width / 2
    color, texture = finish(generator, 0.35)
    frame_color, frame_texture = color, texture
    if generator.random() < 0.4:
        frame_color, frame_texture = pick(generator, (STEEL, BLACK, WHITES[1])), "metal"
    board = [slab((-x, -y, top - thick), (x, y, top))]
    frame: list[Mesh] = []
    below = top - thick
    if generator.random() < 0.35:  # as a table has
        frame.append(legs((-x, -y, 0), (x, y, below), generator.uniform(0.018, 0.035)))
    else:
        frame += [slab((-x, s, 0), (x - 0.03, s + 0.03, below)) for s in (-y, y - 0.03)]
        frame.append(slab((0.02 - x, -y, generator.uniform(0.1, 0.45)), (0.05 - x, y, below)))
    parts = []
    if generator.random() < 0.6:
        side = generator.choice([-1, 1])
        a, b = sorted((side * (y - 0.04), side * (y - 0.04 - generator.uniform(0.36, 0.46))))
        count = int(generator.integers(2, 5))
        low = generator.uniform(0.03, 0.25)
        frame.append(slab((-x + 0.04, a, low), (x - 0.05, b, below)))
        edges = np.linspace(low, below, count + 1)
        fronts = [
            slab((x - 0.05, a + 0.01, p + 0.01), (x - 0.03, b - 0.01, q - 0.01))
            for p, q in itertools.pairwise(edges)
        ]
        middle = (a + b) / 2
        knobs = [
            slab((x - 0.03, middle - 0.05, z), (x - 0.012, middle + 0.05, z + 0.015))
            for z in edges[1:] - 0.06
        ]
        parts += [part("desk", fronts, color, texture), part("desk", knobs, BLACK, "metal")]
    if generator.random() < 0.2:  # shelves on top
        high = top + generator.uniform(0.3, 0.6)
        for s in (-y, y - 0.025):
            board.append(slab((-x, s, top), (0.26 - x, s + 0.025, high)))
        board.append(slab((-x, -y, high - 0.025), (0.26 - x, y, high)))
    parts += [part("desk", board, color, texture), part("desk", frame, frame_color, frame_texture)]
    return Thing(tuple(parts), ((-0.1 * x, -0.8 * y, 0.7 * x, 0.8 * y, top),))
