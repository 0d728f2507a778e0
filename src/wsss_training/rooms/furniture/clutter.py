"""Small things, lamps and what else stands about; most is in no class of the benchmark."""

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
    hollow,
    oval,
    part,
    pick,
    slab,
)
from wsss_training.rooms.scene import Thing
from wsss_training.world.objects.meshes import rotation, transform
from wsss_training.world.objects.shapes import cylinder, ellipsoid, leaves, prism
from wsss_training.world.scene import Mesh

CARDBOARD = ((0.42, 0.29, 0.17), (0.5, 0.37, 0.24), (0.65, 0.64, 0.6))


def carton(generator: Generator) -> Thing:
    """Draws a box."""
    x, y, z = (
        generator.uniform(0.1, 0.25),
        generator.uniform(0.12, 0.3),
        generator.uniform(0.12, 0.45),
    )
    return Thing((part("box", slab((-x, -y, 0), (x, y, z)), pick(generator, CARDBOARD)),))


def bag(generator: Generator) -> Thing:
    """Draws a bag or a backpack."""
    x, y, z = (
        generator.uniform(0.09, 0.16),
        generator.uniform(0.14, 0.24),
        generator.uniform(0.28, 0.48),
    )
    return Thing(
        (
            part(
                "bag",
                cushion((-x, -y, 0), (x, y, z), 0.08),
                pick(generator, FABRICS, 0.3),
                "fabric",
            ),
        )
    )


def trash_can(generator: Generator) -> Thing:
    """Draws a bin, which ScanNet counts as other furniture."""
    radius, high = generator.uniform(0.11, 0.2), generator.uniform(0.25, 0.6)
    outline = oval(radius, radius * generator.uniform(0.7, 1), generator.choice([2.0, 4.0]))
    color = pick(generator, (BLACK, STEEL, WHITES[1], (0.1, 0.2, 0.35), (0.3, 0.3, 0.3)))
    sections = [(0.8 * outline, 0), (outline, high), (0.92 * outline, high), (0.75 * outline, 0.03)]
    return Thing((part("otherfurniture", hollow(sections), color),))


def floor_lamp(generator: Generator) -> Thing:
    """Draws a lamp on a stand."""
    high, radius = generator.uniform(1.3, 1.8), generator.uniform(0.13, 0.22)
    stand = [
        cylinder((0, 0, 0.02), (0, 0, high), 0.014),
        cylinder((0, 0, 0), (0, 0, 0.025), 0.15, sides=12),
    ]
    shade = cylinder((0, 0, high - 0.12), (0, 0, high + 0.18), radius, 0.7 * radius, 12)
    return Thing(
        (
            part("lamp", stand, pick(generator, (BLACK, STEEL)), "metal"),
            part("lamp", shade, (0.8, 0.72, 0.55), "glow"),
        )
    )


def table_lamp(generator: Generator) -> Thing:
    """Draws a lamp for a table."""
    high, radius = generator.uniform(0.25, 0.42), generator.uniform(0.1, 0.16)
    foot = [
        cylinder((0, 0, 0), (0, 0, high), 0.045, 0.02),
        cylinder((0, 0, 0), (0, 0, 0.02), 0.08, sides=10),
    ]
    shade = cylinder((0, 0, high - 0.04), (0, 0, high + 0.16), radius, 0.7 * radius, 12)
    return Thing(
        (
            part("lamp", foot, pick(generator, FABRICS, 0.3)),
            part("lamp", shade, (0.8, 0.74, 0.6), "glow"),
        )
    )


