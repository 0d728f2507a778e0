"""Floors, ceilings, walls with their doors and windows, curtains and lamps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsss_training.rooms.materials import (
    BLACK,
    STEEL,
    WHITES,
    Generator,
    cloth,
    drape,
    finish,
    part,
    pick,
    slab,
)
from wsss_training.rooms.placement import Wall
from wsss_training.rooms.scene import Space
from wsss_training.world.objects.meshes import rotation, transform
from wsss_training.world.objects.shapes import cylinder
from wsss_training.world.scene import Actor, Color, Mesh, Part

THICKNESS = 0.1
_CORRIDOR = 1.4  # metres that are seen through an open door
_BESIDE = 0.15  # metres that it is wider, on each side; a room next door is not far

Paint = tuple[Color, str]


@dataclass(frozen=True)
class Opening:
    """A hole in a wall.

    Attributes:
        kind: door, open_door, doorway or window.
        along: where it starts and ends on the wall, metres from its origin.
        up: its lower and upper edge.
    """

    kind: str
    along: tuple[float, float]
    up: tuple[float, float]


def wall_actor(
    wall: Wall, height: float, openings: Sequence[Opening], paint: Paint, base: Color | None
) -> Actor:
    """Builds a wall around its openings, with a baseboard where ``base`` is its colour."""
    holes = sorted(openings, key=lambda hole: hole.along)
    panels, boards, last = [], [], -THICKNESS
    for hole in holes:
        panels.append(((last, hole.along[0]), (0.0, height)))
        panels.append((hole.along, (0.0, hole.up[0])))
        panels.append((hole.along, (hole.up[1], height)))
        last = hole.along[1]
    panels.append(((last, wall.length + THICKNESS), (0.0, height)))
    meshes: list[Mesh] = []
    for (a, b), (low, high) in panels:
        if b - a > 1e-3 and high - low > 1e-3:
            meshes.append(slab((-THICKNESS, a, low), (0, b, high)))
            if low == 0.0:
                boards.append(slab((0, max(a, 0), 0), (0.013, min(b, wall.length), 0.08)))
    parts = [part("wall", meshes, *paint)]
    if base is not None and boards:
        parts.append(part("wall", boards, base))
    return Actor("wall", tuple(parts), wall.pose(0, 0))


def floor_and_ceiling(space: Space, floor: Paint, ceiling: Paint) -> Actor:
    """Builds the floor and the ceiling of a space."""
    (x0, y0), (x1, y1) = (np.array(space.low) - THICKNESS), (np.array(space.high) + THICKNESS)
    parts = (
        part("floor", slab((x0, y0, -0.1), (x1, y1, 0)), *floor),
        part("ceiling", slab((x0, y0, space.height), (x1, y1, space.height + 0.1)), *ceiling),
    )
    return Actor("shell", parts, (0.0, 0.0, 0.0, 0.0))


def door_actor(
    wall: Wall, hole: Opening, generator: Generator, paint: Paint, floor: Paint
) -> Actor:
    """Builds a door with its frame: shut, or open on a piece of a corridor."""
    (a, b), (_low, high) = hole.along, hole.up
    rim = generator.uniform(0.05, 0.1)
    trim = [slab((-THICKNESS, a - rim, 0), (0.018, a + 0.01, high + rim))]
    trim.append(slab((-THICKNESS, b - 0.01, 0), (0.018, b + rim, high + rim)))
    trim.append(slab((-THICKNESS, a, high - 0.01), (0.018, b, high + rim)))
    kind = generator.random()
    shade = pick(generator, WHITES) if kind < 0.45 else paint[0] if kind < 0.55 else None
    leaf_paint: Paint = (shade, "plain") if shade is not None else finish(generator, 0.3)
    parts = [
        part(
            "door",
            trim,
            *(leaf_paint if generator.random() < 0.7 else (pick(generator, WHITES), "plain")),
        )
    ]
    if hole.kind != "doorway":
        leaf = _leaf(generator, b - a - 0.03, high - 0.02, leaf_paint)
        angle = generator.uniform(1.0, 1.75) if hole.kind == "open_door" else 0.0
        turn = rotation(yaw=-angle)
        at = (0.0 if angle else -0.05, a + 0.015, 0.005)
        for piece in leaf:
            parts.append(Part(transform(piece.mesh, at, turn), piece.surface))
    if hole.kind == "open_door":
        ground, side = slab((-_CORRIDOR, a - _BESIDE, -0.1), (0, b + _BESIDE, 0)), []
        side.append(slab((-_CORRIDOR - 0.1, a - _BESIDE, 0), (-_CORRIDOR, b + _BESIDE, 2.5)))
        side += [
            slab((-_CORRIDOR, s, 0), (-THICKNESS, s + 0.1, 2.5))
            for s in (a - _BESIDE, b + _BESIDE - 0.1)
        ]
        lid = slab((-_CORRIDOR, a - _BESIDE, 2.5), (-THICKNESS, b + _BESIDE, 2.6))
        parts += [
            part("floor", ground, *floor),
            part("wall", side, *paint),
            part("ceiling", lid, WHITES[0]),
        ]
    return Actor("door", tuple(parts), wall.pose(0, 0))


def _leaf(generator: Generator, width: float, height: float, paint: Paint) -> list[Part]:
    """A door's leaf from its hinge along +y, its face to +x."""
    board = [slab((0, 0, 0), (0.04, width, height))]
    parts = []
    style = generator.integers(4)
    if style == 1:  # panels
        for z0, z1 in ((0.1, 0.42), (0.48, 0.93)):
            for y0, y1 in ((0.14, 0.47), (0.53, 0.86)):
                board.append(
                    slab((0.04, y0 * width, z0 * height), (0.052, y1 * width, z1 * height))
                )
    elif style == 2:  # a pane
        pane = slab((-0.002, 0.6 * width, 0.45 * height), (0.043, 0.85 * width, 0.92 * height))
        parts.append(part("door", pane, (0.2, 0.24, 0.25), "plain", 0.5))
    metal = pick(generator, (STEEL, STEEL, BLACK, (0.45, 0.33, 0.12)))
    y = width - 0.07
    handle = [cylinder((-0.06, y, 1.02), (0.1, y, 1.02), 0.012, sides=6)]
    handle += [slab((x, y - 0.13, 1.01), (x + 0.015, y + 0.01, 1.03)) for x in (-0.065, 0.085)]
    return [part("door", board, *paint), part("door", handle, metal, "metal"), *parts]


