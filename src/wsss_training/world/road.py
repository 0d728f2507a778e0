"""The ground of a street: a curved centre line, strips along it, a crossing, waves in height."""

from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from wsss_training.world.objects.shapes import mesh_of
from wsss_training.world.scene import Actor, Color, Mesh, Part, Surface

KERB = 0.12
"""Height of sidewalks and yards above the road, metres."""

_BEYOND = 200.0  # metres that traffic may drive on past the street's ends
_STEP = 2.0  # metres along the street between rows of tiles
_WIDE = 4.0  # widest tile across
_STRETCH = 12.0  # metres of a strip that are one surface to the 2D teacher
_SKIRT = 0.4  # metres a tile's sides reach down
_TOP = [(0, 1, 2), (0, 2, 3)]
_SKIRTS = [
    f for a, b in ((0, 1), (1, 2), (2, 3), (3, 0)) for f in ((a, a + 4, b), (b, a + 4, b + 4))
]
_BUMP = 0.06  # standard deviation of the height of terrain, metres
_PAINT = 0.02  # height of markings above the tiles, which are flat between their corners

GROUNDS = {
    "road": ("road", "road", "asphalt", 0.22, 0.26),
    "parking": ("parking", "road", "asphalt", 0.27, 0.27),
    "paved": ("parking", "road", "paving", 0.42, 0.32),
    "sidewalk": ("sidewalk", "sidewalk", "paving", 0.5, 0.33),
    "other-ground": ("other-ground", "sidewalk", "rough", 0.45, 0.3),
    "terrain": ("terrain", "terrain", "grass", 0.0, 0.38),
}
"""Per kind: SemanticKITTI and Cityscapes class, texture, mean grey of the albedo, reflectance."""

FLUSH = ("road", "parking")
"""Kinds of ground that lie at the road's height, below the kerb."""

_GRASS = ((0.16, 0.3, 0.06), (0.3, 0.32, 0.1), (0.38, 0.3, 0.18))  # lush, dry, earth


class CenterLine:
    """A smooth curve in the plane; (s, d) are metres along it and to its left.

    Args:
        start: smallest s.
        end: largest s.
        curvature: mean curvature, 1/m.
        sway: amplitude of the heading's oscillation, radians.
        wavelength: of the oscillation, metres.
    """

    def __init__(
        self, start: float, end: float, curvature: float, sway: float, wavelength: float
    ) -> None:
        self.start, self.end = start, end
        self._s = np.arange(start - _BEYOND, end + _BEYOND, 0.5)
        self._heading = curvature * self._s + sway * np.sin(2 * np.pi * self._s / wavelength)
        self._x = _integrate(np.cos(self._heading), self._s)
        self._y = _integrate(np.sin(self._heading), self._s)

    def heading(self, s: NDArray | float) -> NDArray:
        """Direction of the curve at s, radians."""
        return np.asarray(np.interp(s, self._s, self._heading))

    def to_world(self, s: NDArray | float, d: NDArray | float) -> tuple[NDArray, NDArray]:
        """Maps (s, d) to world coordinates (x, y), metres."""
        heading = self.heading(s)
        x = np.interp(s, self._s, self._x) - np.sin(heading) * d
        y = np.interp(s, self._s, self._y) + np.cos(heading) * d
        return x, y


def _integrate(values: NDArray, s: NDArray) -> NDArray:
    steps = 0.5 * (values[1:] + values[:-1]) * np.diff(s)
    total = np.concatenate([[0.0], np.cumsum(steps)])
    return total - np.interp(0.0, s, total)


@dataclass(frozen=True)
class Waves:
    """The ground's undulation: a sum of sines.

    Attributes:
        vectors: [K, 2] wave vectors, 1/m.
        phases: [K].
        amplitudes: [K], metres.
    """

    vectors: NDArray[np.float64]
    phases: NDArray[np.float64]
    amplitudes: NDArray[np.float64]

    def height(self, x: NDArray | float, y: NDArray | float) -> NDArray:
        """Height of the ground at (x, y), metres."""
        angle = np.multiply.outer(x, self.vectors[:, 0]) + np.multiply.outer(y, self.vectors[:, 1])
        return (np.sin(angle + self.phases) * self.amplitudes).sum(axis=-1)


def draw_waves(amplitude: float, generator: np.random.Generator) -> Waves:
    """Draws undulation of 40 to 120 m length and a given total amplitude, metres."""
    direction = generator.uniform(0, 2 * np.pi, 4)
    number = 2 * np.pi / generator.uniform(40, 120, 4)
    vectors = number[:, None] * np.column_stack([np.cos(direction), np.sin(direction)])
    return Waves(vectors, generator.uniform(0, 2 * np.pi, 4), np.full(4, amplitude / 4))


