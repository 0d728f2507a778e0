"""What buildings share: surfaces, walls with real openings, doors and roofs."""

from dataclasses import dataclass

import numpy as np

from wsss_training.world.objects.materials import varied
from wsss_training.world.objects.meshes import Array, merge, mesh_of
from wsss_training.world.objects.shapes import box, prism, quads
from wsss_training.world.scene import Color, Mesh, Part, Surface

PLASTERS: tuple[Color, ...] = (
    (0.62, 0.58, 0.50),
    (0.66, 0.65, 0.62),
    (0.58, 0.46, 0.27),
    (0.50, 0.33, 0.24),
    (0.42, 0.46, 0.42),
    (0.45, 0.48, 0.53),
)
BRICKS: tuple[Color, ...] = ((0.27, 0.10, 0.06), (0.35, 0.19, 0.11), (0.38, 0.30, 0.22))
TILES: tuple[Color, ...] = ((0.26, 0.08, 0.045), (0.10, 0.085, 0.08), (0.17, 0.075, 0.05))


@dataclass(frozen=True)
class Facade:
    """Sheets of a wall.

    Attributes:
        wall: around the openings.
        panes: of the windows, set back.
        frames: of the windows, just before the panes.
    """

    wall: Mesh
    panes: Mesh
    frames: Mesh


def _rectangles(bounds: Array, start: Array, along: Array, inwards: Array, depth: float) -> Mesh:
    """Returns sheets of bounds [n, 4] (u0, u1, z0, z1) on a wall, ``depth`` behind it."""
    u, z = bounds[:, [0, 1, 1, 0]], bounds[:, [2, 2, 3, 3]]
    corners = start + u[..., None] * along + depth * inwards
    corners[..., 2] += z
    return quads(corners)


def facade(
    start: tuple[float, float],
    end: tuple[float, float],
    floors: Array,
    columns: int,
    share: float,
    bars: bool = True,
) -> Facade:
    """Builds a wall with a grid of windows.

    Args:
        start: (x, y) of the wall's left end seen from outside, metres.
        end: (x, y) of its right end.
        floors: [n, 3] lower edge and upper edge of the windows of a floor, and its ceiling.
        columns: windows side by side; 0 gives a blind wall.
        share: of the breadth that is window, 0..1.
        bars: cross bars in the windows.
    """
    first, last = np.array([*start, 0.0]), np.array([*end, 0.0])
    length = float(np.linalg.norm(last - first))
    along = (last - first) / length
    inwards = np.array([-along[1], along[0], 0.0])
    if columns == 0:
        blind = np.array([[0, length, 0, floors[-1, 2]]])
        return Facade(_rectangles(blind, first, along, inwards, 0), merge([]), merge([]))
    middles = (np.arange(columns) + 0.5) * length / columns
    half = 0.5 * share * length / columns
    left, right = middles - half, middles + half
    edges = np.stack([[0, *right], [*left, length]], 1)  # piers between the windows
    walls, panes, frames = [], [], []
    ground = 0.0
    for low, high, ceiling in floors:
        walls += [(0, length, ground, low), (0, length, high, ceiling)]
        walls += [(a, b, low, high) for a, b in edges]
        panes.append((left[0], right[-1], low, high))
        if bars:
            frames += [(m - 0.03, m + 0.03, low, high) for m in middles]
            frames += [(a, b, high - 0.09, high) for a, b in zip(left, right, strict=True)]
            frames += [(a, a + 0.07, low, high) for a in left]
            frames += [(b - 0.07, b, low, high) for b in right]
        ground = ceiling
    return Facade(
        _rectangles(np.array(walls), first, along, inwards, 0.0),
        _rectangles(np.array(panes), first, along, inwards, 0.14),
        _rectangles(np.array(frames), first, along, inwards, 0.11) if frames else merge([]),
    )


def join(facades: list[Facade]) -> Facade:
    """Returns the sheets of several walls."""
    return Facade(
        merge(f.wall for f in facades),
        merge(f.panes for f in facades),
        merge(f.frames for f in facades),
    )


def stone(color: Color, texture: str = "plain", reflectance: float = 0.4) -> Surface:
    """Returns the surface of a part of a building."""
    return Surface("building", "building", color, texture, reflectance)


def wall_surface(generator: np.random.Generator) -> Surface:
    """Draws brick or plaster."""
    if generator.random() < 0.35:
        return stone(varied(BRICKS[generator.integers(3)], generator), "brick", 0.35)
    return stone(varied(PLASTERS[generator.integers(6)], generator), "plaster", 0.45)


def pane_surface() -> Surface:
    """Returns window glass, which most pulses pass."""
    return Surface("building", "building", (0.035, 0.045, 0.055), "plain", 0.08, 0.6)


