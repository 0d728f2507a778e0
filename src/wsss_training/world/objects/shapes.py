"""Meshes of simple shapes, in metres.

Solids are closed, every edge belonging to two triangles, and their triangles turn counter-clockwise
seen from outside. Sheets (``sheet``, ``quads``, ``disc``, ``leaves``) are open.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsss_training.world.objects.meshes import Array, mesh_of, transform
from wsss_training.world.scene import Mesh

_NEXT, _LAST = np.array([1, 2, 0]), np.array([2, 0, 1])
BOX = np.array(
    [
        [x, y, z]
        for z in (-0.5, 0.5)
        for x, y in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))
    ],
    dtype=np.float32,
)


@lru_cache(maxsize=256)
def _loft_triangles(count: int, points: int, caps: bool, ring: bool) -> NDArray[np.int32]:
    last = count if ring else count - 1
    i, j = np.divmod(np.arange(last * points), points)
    up, right = (i + 1) % count, (j + 1) % points
    a, b, c, d = i * points + j, i * points + right, up * points + right, up * points + j
    faces = [np.stack([a, b, c], 1), np.stack([a, c, d], 1)]
    if caps:
        k = np.arange(1, points - 1)
        top = (count - 1) * points
        faces += [np.stack([0 * k, k + 1, k], 1), np.stack([0 * k + top, top + k, top + k + 1], 1)]
    return np.concatenate(faces).astype(np.int32)


def loft(sections: ArrayLike, caps: bool = True, ring: bool = False) -> Mesh:
    """Returns the skin over cross sections.

    Args:
        sections: [K, n, 3]; each turns counter-clockwise seen from the last section.
        caps: close both ends with fans; the end sections must be convex.
        ring: join the last section to the first; no caps then.
    """
    sections = np.asarray(sections, dtype=np.float32)
    count, points = sections.shape[:2]
    return Mesh(sections.reshape(-1, 3), _loft_triangles(count, points, caps and not ring, ring))


def box(size: ArrayLike, center: ArrayLike = (0, 0, 0), top: ArrayLike = (1, 1)) -> Mesh:
    """Returns a box of sizes along x, y, z; its upper face scaled by ``top`` along x and y."""
    corners = BOX.copy()
    corners[4:, :2] *= np.asarray(top, dtype=np.float32)
    corners = corners * np.asarray(size, dtype=np.float32) + np.asarray(center, dtype=np.float32)
    return loft(corners.reshape(2, 4, 3))


@lru_cache(maxsize=64)
def circle(sides: int, turn: float = 0.5) -> NDArray[np.float64]:
    """Returns a regular polygon [sides, 2] of radius 1, turned by ``turn`` of a side."""
    angles = (np.arange(sides) + turn) * (2 * np.pi / sides)
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def _cross(a: Array, b: Array) -> Array:
    """Returns a x b of [.., 3]; numpy's own takes several times as long for a few vectors."""
    result: Array = a[..., _NEXT] * b[..., _LAST] - a[..., _LAST] * b[..., _NEXT]
    return result


def _frame(direction: Array, helper: Array | None = None) -> tuple[Array, Array]:
    """Returns u, v [.., 3] with u x v along the directions [.., 3], u at right angles to helper."""
    direction = direction / np.sqrt((direction * direction).sum(-1, keepdims=True))
    if helper is None:
        steep = np.abs(direction[..., 2:]) > 0.9
        helper = np.where(steep, [1.0, 0.0, 0.0], [0.0, 0.0, 1.0])
    u = _cross(helper, direction)
    u /= np.sqrt((u * u).sum(-1, keepdims=True))
    return u, _cross(direction, u)


def cylinder(
    start: ArrayLike, end: ArrayLike, radius: float, end_radius: float | None = None, sides: int = 8
) -> Mesh:
    """Returns a cylinder from ``start`` to ``end`` [3], tapered to ``end_radius`` if given."""
    ends = np.array([start, end], dtype=np.float64)
    u, v = _frame(ends[1] - ends[0])
    radii = np.array([radius, radius if end_radius is None else end_radius])
    outline = circle(sides) @ np.stack([u, v])
    return loft(ends[:, None] + radii[:, None, None] * outline)