def window_actor(
    wall: Wall, hole: Opening, generator: Generator, lost: float, blinds: bool
) -> Actor:
    """Builds a window: frame, panes, sill; some with blinds."""
    (a, b), (low, high) = hole.along, hole.up
    color = pick(generator, (*WHITES, (0.2, 0.12, 0.06), STEEL, BLACK))
    rim, x = generator.uniform(0.04, 0.08), -0.06
    frame = [slab((x - 0.03, a, z), (x + 0.03, b, z + rim)) for z in (low, high - rim)]
    frame += [slab((x - 0.03, y, low), (x + 0.03, y + rim, high)) for y in (a, b - rim)]
    for y in np.linspace(a, b, int(generator.integers(1, 4)) + 1)[1:-1]:
        frame.append(slab((x - 0.03, y - rim / 2, low), (x + 0.03, y + rim / 2, high)))
    if generator.random() < 0.35:
        z = low + (high - low) * generator.uniform(0.4, 0.7)
        frame.append(slab((x - 0.03, a, z), (x + 0.03, b, z + rim / 2)))
    if generator.random() < 0.6 and low > 0.2:
        frame.append(slab((-0.05, a - 0.04, low - 0.03), (0.07, b + 0.04, low)))
    pane = slab((x - 0.005, a, low), (x + 0.005, b, high))
    parts = [part("window", frame, color), part("window", pane, (0.5, 0.5, 0.5), "outside", lost)]
    if blinds:
        bottom = low + (high - low) * generator.uniform(0.0, 0.8)
        slats = [slab((-0.02, a, z), (0.0, b, z + 0.006)) for z in np.arange(bottom, high, 0.028)]
        parts.append(part("blinds", slats, pick(generator, WHITES)))
    return Actor("window", tuple(parts), wall.pose(0, 0))


def curtain_actor(wall: Wall, hole: Opening, generator: Generator, ceiling: float) -> Actor:
    """Builds curtains on a rod: one at each side of a window, or drawn across it."""
    (a, b), (low, high) = hole.along, hole.up
    top = min(high + generator.uniform(0.05, 0.25), ceiling - 0.05)
    bottom = generator.uniform(0.02, 0.12) if generator.random() < 0.6 else max(low - 0.15, 0.05)
    reach = generator.uniform(0.05, 0.2)
    a, b = max(a - reach, 0.02), min(b + reach, wall.length - 0.02)
    share = generator.uniform(0.15, 0.5)
    sides = generator.choice(3, p=[0.7, 0.15, 0.15])
    width = (b - a) * share
    meshes = []
    for k, y in ((1, a + width / 2), (2, b - width / 2)):
        if sides in (0, k):
            sheet = drape(width, bottom, top, generator.uniform(0.04, 0.09), generator)
            meshes.append(transform(sheet, (0.05, y, 0)))
    rod = cylinder((0.09, a - 0.02, top + 0.01), (0.09, b + 0.02, top + 0.01), 0.014, sides=6)
    color, texture = cloth(generator)
    if generator.random() < 0.35:
        color, texture = pick(generator, WHITES), "fabric"
    parts = (part("curtain", meshes, color, texture), part("otherstructure", rod, STEEL, "metal"))
    return Actor("curtain", parts, wall.pose(0, 0))


def lamp_actor(
    place: tuple[float, float], height: float, panel: bool, generator: Generator
) -> Actor:
    """Builds a lamp at the ceiling: a panel, or a hanging lamp."""
    shine: Color = (0.95, 0.93, 0.88)
    if panel:
        half = generator.uniform(0.12, 0.3)
        mesh = slab((-half, -0.6, height - 0.03), (half, 0.6, height - 0.004))
        return Actor("lamp", (part("lamp", mesh, shine, "glow"),), (*place, 0.0, 0.0))
    drop, radius = generator.uniform(0.1, 0.6), generator.uniform(0.12, 0.24)
    drop = min(drop, height - 2.0)
    cord = cylinder((0, 0, height - drop), (0, 0, height), 0.008, sides=5)
    shade = cylinder((0, 0, height - drop - 0.16), (0, 0, height - drop), radius, 0.6 * radius, 12)
    parts = (part("lamp", cord, BLACK), part("lamp", shade, shine, "glow"))
    return Actor("lamp", parts, (*place, 0.0, 0.0))
