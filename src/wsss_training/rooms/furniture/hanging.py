"""What hangs on walls and at windows: its back at x = 0, its front to +x, its middle at z = 0."""

from wsss_training.rooms.materials import (
    BLACK,
    STEEL,
    WHITES,
    WOODS,
    Generator,
    cloth,
    drape,
    finish,
    part,
    pick,
    slab,
)
from wsss_training.rooms.scene import Thing
from wsss_training.world.objects.meshes import transform
from wsss_training.world.objects.shapes import cylinder


def picture(generator: Generator) -> Thing:
    """Draws a picture in a frame, or a poster without one."""
    width, height = generator.uniform(0.22, 1.1), generator.uniform(0.22, 0.85)
    y, z, thick = width / 2, height / 2, generator.uniform(0.015, 0.04)
    color = pick(generator, (*WHITES, (0.3, 0.3, 0.4), (0.5, 0.35, 0.2)), 0.3)
    texture = "print" if generator.random() < 0.15 else "art"
    if generator.random() < 0.3:
        return Thing((part("picture", slab((0, -y, -z), (0.012, y, z)), color, texture),))
    rim = generator.uniform(0.015, 0.06)
    frame = [
        *(slab((0, -y - rim, s), (thick, y + rim, s + rim)) for s in (-z - rim, z)),
        *(slab((0, s, -z), (thick, s + rim, z)) for s in (-y - rim, y)),
    ]
    sheet = slab((0, -y, -z), (0.6 * thick, y, z))
    lost = 0.15 if generator.random() < 0.4 else 0.0  # behind glass
    paint = pick(generator, (*WOODS, BLACK, BLACK, WHITES[0], STEEL))
    return Thing((part("picture", sheet, color, texture, lost), part("picture", frame, paint)))


def whiteboard(generator: Generator) -> Thing:
    """Draws a whiteboard."""
    y, z = generator.uniform(0.5, 1.25), generator.uniform(0.4, 0.62)
    board = slab((0, -y, -z), (0.02, y, z))
    rim = [slab((0, -y, s), (0.03, y, s + 0.02)) for s in (-z, z - 0.02)]
    rim.append(slab((0, -y / 2, -z - 0.01), (0.08, y / 2, 0.01 - z)))
    return Thing((part("whiteboard", board, (0.82, 0.82, 0.82)), part("whiteboard", rim, STEEL)))


def mirror(generator: Generator) -> Thing:
    """Draws a mirror; depth cameras mostly fail there."""
    y, z = generator.uniform(0.22, 0.6), generator.uniform(0.3, 0.5)
    glass = part("mirror", slab((0, -y, -z), (0.012, y, z)), (0.38, 0.40, 0.41), "plain", 0.8)
    frame = slab((0, -y - 0.02, -z - 0.02), (0.008, y + 0.02, z + 0.02))
    return Thing((glass, part("mirror", frame, pick(generator, (*WOODS, STEEL)))))


def television(generator: Generator) -> Thing:
    """Draws a flat television or a large screen."""
    y = generator.uniform(0.4, 0.75)
    z = 0.57 * y
    screen = part(
        "television",
        slab((0.03, 0.015 - y, 0.015 - z), (0.062, y - 0.015, z - 0.015)),
        (0.012, 0.013, 0.016),
        "plain",
        0.4,
    )
    return Thing((part("television", slab((0, -y, -z), (0.06, y, z)), BLACK), screen))


def clock(generator: Generator) -> Thing:
    """Draws a clock."""
    radius = generator.uniform(0.12, 0.18)
    disc = cylinder((0, 0, 0), (0.03, 0, 0), radius, sides=16)
    face = cylinder((0.03, 0, 0), (0.034, 0, 0), 0.85 * radius, sides=16)
    return Thing(
        (
            part("otherprop", disc, pick(generator, (BLACK, STEEL))),
            part("otherprop", face, WHITES[0]),
        )
    )


def towel(generator: Generator) -> Thing:
    """Draws a towel on its bar."""
    width, height = generator.uniform(0.3, 0.6), generator.uniform(0.4, 0.8)
    sheet = transform(drape(width, -height / 2, height / 2, 0.03, generator), (0.05, 0, 0))
    bar = cylinder(
        (0.05, -width / 2 - 0.05, height / 2), (0.05, width / 2 + 0.05, height / 2), 0.01
    )
    return Thing((part("towel", sheet, *cloth(generator)), part("otherprop", bar, STEEL, "metal")))


def wall_cabinet(generator: Generator) -> Thing:
    """Draws a small cabinet on a wall."""
    y, z, deep = (
        generator.uniform(0.2, 0.5),
        generator.uniform(0.25, 0.4),
        generator.uniform(0.15, 0.35),
    )
    paint = finish(generator, 0.5)
    doors = [
        slab((deep, a + 0.004, 0.004 - z), (deep + 0.018, b - 0.004, z - 0.004))
        for a, b in ((-y, 0), (0, y))
    ]
    knobs = [
        slab((deep + 0.02, s - 0.01, -0.6 * z), (deep + 0.04, s + 0.01, -0.3 * z))
        for s in (-0.05, 0.05)
    ]
    return Thing(
        (
            part("cabinet", [slab((0, -y, -z), (deep, y, z)), *doors], *paint),
            part("cabinet", knobs, STEEL),
        )
    )


def radiator(generator: Generator) -> Thing:
    """Draws a radiator."""
    y, z = generator.uniform(0.35, 0.8), generator.uniform(0.22, 0.32)
    ribs = [
        slab((0.04, -y + k * 0.06, -z), (0.1, -y + k * 0.06 + 0.045, z))
        for k in range(int(2 * y / 0.06))
    ]
    panel = slab((0.06, -y, 0.03 - z), (0.08, y, z - 0.03))
    return Thing((part("otherfurniture", [*ribs, panel], pick(generator, WHITES, 0.06)),))