@dataclass(frozen=True)
class Strip:
    """A strip along the street.

    Attributes:
        kind: of ground, a key of ``GROUNDS``.
        inner: distance of its inner edge from the centre line, metres, signed like ``outer``.
        outer: of its outer edge.
    """

    kind: str
    inner: float
    outer: float


@dataclass(frozen=True)
class Band:
    """A stretch of the street where strips are replaced: a driveway or a crossing road.

    Attributes:
        kind: ground that replaces them.
        start: smallest s.
        end: largest s.
        replaces: kinds of ground that it replaces.
        side: 1 left, -1 right, 0 both.
        reach: replaces strips up to this distance from the centre line, metres.
    """

    kind: str
    start: float
    end: float
    replaces: tuple[str, ...]
    side: int
    reach: float


@dataclass(frozen=True)
class Road:
    """A street's ground.

    Attributes:
        line: its centre line.
        waves: its undulation.
        strips: both sides' strips, without gaps.
        bands: what crosses them; later ones win.
        lanes: lanes each way.
        lane_width: metres.
    """

    line: CenterLine
    waves: Waves
    strips: tuple[Strip, ...]
    lanes: int
    lane_width: float
    bands: list[Band] = field(default_factory=list)

    @property
    def half_width(self) -> float:
        """From the centre line to the road's edge, metres."""
        return self.lanes * self.lane_width

    def kind_at(self, s: float, d: float) -> str:
        """Kind of ground at (s, d); "terrain" beyond the strips."""
        kind = "terrain"
        for strip in self.strips:
            if min(strip.inner, strip.outer) <= d <= max(strip.inner, strip.outer):
                kind = strip.kind
                break
        for band in self.bands:
            beside = band.side == 0 or band.side * d > 0
            if band.start <= s <= band.end and beside and abs(d) <= band.reach:
                kind = band.kind if kind in band.replaces else kind
        return kind

    def place(self, s: float, d: float) -> tuple[float, float, float]:
        """World coordinates of the ground at (s, d), metres."""
        x, y = self.line.to_world(s, d)
        rise = KERB if self.kind_at(s, d) not in FLUSH else 0.0
        return float(x), float(y), float(self.waves.height(x, y)) + rise


