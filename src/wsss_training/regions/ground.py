"""The ground of a LiDAR sweep: which points lie on it, and how high the others stand above it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SECTORS = 60
_GROWTH = 1.16
_RING_EDGES = 2.0 * _GROWTH ** np.arange(30)  # 2..150 m, each ring wider than the one before
_RING_MIDDLES = _RING_EDGES[0] * _GROWTH ** (np.arange(31) - 0.5)
_AZIMUTHS = (np.arange(SECTORS) + 0.5) / SECTORS * 2 * np.pi - np.pi
_LOW_SHARE = 0.05  # of a cell's points; lower ones may be reflections from below the ground
_NEAR = 12.0  # around the sensor the ground is about a plane
_STEP_UP, _STEP_DOWN = 0.1, 0.2  # objects hide the ground from above, nothing does from below
_KEPT_RISE = 0.7
_FIRST_BAND = 0.2  # around the believed height: what the first fit of a plane takes
_BAND_DOWN, _BAND_UP = 0.3, 0.06  # around the plane: what later fits take
_PLANE_ROUNDS = 3
_NEIGHBOUR_WEIGHT = 0.3
_LEVEL_PRIOR = 0.5  # points times square metres that speak for a level plane


@dataclass(frozen=True)
class Ground:
    """What is known of the ground below each point.

    Attributes:
        height: float64 [N], height above the ground's plane nearby, metres; NaN for invalid points.
        on_ground: bool [N].
    """

    height: NDArray[np.float64]
    on_ground: NDArray[np.bool_]


def find_ground(
    xyz: NDArray[np.floating],
    slope: float = 0.2,
    tolerance: float = 0.1,
    relative_tolerance: float = 0.002,
) -> Ground:
    """Finds the ground around a LiDAR whose height is not known.

    The sweep is cut into cells of a polar grid. Going outwards, each cell's lowest height is
    believed if a slope leads there from the cells before it; where it is not, a car or a wall
    hides the ground, and the height before it holds on. A plane is then fitted to the
    low points of each cell and, with less weight, of its neighbours.

    Args:
        xyz: points [N, 3] in the LiDAR frame, z about upwards; may hold invalid points.
        slope: steepest ground, rise over run.
        tolerance: largest distance of a ground point from its cell's plane, metres.
        relative_tolerance: what is added to it for each metre of range.

    Returns:
        Heights and which points are ground.
    """
    height = np.full(len(xyz), np.nan)
    finite = np.isfinite(xyz).all(axis=1)
    points = xyz[finite].astype(np.float64)
    on_ground = np.zeros(len(xyz), dtype=bool)
    if len(points):
        reach = np.hypot(points[:, 0], points[:, 1])
        ring = np.searchsorted(_RING_EDGES, reach)
        turn = np.arctan2(points[:, 1], points[:, 0]) / (2 * np.pi) + 0.5
        sector = np.minimum((turn * SECTORS).astype(np.int64), SECTORS - 1)
        base = _believed_heights(_low_heights(points[:, 2], ring, sector), slope)
        planes = _fit_planes(points, ring, sector, base, slope)
        above = points[:, 2] - _plane_heights(planes, points, ring, sector)
        height[finite] = above
        on_ground[finite] = np.abs(above) <= tolerance + relative_tolerance * reach
    return Ground(height, on_ground)


def _low_heights(
    z: NDArray[np.float64], ring: NDArray[np.int64], sector: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Low height of each cell [rings, sectors], NaN where there are no points."""
    cell = ring * SECTORS + sector
    order = np.lexsort((z, cell))
    count = np.bincount(cell, minlength=(len(_RING_EDGES) + 1) * SECTORS)
    start = np.cumsum(count) - count
    place = start + (_LOW_SHARE * count).astype(np.int64)
    low = np.full(len(count), np.nan)
    low[count > 0] = z[order[place[count > 0]]]
    return low.reshape(-1, SECTORS)


def _believed_heights(low: NDArray[np.float64], slope: float) -> NDArray[np.float64]:
    """Height of the ground in each cell [rings, sectors], carried on where it is hidden."""
    rise_x, rise_y, height = _near_plane(low)
    rise = np.clip(rise_x * np.cos(_AZIMUTHS) + rise_y * np.sin(_AZIMUTHS), -slope, slope)
    reference, last = height + _RING_MIDDLES[0] * rise, _RING_MIDDLES[0]
    believed = np.empty_like(low)
    for number, (heights, middle) in enumerate(zip(low, _RING_MIDDLES, strict=True)):
        run = middle - last
        expected = _median_of_three(reference + rise * run)
        change = heights - expected
        # NaN, no points, is not believed either
        good = (change <= _STEP_UP + 0.5 * slope * run) & (change >= -_STEP_DOWN - slope * run)
        new_rise = np.clip((heights - reference) / max(run, 1.0), -slope, slope)
        mixed = _KEPT_RISE * rise + (1.0 - _KEPT_RISE) * np.where(good, new_rise, 0.0)
        rise = _median_of_three(mixed)
        reference, last = np.where(good, heights, expected), middle
        believed[number] = reference
    return believed


