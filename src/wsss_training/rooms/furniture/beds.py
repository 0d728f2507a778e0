"""Beds and bunk beds."""

import numpy as np

from wsss_training.rooms.materials import (
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
from wsss_training.world.objects.shapes import cylinder
from wsss_training.world.scene import Part


def bed(generator: Generator) -> Thing:
    """Draws a bed with its head against the wall."""
    if generator.random() < 0.1:
        return _bunk_bed(generator)
    width = float(generator.choice([0.95, 1.2, 1.45, 1.75])) * generator.uniform(0.95, 1.05)
    length, top = generator.uniform(1.92, 2.1), generator.uniform(0.4, 0.68)
    x, y = length / 2, width / 2
    color, texture = finish(generator, 0.3)
    thick = generator.uniform(0.15, 0.26)
    frame = [slab((-x, -y, top - thick - generator.uniform(0.05, 0.15)), (x, y, top - thick))]
    if generator.random() < 0.5:
        frame.append(legs((-x, -y, 0), (x, y, top - thick), 0.035))
    else:
        frame.append(slab((-x, -y, 0.01), (x, y, top - thick)))
    if generator.random() < 0.75:
        high = generator.uniform(0.8, 1.25)
        frame.append(slab((-x - 0.06, -y - 0.02, 0), (-x, y + 0.02, high)))
        if generator.random() < 0.4:
            frame.append(slab((x, -y - 0.02, 0), (x + 0.05, y + 0.02, generator.uniform(0.5, 0.8))))
    return Thing((part("bed", frame, color, texture), *_bedding(generator, x, y, top, thick)))


def _bedding(generator: Generator, x: float, y: float, top: float, thick: float) -> list[Part]:
    mattress = cushion((-x + 0.01, -y + 0.01, top - thick), (x - 0.01, y - 0.01, top), 0.05)
    parts = [part("bed", mattress, pick(generator, WHITES), "fabric")]
    shade, pattern = cloth(generator)
    start = -x + generator.uniform(0.35, 0.9)
    drop = generator.uniform(0.05, thick)
    blanket = cushion((start, -y - 0.02, top - drop), (x + 0.015, y + 0.02, top + 0.045), 0.04)
    parts.append(part("bed", blanket, shade, pattern))
    if generator.random() < 0.9:
        count = 2 if y > 0.6 else 1
        size = 0.8 * y / count
        places = np.linspace(-y / 2, y / 2, 2) if count == 2 else [0.0]
        meshes = [
            cushion((-x + 0.03, place - size, top), (-x + 0.42, place + size, top + 0.13), 0.06)
            for place in places
        ]
        color, pattern = cloth(generator) if generator.random() < 0.4 else (WHITES[0], "fabric")
        parts.append(part("pillow", meshes, color, pattern))
    return parts


def _bunk_bed(generator: Generator) -> Thing:
    x, y, high = 1.0, generator.uniform(0.45, 0.52), generator.uniform(1.55, 1.8)
    color, texture = finish(generator, 0.4)
    frame = [legs((-x, -y, 0), (x, y, high), 0.04)]
    parts = []
    for deck in (0.4, high - 0.35):
        frame.append(slab((-x, -y, deck - 0.14), (x, y, deck - 0.04)))
        parts += _bedding(generator, x - 0.05, y - 0.04, deck + 0.08, 0.12)
    frame += [slab((-x, s, high - 0.1), (x, s + 0.025, high)) for s in (-y, y - 0.025)]
    for z in np.arange(0.3, high, 0.28):
        frame.append(cylinder((x + 0.02, -0.2, z), (x + 0.02, 0.2, z), 0.016, sides=5))
    return Thing((part("bed", frame, color, texture), *parts))
