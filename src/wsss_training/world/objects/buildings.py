"""Buildings: their front lies in x = 0 and faces +x, their body extends towards -x."""

import numpy as np

from wsss_training.world.objects.facades import (
    BRICKS,
    TILES,
    Facade,
    columns_for,
    door,
    facade,
    facade_parts,
    flat_roof,
    gable_roof,
    join,
    pane_surface,
    stone,
    storeys_of,
    wall_surface,
    walls_around,
)
from wsss_training.world.objects.materials import varied
from wsss_training.world.objects.meshes import Array, merge
from wsss_training.world.objects.shapes import box, prism, quads
from wsss_training.world.scene import Mesh, Part, Surface


def _house(width: float, generator: np.random.Generator) -> list[Part]:
    depth, storeys = generator.uniform(7.5, 11.0), int(generator.choice([1, 2], p=[0.35, 0.65]))
    storey = generator.uniform(2.6, 2.9)
    floors = storeys_of(storeys, storey, 1.0, 2.25, base=0.25)
    surface, count = wall_surface(generator), columns_for(width, generator)
    eaves = float(floors[-1, 2])
    across = generator.random() < 0.35 and width < 11
    pitch = generator.uniform(0.55, 0.85)
    roof, gables, ridge = gable_roof(width, depth, eaves, pitch, across)
    walls = walls_around(width, depth, floors, (count, 2, count), generator.uniform(0.4, 0.5))
    parts = facade_parts(walls, surface, generator)
    parts.append(Part(gables, surface))
    tiles = varied(TILES[generator.integers(3)], generator)
    parts.append(Part(roof, stone(tiles, "rough", 0.35)))
    spot = (
        (-0.6 * depth, 0.5) if across else (-depth / 2 - 0.5, generator.uniform(-0.3, 0.3) * width)
    )
    chimney = box((0.6, 0.6, 2.2), (*spot, ridge - 0.3))
    parts.append(Part(chimney, stone(varied(BRICKS[0], generator), "brick")))
    edge = width / count * int(generator.integers(1, count)) - width / 2 if count > 1 else 0.0
    colors = ((0.14, 0.07, 0.035), (0.05, 0.10, 0.06), (0.5, 0.5, 0.5), (0.05, 0.07, 0.16))
    parts += door(edge, 0.9, 2.25, varied(colors[generator.integers(4)], generator))
    if generator.random() < 0.25 and width > 7:
        parts += _bay((width - width / count) / 2, 0.45 * width / count, floors, surface)
    return parts


def _bay(y: float, half: float, floors: Array, surface: Surface) -> list[Part]:
    """Returns a bay window that stands out of the front around ``y``, over a column of windows."""
    outline = np.array(
        [(0.0, y - half), (0.0, y + half), (0.8, y + 0.65 * half), (0.8, y - 0.65 * half)]
    )
    body = prism(outline, 0.0, float(floors[-1, 2]), "z")
    left, right, x = y - 0.5 * half, y + 0.5 * half, 0.806
    panes = [
        [(x, left, low), (x, right, low), (x, right, high), (x, left, high)]
        for low, high, _ in floors
    ]
    return [Part(body, surface), Part(quads(panes), pane_surface())]


def _balconies(y: float, wide: float, floors: Array, generator: np.random.Generator) -> list[Part]:
    slabs, rails = [], []
    left, right, reach = y + wide / 2, y - wide / 2, 1.18
    for ceiling in floors[:-1, 2]:
        slabs.append(box((1.2, wide, 0.18), (0.6, y, ceiling + 0.05)))
        corners = [(0.0, right), (reach, right), (reach, left), (0.0, left)]
        low, high = ([(*xy, ceiling + z) for xy in corners] for z in (0.14, 1.04))
        rails.append(quads([[low[k], low[k + 1], high[k + 1], high[k]] for k in range(3)]))
    color = varied(((0.55, 0.55, 0.53), (0.07, 0.08, 0.09))[generator.integers(2)], generator)
    return [
        Part(merge(slabs), stone((0.45, 0.44, 0.42), "plaster")),
        Part(merge(rails), stone(color, "metal", 0.3)),
    ]