def _near_plane(low: NDArray[np.float64]) -> NDArray[np.float64]:
    """Plane (rise along x, along y, height) through most low heights around the sensor."""
    near = np.isfinite(low) & (_RING_MIDDLES < _NEAR)[:, None]
    if not near.any():
        near = np.isfinite(low)
    ring, sector = np.nonzero(near)
    x = _RING_MIDDLES[ring] * np.cos(_AZIMUTHS[sector])
    y = _RING_MIDDLES[ring] * np.sin(_AZIMUTHS[sector])
    terms, heights = np.column_stack([x, y, np.ones(len(x))]), low[near]
    plane = np.array([0.0, 0.0, np.median(heights)])
    for _ in range(10):  # Cauchy weights: cars and walls lose their say
        weight = 1.0 / (1.0 + ((heights - terms @ plane) / 0.3) ** 2)
        weighted = terms * weight[:, None]
        prior = np.diag([10.0, 10.0, 0.0])
        plane = np.linalg.solve(weighted.T @ terms + prior, weighted.T @ heights)
    return plane


def _median_of_three(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of each sector and its two neighbours [sectors]."""
    return np.median([np.roll(values, shift) for shift in (-1, 0, 1)], axis=0)


def _fit_planes(
    xyz: NDArray[np.float64],
    ring: NDArray[np.int64],
    sector: NDArray[np.int64],
    base: NDArray[np.float64],
    slope: float,
) -> NDArray[np.float64]:
    """Fits z = p . (x - cx, y - cy, 1) to the low points of each cell.

    Returns:
        Planes [rings, sectors, 5]: p and the cell's centre cx, cy.
    """
    planes = np.zeros((*base.shape, 5))
    planes[..., 2] = base
    planes[..., 3] = _RING_MIDDLES[:, None] * np.cos(_AZIMUTHS)
    planes[..., 4] = _RING_MIDDLES[:, None] * np.sin(_AZIMUTHS)
    band_up = _FIRST_BAND + 0.25 * slope * (_GROWTH - 1.0) * np.hypot(xyz[:, 0], xyz[:, 1])
    for _ in range(_PLANE_ROUNDS):
        above = xyz[:, 2] - _plane_heights(planes, xyz, ring, sector)
        low = (above < band_up) & (above > -_BAND_DOWN)
        band_up = np.full(len(xyz), _BAND_UP)
        planes[..., :3] = _solve(xyz[low], ring[low], sector[low], planes, base)
    return planes


def _solve(
    xyz: NDArray[np.float64],
    ring: NDArray[np.int64],
    sector: NDArray[np.int64],
    planes: NDArray[np.float64],
    base: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Least squares of each cell's points and its neighbours', with a level prior."""
    moments = _moments(xyz, ring, sector, base.shape)
    around = np.zeros_like(moments)
    padded = np.pad(moments, ((1, 1), (0, 0), (0, 0), (0, 0)))
    for rings, shift in np.ndindex(3, 3):
        weight = 1.0 if rings == shift == 1 else _NEIGHBOUR_WEIGHT
        around += weight * np.roll(padded[rings : rings + len(base)], shift - 1, axis=1)
    # about the cell's centre and height
    center = np.zeros_like(moments) + np.eye(4)
    center[..., 0, 2], center[..., 1, 2] = -planes[..., 3], -planes[..., 4]
    center[..., 3, 2] = -base
    around = (center @ around @ np.swapaxes(center, -1, -2)).astype(np.float64)
    level = _LEVEL_PRIOR * (1.0 + 0.01 * (planes[..., 3] ** 2 + planes[..., 4] ** 2))
    prior = np.stack([level, level, np.full(base.shape, 0.1)], axis=-1)
    matrix = around[..., :3, :3] + prior[..., None] * np.eye(3)
    solved = np.asarray(np.linalg.solve(matrix, around[..., :3, 3:])[..., 0], dtype=np.float64)
    solved[..., 2] += base
    return solved


def _moments(
    xyz: NDArray[np.float64],
    ring: NDArray[np.int64],
    sector: NDArray[np.int64],
    shape: tuple[int, ...],
) -> NDArray[np.float64]:
    """Sums of products of (x, y, 1, z) over the points of each cell: [rings, sectors, 4, 4]."""
    cell = ring * SECTORS + sector
    terms = (xyz[:, 0], xyz[:, 1], np.ones(len(xyz)), xyz[:, 2])
    sums = np.empty((*shape, 4, 4))
    for row in range(4):
        for column in range(row, 4):
            products = terms[row] * terms[column]
            total = np.bincount(cell, products, minlength=int(np.prod(shape)))
            sums[..., row, column] = sums[..., column, row] = total.reshape(shape)
    return sums


def _plane_heights(
    planes: NDArray[np.float64],
    xyz: NDArray[np.float64],
    ring: NDArray[np.int64],
    sector: NDArray[np.int64],
) -> NDArray[np.float64]:
    plane = planes[ring, sector]
    offset = xyz[:, :2] - plane[:, 3:]
    return np.einsum("ni,ni->n", offset, plane[:, :2]) + plane[:, 2]
