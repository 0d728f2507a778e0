"""Regions of a LiDAR sweep: patches of the ground, and pieces of what stands on it."""

import numpy as np
from numpy.typing import NDArray

from wsss_training.regions.graph import grow_pieces, nearest_neighbours, renumber
from wsss_training.regions.ground import find_ground
from wsss_training.regions.ground_patches import ground_patches, range_levels, square_cells

_FLATTENED = np.array([1.0, 1.0, 0.4])


def ground_clusters(
    xyz: NDArray[np.floating],
    intensity: NDArray[np.floating] | None = None,
    patch: float = 2.0,
    size: float = 1.5,
    near: float = 20.0,
    gap: float = 0.3,
    angular_gap: float = 0.015,
    neighbours: int = 8,
    min_points: int = 4,
) -> NDArray[np.int32]:
    """Partitions a sweep.

    The ground is cut into patches, see ``ground_patches``. Other points are linked to their
    neighbours, over gaps that grow with the range as the spacing of beams does; neighbours
    are sought in a flattened cloud, else all of them would lie on the point's own ring. What
    hangs together is cut into pieces about as large as cells of a grid, so that what touches is
    not one region: a seed grows in every cell, by the shortest way along the links.

    The order of the points does not matter, unless points are equally near to others.

    Args:
        xyz: points [N, 3] in the LiDAR frame, metres, z about upwards, the sensor at the origin,
            its height unknown; may hold NaN or infinite points.
        intensity: [N], 0..1; None does without.
        patch: edge of patches of ground, metres.
        size: edge of the cells with a seed each, metres.
        near: range in metres, at every doubling of which patches and cells double.
        gap: points on objects farther apart are not linked, metres.
        angular_gap: what is added to the gap for each metre of range: about twice the angle
            between beams, radians.
        neighbours: how many nearest points each point is linked to.
        min_points: pieces of fewer points, linked to nothing else, are no region.

    Returns:
        int32 [N], 0..R-1, ground first; -1 for invalid points and for lone ones off the ground.
    """
    region = np.full(len(xyz), -1, dtype=np.int32)
    on_ground = find_ground(xyz).on_ground
    if on_ground.any():
        brightness = None if intensity is None else np.nan_to_num(intensity[on_ground])
        ground = xyz[on_ground].astype(np.float64)
        region[on_ground] = ground_patches(ground, brightness, patch, near)
    standing = np.isfinite(xyz).all(axis=1) & ~on_ground
    points = xyz[standing].astype(np.float64)
    if len(points):
        _, index = nearest_neighbours(points * _FLATTENED, neighbours)
        distance = np.linalg.norm(points[:, None] - points[index], axis=2)
        reach = np.linalg.norm(points, axis=1)
        level = range_levels(points, near)
        edge = (size * 2.0**level).astype(np.float64)
        cells = square_cells(points, edge, level)
        cost = np.where(distance > gap + angular_gap * reach[:, None], np.inf, distance)
        pieces = grow_pieces(points, index, cost, cells, min_points)
        region[standing] = np.where(pieces >= 0, pieces + region.max() + 1, -1)
    return renumber(region)