def _block(width: float, generator: np.random.Generator) -> list[Part]:
    depth, storeys = generator.uniform(10, 15), int(generator.integers(3, 7))
    storey = generator.uniform(2.8, 3.3)
    height = storeys * storey
    surface, count = wall_surface(generator), min(columns_for(width, generator), 8)
    if width > 26 or generator.random() < 0.2:
        skin = stone(surface.color, "windows", 0.35)
        parts = [Part(box((depth, width, height), (-depth / 2, 0, height / 2)), skin)]
        floors = storeys_of(storeys, storey, 0.9, 2.4)
    else:
        floors = storeys_of(storeys, storey, generator.uniform(0.75, 1.0), storey - 0.5)
        blind = walls_around(width, depth, floors[-1:], (0, 0, 0), 0.5)
        front = facade(
            (0, -width / 2),
            (0, width / 2),
            floors,
            count,
            generator.uniform(0.4, 0.5),
            bars=count * storeys < 19,
        )
        # The front is open; the other three walls are blind.
        parts = facade_parts(front, surface, generator)
        parts.append(Part(Mesh(blind.wall.vertices, blind.wall.triangles[2:]), surface))
    parts += flat_roof(width, depth, height)
    y = width / count * (count // 2) - width / 2 if count > 1 else 0.0
    parts += door(y, min(1.3, 0.36 * width / count), 2.4, varied((0.10, 0.09, 0.08), generator))
    base = box((0.06, width, 0.6), (0.0, 0, 0.3))
    parts.append(Part(base, stone(varied((0.3, 0.29, 0.27), generator), "rough")))
    if generator.random() < 0.45 and storeys < 6 and width > 8:
        side = width * generator.choice([-0.3, 0.3])
        parts += _balconies(side, min(3.0, 0.35 * width), floors, generator)
    return parts


def _shop(width: float, generator: np.random.Generator) -> list[Part]:
    depth, storeys = generator.uniform(8, 13), int(generator.integers(1, 4))
    surface, upper = wall_surface(generator), columns_for(width, generator)
    floors = storeys_of(storeys, 2.9, 0.9, 2.3, base=3.6)
    display = np.array([[0.35, 2.7, 3.6]])
    height = float(floors[-1, 2])
    half = width / 2
    ground = facade((0, -half), (0, half), display, max(int(width / 3.5), 1), 0.86, bars=True)
    shifted = floors - [3.6, 3.6, 3.6]
    above = facade((0, -half), (0, half), shifted, upper, 0.45, bars=upper * storeys < 15)
    raised = Facade(*(_lift(mesh, 3.6) for mesh in (above.wall, above.panes, above.frames)))
    blind = walls_around(width, depth, floors[-1:], (0, 0, 0), 0.5).wall
    parts = facade_parts(join([ground, raised]), surface, generator)
    parts.append(Part(Mesh(blind.vertices, blind.triangles[2:]), surface))
    parts += flat_roof(width, depth, height)
    color = varied(generator.uniform(0.02, 0.5, 3).tolist(), generator)
    board = box((0.12, 0.94 * width, 0.6), (0.07, 0, 3.15))
    parts.append(Part(board, stone(color, "plain", 0.4)))
    if generator.random() < 0.6:
        outline = [(0.0, 2.85), (1.3, 2.35), (1.3, 2.3), (0.0, 2.8)]
        awning = prism(outline, -0.45 * width, 0.45 * width, "y")
        parts.append(Part(awning, stone(varied(color, generator, 0.3), "plain", 0.3)))
    parts += door(-half + 0.75, 0.9, 2.3, (0.12, 0.12, 0.12), "plain")
    return parts


def _lift(mesh: Mesh, height: float) -> Mesh:
    return Mesh(mesh.vertices + np.array([0, 0, height], np.float32), mesh.triangles)


def _garage(width: float, generator: np.random.Generator) -> list[Part]:
    depth, height = generator.uniform(5.0, 6.5), generator.uniform(2.3, 2.8)
    surface = wall_surface(generator)
    shed = generator.random() < 0.35
    if shed:
        surface = stone(varied((0.20, 0.13, 0.08), generator, 0.25), "wood", 0.4)
    parts = [Part(box((depth, width, height), (-depth / 2, 0, height / 2)), surface)]
    count = max(int(width / 2.8), 1)
    each = width / count
    doors = [
        box((0.06, min(0.84 * each, 2.6), 2.05), (0.005, (k + 0.5) * each - width / 2, 1.025))
        for k in range(count)
    ]
    color = varied(
        ((0.6, 0.6, 0.6), (0.2, 0.13, 0.08), (0.22, 0.25, 0.28))[generator.integers(3)], generator
    )
    parts.append(Part(merge(doors), stone(color, "metal", 0.4)))
    if shed or generator.random() < 0.3:
        roof, gables, _ = gable_roof(width, depth, height, 0.45, across=True)
        parts.append(Part(gables, surface))
        tiles = varied(TILES[generator.integers(3)], generator)
        return [*parts, Part(roof, stone(tiles, "rough", 0.35))]
    rim = box((depth + 0.2, width + 0.1, 0.2), (-depth / 2, 0, height + 0.05))
    return [*parts, Part(rim, stone((0.25, 0.25, 0.25), "plain", 0.3))]


def _warehouse(width: float, generator: np.random.Generator) -> list[Part]:
    depth, height = generator.uniform(15, 30), generator.uniform(5.5, 9.0)
    colors = ((0.5, 0.52, 0.54), (0.25, 0.30, 0.36), (0.42, 0.40, 0.36), (0.16, 0.22, 0.18))
    skin = stone(varied(colors[generator.integers(4)], generator), "metal", 0.4)
    parts = [Part(box((depth, width, height), (-depth / 2, 0, height / 2)), skin)]
    base = box((depth + 0.06, width + 0.06, 0.9), (-depth / 2, 0, 0.45))
    parts.append(Part(base, stone((0.36, 0.35, 0.33), "rough", 0.4)))
    band = quads(
        [
            (0.01, s * 0.48 * width, z)
            for s, z in (
                (-1, height - 1.7),
                (1, height - 1.7),
                (1, height - 0.8),
                (-1, height - 0.8),
            )
        ]
    )
    parts.append(Part(band, pane_surface()))
    count = int(np.clip(width / 7, 1, 5))
    middles = (np.arange(count) + 0.5) * width / count - width / 2
    gates = [box((0.1, 3.6, 3.8), (0.01, y, 1.9)) for y in middles]
    gate = varied(
        ((0.5, 0.5, 0.5), (0.05, 0.12, 0.3), (0.4, 0.08, 0.05))[generator.integers(3)], generator
    )
    parts.append(Part(merge(gates), stone(gate, "metal", 0.4)))
    ribs = [
        box((0.12, 0.2, height), (0.0, y, height / 2))
        for y in np.linspace(-width / 2 + 0.1, width / 2 - 0.1, count + 1)
    ]
    parts.append(Part(merge(ribs), stone((0.3, 0.31, 0.32), "metal", 0.3)))
    rim = box((depth + 0.3, width + 0.3, 0.4), (-depth / 2, 0, height + 0.1))
    return [*parts, Part(rim, stone(varied(skin.color, generator, 0.3), "metal", 0.3))]


_BUILDERS = {
    "house": _house,
    "block": _block,
    "shop": _shop,
    "garage": _garage,
    "warehouse": _warehouse,
}
KINDS = tuple(_BUILDERS)


def building(width: float, generator: np.random.Generator, kind: str) -> tuple[Part, ...]:
    """Draws a building.

    Its front lies in the plane x = 0, from y = -width/2 to width/2, and faces +x; its body extends
    5 to 30 m towards -x. Eaves, steps and awnings stand up to 1.3 m out of the front, eaves 0.5 m
    out of the sides.

    Args:
        width: along the street, metres.
        generator: of all that is random.
        kind: house, block, shop, garage or warehouse.

    Raises:
        KeyError: no such kind.
    """
    return tuple(_BUILDERS[kind](width, generator))
