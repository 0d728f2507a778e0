"""Cabinets, wardrobes, shelves with books, refrigerators."""

import itertools

import numpy as np

from wsss_training.rooms.materials import (
    BLACK,
    FABRICS,
    STEEL,
    WHITES,
    Generator,
    finish,
    legs,
    part,
    pick,
    slab,
)
from wsss_training.rooms.scene import Thing
from wsss_training.world.scene import Mesh, Part


def fronts(
    generator: Generator,
    label: str,
    face: tuple[float, float, float, float, float],
    columns: int,
    rows: int,
    paint: tuple,
) -> list[Part]:
    """Returns doors or drawers with handles.

    Args:
        generator: of their style.
        label: their class.
        face: x of the carcass's front, and low y, low z, high y, high z of it.
        columns: side by side.
        rows: above each other.
        paint: colour and pattern.
    """
    x, y0, z0, y1, z1 = face
    gap, style = generator.uniform(0.003, 0.01), generator.integers(3)
    doors: list[Mesh] = []
    handles: list[Mesh] = []
    for a, b in _intervals(y0, y1, columns):
        for low, high in _intervals(z0, z1, rows):
            doors.append(slab((x, a + gap, low + gap), (x + 0.018, b - gap, high - gap)))
            rim = 0.05 if min(b - a, high - low) > 0.25 else 0.0
            if style == 0 and rim:  # a frame on each
                for p, q in ((low + gap, low + rim), (high - rim, high - gap)):
                    doors.append(slab((x + 0.018, a + gap, p), (x + 0.03, b - gap, q)))
                for p, q in ((a + gap, a + rim), (b - rim, b - gap)):
                    doors.append(slab((x + 0.018, p, low + gap), (x + 0.03, q, high - gap)))
            middle, drawer = (a + b) / 2, high - low < b - a
            if style == 2 and not drawer:
                continue
            z = high - 0.06 if drawer else (low + high) / 2
            if drawer:
                handles.append(
                    slab((x + 0.02, middle - 0.06, z - 0.008), (x + 0.045, middle + 0.06, z))
                )
            else:
                at = b - 0.05 if round((a - y0) / (b - a)) % 2 == 0 else a + 0.05
                handles.append(
                    slab((x + 0.02, at - 0.006, z - 0.07), (x + 0.045, at + 0.006, z + 0.07))
                )
    parts = [part(label, doors, *paint)]
    if handles:
        parts.append(part(label, handles, pick(generator, (STEEL, BLACK)), "metal"))
    return parts


def _intervals(low: float, high: float, count: int) -> list[tuple[float, float]]:
    edges = np.linspace(low, high, count + 1)
    return [(float(a), float(b)) for a, b in itertools.pairwise(edges)]


def _chest(
    generator: Generator, label: str, size: tuple[float, float, float], columns: int, rows: int
) -> Thing:
    depth, width, height = size
    x, y, foot = depth / 2, width / 2, generator.uniform(0.0, 0.14)
    paint = finish(generator, 0.45)
    carcass = [slab((-x, -y, max(foot, 0.02)), (x - 0.02, y, height))]
    carcass.append(legs((-x, -y, 0), (x - 0.03, y, foot + 0.03), 0.02))
    parts = fronts(
        generator, label, (x - 0.02, -y, foot + 0.02, y, height - 0.02), columns, rows, paint
    )
    top = (-0.8 * x, -0.85 * y, 0.7 * x, 0.85 * y, height)
    return Thing((part(label, carcass, *paint), *parts), (top,) if height < 1.5 else ())


def sideboard(generator: Generator) -> Thing:
    """Draws a low, broad cabinet."""
    width = generator.uniform(0.7, 1.8)
    size = (generator.uniform(0.35, 0.5), width, generator.uniform(0.5, 1.0))
    return _chest(
        generator, "cabinet", size, max(int(width / 0.5), 1), int(generator.integers(1, 3))
    )


def wardrobe(generator: Generator) -> Thing:
    """Draws a cabinet as tall as a person."""
    width = generator.uniform(0.75, 1.9)
    size = (generator.uniform(0.48, 0.62), width, generator.uniform(1.7, 2.2))
    return _chest(generator, "cabinet", size, max(int(width / 0.5), 1), 1)


def file_cabinet(generator: Generator) -> Thing:
    """Draws a cabinet for files: narrow, with drawers."""
    rows = int(generator.integers(2, 5))
    size = (generator.uniform(0.45, 0.62), generator.uniform(0.38, 0.9), rows * 0.33 + 0.03)
    return _chest(generator, "cabinet", size, 1, rows)