def build_ground(road: Road, generator: np.random.Generator) -> list[Actor]:
    """Builds the ground as tiles and lane markings; a stretch of a strip is one actor.

    Args:
        road: what to build.
        generator: draws colours and bumps.
    """
    ends = {edge for band in road.bands for edge in (band.start, band.end)}
    s_edges = _edges({road.line.start, road.line.end} | ends, _STEP)
    borders = {edge for strip in road.strips for edge in (strip.inner, strip.outer)}
    d_edges = _edges(borders, _WIDE)
    strip_of = np.searchsorted(sorted(borders), d_edges[1:])
    stretch_of = (s_edges[:-1] // _STRETCH).astype(int)
    tiles: dict[tuple[str, int, int], list[tuple[int, int]]] = {}
    for i, j in np.ndindex(len(s_edges) - 1, len(d_edges) - 1):
        kind = road.kind_at((s_edges[i] + s_edges[i + 1]) / 2, (d_edges[j] + d_edges[j + 1]) / 2)
        tiles.setdefault((kind, stretch_of[i], strip_of[j]), []).append((i, j))
    bumps = generator.normal(0, _BUMP, (len(s_edges), len(d_edges)))
    surfaces = {kind: _ground_surface(kind, generator) for kind in GROUNDS}
    paint = replace(surfaces["road"], color=(0.75, 0.75, 0.72), texture="rough", reflectance=0.6)
    markings = _markings(road, generator)
    actors = []
    for (kind, stretch, strip), cells in tiles.items():
        mesh = _tiles_mesh(road, kind, s_edges, d_edges, np.array(cells), bumps)
        parts = [Part(mesh, surfaces[kind])]
        low, high = (sorted(borders)[strip - 1], sorted(borders)[strip])
        painted = markings[
            (markings[:, 0] // _STRETCH == stretch)
            & (markings[:, 2] > low)
            & (markings[:, 2] < high)
        ]
        if kind == "road" and len(painted):
            parts.append(Part(_paint_mesh(road, painted), paint))
        actors.append(Actor("ground", tuple(parts), (0.0, 0.0, 0.0, 0.0)))
    return actors


def _edges(fixed: set[float], step: float) -> NDArray[np.float64]:
    """Sorted edges that hold the fixed ones and are at most ``step`` apart."""
    knots = np.array(sorted(fixed))
    knots = knots[np.concatenate([[True], np.diff(knots) > 1e-3])]
    parts = [
        np.linspace(a, b, int(np.ceil((b - a) / step)), endpoint=False) for a, b in pairwise(knots)
    ]
    return np.concatenate([*parts, knots[-1:]])


def _ground_surface(kind: str, generator: np.random.Generator) -> Surface:
    label, teacher_class, texture, grey, reflectance = GROUNDS[kind]
    color: Color
    if kind == "terrain":
        weights = generator.dirichlet([2.0, 1.0, 0.6])
        red, green, blue = weights @ np.array(_GRASS)
        color = (red, green, blue)
    else:
        shade = grey * generator.uniform(0.75, 1.3)
        tint = generator.normal(1.0, 0.04, 3)
        color = (shade * tint[0], shade * tint[1], shade * tint[2])
    reflectance *= generator.uniform(0.75, 1.3)
    return Surface(label, teacher_class, color, texture, reflectance)


def _tiles_mesh(
    road: Road,
    kind: str,
    s_edges: NDArray[np.float64],
    d_edges: NDArray[np.float64],
    cells: NDArray[np.int64],
    bumps: NDArray[np.float64],
) -> Mesh:
    """Tiles [K, 2] of (row, column) with sides that reach below their neighbours."""
    corners = cells[:, None] + np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    i, j = corners[..., 0], corners[..., 1]
    x, y = road.line.to_world(s_edges[i], d_edges[j])
    z = road.waves.height(x, y)
    if kind not in FLUSH:
        z = z + KERB
    if kind == "terrain":
        z = z + bumps[i, j]
    top = np.stack([x, y, z], axis=-1)
    if kind in FLUSH:  # the lowest: nothing below their edges is ever seen
        return mesh_of(top.reshape(-1, 3), _repeat(_TOP, 4, len(cells)))
    vertices = np.concatenate([top, top - [0, 0, _SKIRT]], axis=1).reshape(-1, 3)
    return mesh_of(vertices, _repeat(_TOP + _SKIRTS, 8, len(cells)))


def _repeat(faces: list[tuple[int, int, int]], vertices: int, count: int) -> NDArray[np.int64]:
    """Triangles of ``count`` shapes of so many vertices each."""
    starts = vertices * np.arange(count)
    return (np.array(faces)[None] + starts[:, None, None]).reshape(-1, 3)


def _markings(road: Road, generator: np.random.Generator) -> NDArray[np.float64]:
    """Draws painted rectangles [K, 4]: s from, s to, d from, d to; none on crossing roads."""
    lines: list[tuple[float, bool]] = []
    if generator.random() < 0.7:
        lines.append((0.0, generator.random() < 0.7))
    for lane in range(1, road.lanes):
        lines += [(sign * lane * road.lane_width, True) for sign in (-1.0, 1.0)]
    if generator.random() < 0.4:
        lines += [(sign * (road.half_width - 0.25), False) for sign in (-1.0, 1.0)]
    width = generator.uniform(0.12, 0.18)
    dash, gap = generator.uniform(2.0, 4.0), generator.uniform(3.0, 8.0)
    rectangles = []
    for d, dashed in lines:
        length, pitch = (dash, dash + gap) if dashed else (_STEP, _STEP)
        starts = np.arange(road.line.start, road.line.end - pitch, pitch)
        ones = np.ones(len(starts))
        edges = (d - width / 2) * ones, (d + width / 2) * ones
        rectangles.append(np.column_stack([starts, starts + length, *edges]))
    painted = np.concatenate(rectangles) if rectangles else np.zeros((0, 4))
    for band in road.bands:
        if band.side == 0:
            painted = painted[(painted[:, 1] < band.start) | (painted[:, 0] > band.end)]
    return painted


def _paint_mesh(road: Road, rectangles: NDArray[np.float64]) -> Mesh:
    s, d = rectangles[:, [0, 1, 1, 0]], rectangles[:, [2, 2, 3, 3]]
    x, y = road.line.to_world(s, d)
    vertices = np.stack([x, y, road.waves.height(x, y) + _PAINT], axis=-1).reshape(-1, 3)
    return mesh_of(vertices, _repeat(_TOP, 4, len(rectangles)))