def facade_parts(walls: Facade, surface: Surface, generator: np.random.Generator) -> list[Part]:
    """Returns the parts of walls; their frames are white or of dark wood."""
    frame = (0.65, 0.65, 0.63) if generator.random() < 0.75 else (0.10, 0.06, 0.04)
    parts = [Part(walls.wall, surface), Part(walls.panes, pane_surface())]
    if len(walls.frames.triangles):
        parts.append(Part(walls.frames, stone(frame, "plain", 0.4)))
    return [part for part in parts if len(part.mesh.triangles)]


def storeys_of(count: int, storey: float, sill: float, lintel: float, base: float = 0.0) -> Array:
    """Returns lower and upper edges of windows and ceilings [count, 3], metres."""
    ground = base + storey * np.arange(count)
    return np.stack([ground + sill, ground + lintel, ground + storey], 1)


def walls_around(
    width: float, depth: float, floors: Array, columns: tuple[int, int, int], share: float
) -> Facade:
    """Returns the walls of a rectangular house; ``columns`` on front, flanks and rear."""
    half = width / 2
    corners = [(0.0, -half), (0.0, half), (-depth, half), (-depth, -half), (0.0, -half)]
    counts = (columns[0], columns[1], columns[2], columns[1])
    sides = [
        facade(corners[k], corners[k + 1], floors, counts[k], share, bars=k == 0) for k in range(4)
    ]
    return join(sides)


def columns_for(width: float, generator: np.random.Generator) -> int:
    """Draws how many windows stand side by side."""
    return max(round(width / generator.uniform(2.2, 3.0)), 1)


def door(y: float, width: float, height: float, color: Color, texture: str = "wood") -> list[Part]:
    """Returns a door with its frame, a step and a canopy, on the front."""
    leaf = box((0.06, width, height), (0.01, y, height / 2))
    frame = box((0.04, width + 0.16, height + 0.08), (0.0, y, height / 2 + 0.04))
    step = box((0.7, width + 0.5, 0.16), (0.3, y, 0.08))
    step_stone = stone((0.4, 0.39, 0.37), "plaster")
    return [Part(leaf, stone(color, texture)), Part(merge([frame, step]), step_stone)]


def gable_roof(
    width: float, depth: float, eaves: float, pitch: float, across: bool
) -> tuple[Mesh, Mesh, float]:
    """Returns roof, gable walls and the ridge's height; ``across``: the gable faces the street."""
    over, thick = 0.45, 0.16
    span = width if across else depth
    rise = np.tan(pitch) * span / 2
    drop = np.tan(pitch) * over
    reach = span / 2 + over
    outline = np.array(
        [
            (-reach, eaves - drop),
            (0, eaves + rise),
            (reach, eaves - drop),
            (reach, eaves - drop + thick),
            (0, eaves + rise + thick),
            (-reach, eaves - drop + thick),
        ]
    )
    wall = np.array([(-span / 2, eaves), (span / 2, eaves), (0, eaves + rise)])
    if across:
        roof = prism(outline, -depth - 0.3, 0.3, "x")
        front = np.column_stack([np.zeros(3), wall])
        gables = mesh_of([*front, *(front - [depth, 0, 0])], [[0, 1, 2], [3, 5, 4]])
    else:
        outline[:, 0] -= depth / 2
        roof = prism(outline, -width / 2 - 0.3, width / 2 + 0.3, "y")
        left = np.column_stack([wall[:, 0] - depth / 2, np.full(3, width / 2), wall[:, 1]])
        gables = mesh_of([*left, *(left - [0, width, 0])], [[1, 0, 2], [3, 4, 5]])
    return roof, gables, float(eaves + rise)


def flat_roof(width: float, depth: float, height: float) -> list[Part]:
    """Returns a flat roof inside a parapet with a coping."""
    half = width / 2
    top = quads(
        [(0, -half, height), (0, half, height), (-depth, half, height), (-depth, -half, height)]
    )
    coping = [
        box((0.35, width + 0.1, 0.35), (-0.12, 0, height + 0.1)),
        box((0.35, width + 0.1, 0.35), (-depth + 0.12, 0, height + 0.1)),
        box((depth, 0.35, 0.35), (-depth / 2, half - 0.12, height + 0.1)),
        box((depth, 0.35, 0.35), (-depth / 2, -half + 0.12, height + 0.1)),
    ]
    return [
        Part(top, stone((0.2, 0.2, 0.2), "plain", 0.25)),
        Part(merge(coping), stone((0.42, 0.41, 0.39), "plain", 0.4)),
    ]