def dresser(generator: Generator) -> Thing:
    """Draws a chest of drawers, a class that ScanNet's benchmark leaves out."""
    size = (generator.uniform(0.4, 0.5), generator.uniform(0.7, 1.5), generator.uniform(0.75, 1.2))
    return _chest(
        generator, "dresser", size, int(generator.integers(1, 3)), int(generator.integers(3, 5))
    )


def night_stand(generator: Generator) -> Thing:
    """Draws a small chest beside a bed."""
    size = (
        generator.uniform(0.35, 0.45),
        generator.uniform(0.4, 0.55),
        generator.uniform(0.45, 0.65),
    )
    return _chest(generator, "night stand", size, 1, int(generator.integers(1, 3)))


def bookshelf(generator: Generator) -> Thing:
    """Draws a bookshelf; what stands in it belongs to it, as annotators mostly have it."""
    width, depth = generator.uniform(0.6, 1.3), generator.uniform(0.24, 0.38)
    height = generator.uniform(0.9, 2.2)
    x, y = depth / 2, width / 2
    paint = finish(generator, 0.35)
    count = max(round(height / generator.uniform(0.3, 0.42)), 2)
    levels = np.linspace(0.06, height - 0.02, count + 1)
    frame = [slab((-x, s, 0), (x, s + 0.02, height)) for s in (-y, y - 0.02)]
    frame += [slab((-x, -y, z), (x, y, z + 0.02)) for z in levels]
    if generator.random() < 0.75:
        frame.append(slab((-x, -y, 0.06), (0.012 - x, y, height)))
    parts = [part("bookshelf", frame, *paint)]
    piles: list[list[Mesh]] = [[], [], [], []]
    full = generator.uniform(0.3, 1.0)
    for z, above in itertools.pairwise(levels):
        if generator.random() > full:
            continue
        end = y - 0.03 - generator.uniform(0, 1.2 * y) * (generator.random() < 0.5)
        edges = np.cumsum(np.append(-y + 0.025, generator.uniform(0.018, 0.06, 60)))
        edges = edges[edges < end]
        tall = (above - z - 0.04) * generator.uniform(0.6, 0.98, len(edges))
        deep = x - generator.uniform(0.02, 0.12, len(edges))
        for a, b, t, d in zip(edges, edges[1:], tall, deep, strict=False):
            book = slab((0.02 - x, a, z + 0.02), (d, b - 0.002, z + 0.02 + t))
            piles[generator.integers(4)].append(book)
    label = "bookshelf" if generator.random() < 0.75 else "books"
    colors = (*FABRICS, *WHITES)
    parts += [part(label, pile, pick(generator, colors, 0.25)) for pile in piles if pile]
    return Thing(tuple(parts))


def refrigerator(generator: Generator) -> Thing:
    """Draws a refrigerator with one or two doors; some are built like a cabinet."""
    width, depth = generator.uniform(0.54, 0.92), generator.uniform(0.58, 0.74)
    height = (
        generator.uniform(0.83, 1.0) if generator.random() < 0.15 else generator.uniform(1.45, 1.95)
    )
    x, y = depth / 2, width / 2
    color = pick(generator, (*WHITES, STEEL, STEEL, (0.12, 0.12, 0.13)), 0.08)
    body = [slab((-x, -y, 0.04), (x - 0.07, y, height))]
    cut = height * generator.uniform(0.28, 0.72) if height > 1.2 else height - 0.005
    doors = [(0.06, cut - 0.005)] + ([(cut + 0.005, height)] if height > 1.2 else [])
    body += [slab((x - 0.065, -y, a), (x, y, b)) for a, b in doors]
    at = (y - 0.06) * generator.choice([-1, 1])
    handles = [
        slab(
            (x + 0.02, at - 0.012, b - 0.45 if a < 0.1 else a + 0.05),
            (x + 0.05, at + 0.012, b - 0.05 if a < 0.1 else min(a + 0.4, b - 0.05)),
        )
        for a, b in doors
    ]
    base = slab((0.05 - x, 0.02 - y, 0), (x - 0.1, y - 0.02, 0.06))
    return Thing(
        (
            part("refrigerator", body, color, "metal" if color[0] < 0.6 else "plain"),
            part("refrigerator", handles, pick(generator, (STEEL, BLACK, color)), "metal"),
            part("refrigerator", base, BLACK),
        )
    )