def monitor(generator: Generator) -> Thing:
    """Draws a computer's screen with its keyboard, which face +x."""
    y, z = generator.uniform(0.22, 0.34), generator.uniform(0.32, 0.4)
    turn = rotation(yaw=generator.normal(0, 0.15))
    body: list[Mesh] = [
        slab((-0.16, -0.1, 0), (0.0, 0.1, 0.015)),
        slab((-0.12, -0.03, 0), (-0.1, 0.03, 0.25)),
    ]
    body.append(slab((-0.1, -y, 0.1), (-0.06, y, 0.1 + z)))
    keys = slab((0.08, -0.2, 0), (0.22, 0.2, 0.02))
    on = generator.random() < 0.5
    screen = slab((-0.06, 0.01 - y, 0.11), (-0.055, y - 0.01, 0.09 + z))
    shine = (0.2, 0.26, 0.36) if on else (0.012, 0.013, 0.016)
    dark = pick(generator, (BLACK, BLACK, WHITES[1]))
    return Thing(
        (
            part("otherprop", [transform(m, rotate=turn) for m in (*body, keys)], dark),
            part(
                "otherprop", transform(screen, rotate=turn), shine, "glow" if on else "plain", 0.3
            ),
        )
    )


def laptop(generator: Generator) -> Thing:
    """Draws an open laptop that faces +x."""
    turn = rotation(yaw=generator.normal(0, 0.4))
    lid = transform(slab((-0.01, -0.16, 0), (0, 0.16, 0.22)), (-0.1, 0, 0.01), rotation(pitch=-0.3))
    meshes = [slab((-0.11, -0.16, 0), (0.12, 0.16, 0.018)), lid]
    return Thing(
        (
            part(
                "otherprop",
                [transform(m, rotate=turn) for m in meshes],
                pick(generator, (STEEL, BLACK)),
            ),
        )
    )


def book_pile(generator: Generator) -> Thing:
    """Draws a few books on each other."""
    parts, z = [], 0.0
    for _ in range(int(generator.integers(1, 5))):
        x, y, t = (
            generator.uniform(0.08, 0.12),
            generator.uniform(0.1, 0.15),
            generator.uniform(0.015, 0.045),
        )
        book = transform(
            slab((-x, -y, z), (x, y, z + t)), rotate=rotation(yaw=generator.normal(0, 0.2))
        )
        parts.append(part("books", book, pick(generator, (*FABRICS, *WHITES), 0.3)))
        z += t
    return Thing(tuple(parts))


def papers(generator: Generator) -> Thing:
    """Draws a stack of paper."""
    sheet = transform(
        slab((-0.105, -0.15, 0), (0.105, 0.15, 0.012)),
        rotate=rotation(yaw=generator.normal(0, 0.3)),
    )
    return Thing((part("paper", sheet, (0.75, 0.75, 0.73), "print"),))


def vessel(generator: Generator) -> Thing:
    """Draws a mug, a bottle or a vase."""
    radius, high = generator.uniform(0.03, 0.06), generator.uniform(0.09, 0.28)
    color = pick(generator, (*FABRICS, *WHITES, (0.6, 0.2, 0.1)), 0.3)
    return Thing(
        (
            part(
                "otherprop",
                cylinder((0, 0, 0), (0, 0, high), radius, radius * generator.uniform(0.5, 1.2), 10),
                color,
            ),
        )
    )


def appliance(generator: Generator) -> Thing:
    """Draws a microwave, a toaster or a kettle."""
    x, y, z = (
        generator.uniform(0.08, 0.17),
        generator.uniform(0.1, 0.25),
        generator.uniform(0.16, 0.3),
    )
    body = cushion((-x, -y, 0), (x, y, z), 0.03)
    front = slab((x, -0.8 * y, 0.15 * z), (x + 0.006, 0.5 * y, 0.85 * z))
    return Thing(
        (
            part("otherprop", body, pick(generator, (*WHITES, STEEL, BLACK))),
            part("otherprop", front, BLACK),
        )
    )