def cone(start: ArrayLike, tip: ArrayLike, radius: float, sides: int = 8) -> Mesh:
    """Returns a cone with its base around ``start``."""
    start, tip = np.asarray(start, dtype=np.float64), np.asarray(tip, dtype=np.float64)
    base = start + radius * (circle(sides) @ np.stack(_frame(tip - start)))
    k = np.arange(sides)
    side = np.stack([k, (k + 1) % sides, np.full(sides, sides)], 1)
    cap = [[0, i + 1, i] for i in range(1, sides - 1)]
    return mesh_of(np.concatenate([base, tip[None]]), np.concatenate([side, cap]))


@lru_cache(maxsize=32)
def _unit_sphere(sides: int, rings: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    polar = np.linspace(-np.pi / 2, np.pi / 2, rings + 2)[1:-1]
    outline = np.cos(polar)[:, None, None] * circle(sides)
    heights = np.broadcast_to(np.sin(polar)[:, None, None], (rings, sides, 1))
    vertices = np.concatenate([outline, heights], 2).reshape(-1, 3)
    k, right, top = np.arange(sides), (np.arange(sides) + 1) % sides, (rings - 1) * sides
    poles = np.full(sides, rings * sides)
    lower, upper = np.stack([poles, right, k], 1), np.stack([top + k, top + right, poles + 1], 1)
    triangles = [_loft_triangles(rings, sides, False, False), lower, upper]
    vertices = np.concatenate([vertices, [[0, 0, -1], [0, 0, 1]]])
    return vertices.astype(np.float32), np.concatenate(triangles).astype(np.int32)


def ellipsoid(center: ArrayLike, radii: ArrayLike, sides: int = 8, rings: int = 4) -> Mesh:
    """Returns an ellipsoid with ``rings`` parallels; ``radii`` along x, y, z."""
    vertices, triangles = _unit_sphere(sides, rings)
    return transform(Mesh(vertices, triangles), center, scale=radii)


def prism(outline: ArrayLike, low: float, high: float, axis: str = "y") -> Mesh:
    """Returns a polygon extruded along an axis.

    Args:
        outline: a simple polygon [n, 2], either way round; in (x, z) for axis y, in (y, z) for x,
            in (x, y) for z.
        low: where it starts along the axis.
        high: where it ends.
        axis: x, y or z.
    """
    points = np.asarray(outline, dtype=np.float64)
    x, y = points.T
    turn = float(x @ np.roll(y, -1) - y @ np.roll(x, -1))
    if (turn < 0) != (axis == "y"):  # (x, z) is left-handed about y
        points = points[::-1]
    columns = {"x": (1, 2, 0), "y": (0, 2, 1), "z": (0, 1, 2)}[axis]
    sections = np.zeros((2, len(points), 3))
    sections[:, :, columns[:2]] = points
    sections[:, :, columns[2]] = np.array([[low], [high]])
    caps = _ears(points if axis != "y" else points * [-1, 1])
    sides = _loft_triangles(2, len(points), False, False)
    return mesh_of(sections, np.concatenate([sides, caps[:, ::-1], caps + len(points)]))


def _ears(points: Array) -> NDArray[np.int32]:
    """Cuts a simple counter-clockwise polygon [n, 2] into triangles [n - 2, 3], ear by ear."""

    def area(a: Array, b: Array, c: Array) -> float:
        return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))

    left = list(range(len(points)))
    triangles = []
    while len(left) > 3:
        for k in range(len(left)):
            i, j, m = left[k - 1], left[k], left[(k + 1) % len(left)]
            a, b, c = points[i], points[j], points[m]
            others = (points[o] for o in left if o not in (i, j, m))
            if area(a, b, c) > 0 and not any(
                area(a, b, p) >= 0 and area(b, c, p) >= 0 and area(c, a, p) >= 0 for p in others
            ):
                break
        else:
            k = 0
            i, j, m = left[-1], left[0], left[1]
        triangles.append((i, j, m))
        del left[k]
    return np.array([*triangles, left], dtype=np.int32)