def plant(generator: Generator) -> Thing:
    """Draws a plant in a pot."""
    high, radius = generator.uniform(0.4, 1.3), generator.uniform(0.1, 0.17)
    pot = prism(oval(radius, radius), 0, 2 * radius, "z")
    crown = leaves(
        140,
        (0, 0, 0.55 * high + radius),
        (0.25 * high**0.5, 0.25 * high**0.5, 0.42 * high),
        0.09,
        generator,
    )
    stem = cylinder((0, 0, radius), (0, 0, 0.6 * high), 0.015)
    pot_color = pick(generator, ((0.4, 0.2, 0.12), WHITES[0], BLACK, (0.35, 0.33, 0.3)))
    return Thing(
        (
            part("otherprop", pot, pot_color),
            part("otherprop", crown, pick(generator, ((0.08, 0.2, 0.05), (0.15, 0.3, 0.08)))),
            part("otherprop", stem, (0.2, 0.13, 0.07)),
        )
    )


def coat_rack(generator: Generator) -> Thing:
    """Draws a stand with coats."""
    high = generator.uniform(1.6, 1.85)
    paint = finish(generator)
    stand = [
        cylinder((0, 0, 0), (0, 0, high), 0.025),
        cylinder((0, 0, 0), (0, 0, 0.03), 0.22, sides=12),
    ]
    parts = [part("otherfurniture", stand, *paint)]
    for angle in generator.uniform(0, 2 * np.pi, int(generator.integers(0, 4))):
        place = (0.12 * np.cos(angle), 0.12 * np.sin(angle), high - 0.5)
        parts.append(part("clothes", ellipsoid(place, (0.12, 0.12, 0.45), 8, 5), *cloth(generator)))
    return Thing(tuple(parts))


def ladder_rack(generator: Generator) -> Thing:
    """Draws an open metal rack with boxes: other furniture that looks like a bookshelf."""
    x, y, z = (
        generator.uniform(0.18, 0.25),
        generator.uniform(0.35, 0.6),
        generator.uniform(1.2, 1.9),
    )
    posts = [
        slab((a - 0.015, b - 0.015, 0), (a + 0.015, b + 0.015, z))
        for a in (0.015 - x, x - 0.015)
        for b in (0.015 - y, y - 0.015)
    ]
    levels = np.linspace(0.15, z - 0.03, int(generator.integers(3, 5)))
    boards = [slab((-x, -y, h), (x, y, h + 0.02)) for h in levels]
    boxes = []
    for h in levels[:-1]:
        for b in generator.uniform(-0.5 * y, 0.5 * y, int(generator.integers(0, 3)))[:1]:
            boxes.append(
                slab(
                    (-0.8 * x, b - 0.14, h + 0.02),
                    (0.8 * x, b + 0.14, h + generator.uniform(0.12, 0.25)),
                )
            )
    parts = [
        part(
            "otherfurniture", [*posts, *boards], pick(generator, (STEEL, BLACK, WHITES[1])), "metal"
        )
    ]
    if boxes:
        parts.append(part("box", boxes, pick(generator, CARDBOARD)))
    return Thing(tuple(parts))


def washing_machine(generator: Generator) -> Thing:
    """Draws a washing machine or a dryer."""
    x, y, z = 0.28, 0.3, generator.uniform(0.84, 0.9)
    door = [
        cylinder((x, 0, 0.45), (x + 0.03, 0, 0.45), 0.19, 0.17, 16),
        slab((x, -0.9 * y, z - 0.1), (x + 0.01, 0.9 * y, z - 0.03)),
    ]
    parts = (
        part(
            "otherfurniture", slab((-x, -y, 0), (x, y, z)), pick(generator, (*WHITES, STEEL), 0.06)
        ),
        part("otherfurniture", door, (0.1, 0.1, 0.11)),
    )
    return Thing(parts, ((-0.7 * x, -0.8 * y, 0.6 * x, 0.8 * y, z),))


def rug(generator: Generator) -> Thing:
    """Draws a rug."""
    x, y = generator.uniform(0.5, 1.1), generator.uniform(0.7, 1.5)
    return Thing((part("floor mat", slab((-x, -y, 0), (x, y, 0.012)), *cloth(generator)),))