def tube(points: ArrayLike, radius: ArrayLike, sides: int = 6, ring: bool = False) -> Mesh:
    """Returns a tube along a polyline [K, 3]; ``radius`` is one for all or one for each point.

    ``ring`` joins the end to the start, as for a tyre.
    """
    points = np.asarray(points, dtype=np.float64)
    around = np.roll(points, -1, 0) - np.roll(points, 1, 0)
    along = around if ring else np.gradient(points, axis=0)
    helper = np.eye(3)[np.ptp(points, axis=0).argmin()]  # one for all, lest the tube twists
    u, v = _frame(along, helper)
    radii = np.broadcast_to(np.asarray(radius, dtype=np.float64), len(points))[:, None, None]
    x, y = circle(sides).T
    outline = x[:, None] * u[:, None] + y[:, None] * v[:, None]
    return loft(points[:, None] + radii * outline, ring=ring)


def quads(corners: ArrayLike) -> Mesh:
    """Returns open sheets of corners [n, 4, 3] in order around each, or one of [4, 3]."""
    corners = np.asarray(corners, dtype=np.float32).reshape(-1, 3)
    first = np.arange(0, len(corners), 4)[:, None, None]
    return mesh_of(corners, first + np.array([[0, 1, 2], [0, 2, 3]]))


def patch(corners: ArrayLike, u: Sequence[float], v: Sequence[float], lift: float = 0.006) -> Mesh:
    """Returns a part of a four-sided face, lifted off it.

    Args:
        corners: [4, 3], counter-clockwise seen from outside; (u, v) are (0, 0), (1, 0), (1, 1),
            (0, 1) there.
        u: the part's bounds between the left and the right side: two numbers, or four (two for the
            lower edge, two for the upper).
        v: its bounds between the lower and the upper side.
        lift: metres towards the outside.
    """
    corners = np.asarray(corners, dtype=np.float64)
    lower, upper = u[:2], u[-2:]
    at = ((lower[0], v[0]), (lower[1], v[0]), (upper[1], v[1]), (upper[0], v[1]))
    shares = [[(1 - s) * (1 - t), s * (1 - t), s * t, (1 - s) * t] for s, t in at]
    normal = _cross(corners[2] - corners[0], corners[3] - corners[1])
    return quads(np.array(shares) @ corners + lift * normal / np.sqrt(normal @ normal))


def plate(width: float, height: float, center: ArrayLike, sides: int = 4) -> Mesh:
    """Returns an upright sheet that faces +x: a rectangle, or an oval of more ``sides``."""
    outline = circle(sides) * (np.sqrt(2) if sides == 4 else 1.0) * 0.5
    points = np.zeros((sides, 3))
    points[:, 1:] = outline * [width, height]
    k = np.arange(1, sides - 1)
    return mesh_of(points + np.asarray(center), np.stack([0 * k, k, k + 1], 1))


def leaves(
    count: int,
    center: ArrayLike,
    radii: ArrayLike,
    size: float,
    generator: np.random.Generator,
    boxed: bool = False,
) -> Mesh:
    """Returns small triangles that fill an ellipsoid or a box, denser near its surface.

    They face outwards more often than not, as leaves do, so that a crown has a lit and a dark side.

    Args:
        count: of triangles.
        center: of the region [3].
        radii: half its sizes along x, y, z.
        size: mean edge of a triangle, metres.
        generator: of all that is random.
        boxed: fill a box, and not an ellipsoid.
    """
    outwards = generator.standard_normal((count, 3))
    radii = np.asarray(radii, dtype=np.float64)
    if boxed:
        inside = generator.uniform(-1, 1, (count, 3))
        area = radii.prod() / radii
        axis = generator.choice(3, count, p=area / area.sum())
        side = np.sign(generator.uniform(-1, 1, count))
        inside[np.arange(count), axis] = side * (1 - generator.exponential(0.1, count).clip(0, 0.6))
        outwards = np.zeros((count, 3))
        outwards[np.arange(count), axis] = side
    else:
        outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
        inside = outwards * generator.beta(4, 1, (count, 1))
    u, v = _frame(outwards + 0.6 * generator.standard_normal((count, 3)))
    turn = generator.uniform(0, 2 * np.pi, count)[:, None] + np.array([0, 2.1, 4.2])
    reach = size / np.sqrt(3) * generator.uniform(0.7, 1.3, (count, 1, 1))
    around = np.cos(turn)[..., None] * u[:, None] + np.sin(turn)[..., None] * v[:, None]
    points = np.asarray(center) + (inside * radii)[:, None] + reach * around
    return mesh_of(points, np.arange(3 * count))
