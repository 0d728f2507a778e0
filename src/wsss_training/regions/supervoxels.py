"""Supervoxels: small compact regions that stop at edges, in the manner of VCCS.

VCCS (Papon et al., CVPR 2013) grows seeds on a grid along the voxels' adjacency. Here seeds grow
along the graph of nearest neighbours, and a point belongs to the seed with the cheapest path, so
that a region never jumps a gap and hangs together by construction.
"""

import numpy as np
from numpy.typing import NDArray

from wsss_training.regions.graph import (
    cell_numbers,
    grow_pieces,
    nearest_neighbours,
    renumber,
    take_nearest,
)
from wsss_training.regions.normals import fit_normals


def supervoxels(
    xyz: NDArray[np.floating],
    normals: NDArray[np.floating] | None = None,
    colors: NDArray[np.floating] | None = None,
    size: float = 0.3,
    gap: float = 0.15,
    normal_weight: float = 1.0,
    color_weight: float = 1.0,
    neighbours: int = 12,
    min_points: int = 5,
) -> NDArray[np.int32]:
    """Partitions a cloud into supervoxels.

    Seeds are the central points of the cells of a grid that starts at the cloud's least
    coordinates: the partition moves with the cloud, but a turn of the cloud changes it. The order
    of the points does not matter, unless points are equally near to others.

    Args:
        xyz: points [N, 3], metres; may hold NaN or infinite points.
        normals: unit normals [N, 3] of either sign; estimated by default.
        colors: [N, 3], 0..1; None does without.
        size: edge of the grid's cells, metres.
        gap: points farther apart are not linked, metres.
        normal_weight: cost of a turn by 90 degrees, in sizes.
        color_weight: cost of the way from black to white, in sizes.
        neighbours: how many nearest points each point is linked to.
        min_points: pieces of fewer points that nothing is linked to take the nearest region.

    Returns:
        int32 [N], 0..R-1; -1 for invalid points alone.
    """
    region = np.full(len(xyz), -1, dtype=np.int32)
    finite = np.isfinite(xyz).all(axis=1)
    points = xyz[finite].astype(np.float64)
    if not len(points):
        return region
    distance, index = nearest_neighbours(points, neighbours)
    turn = fit_normals(points, index)[0] if normals is None else normals[finite]
    cost = distance / size + normal_weight * _turns(turn, index)
    if colors is not None:
        cost = cost + color_weight * _color_steps(colors[finite], index)
    cost[distance > gap] = np.inf
    cells = cell_numbers(np.floor((points - points.min(axis=0)) / size).astype(np.int64))
    found = grow_pieces(points, index, cost, cells, min_points)
    region[finite] = renumber(take_nearest(points, found, index))
    return region


def _turns(normals: NDArray[np.floating], index: NDArray[np.int64]) -> NDArray[np.float64]:
    """How far normals turn along each link [N, k]: 0 for parallel ones, 1 for 90 degrees."""
    return 1.0 - np.abs(np.einsum("ni,nki->nk", normals, normals[index]))


def _color_steps(colors: NDArray[np.floating], index: NDArray[np.int64]) -> NDArray[np.float64]:
    """How far colours, 0..1 [N, 3], change along each link [N, k]: 1 from black to white."""
    step = colors[:, None] - colors[index]
    return np.sqrt(np.einsum("nki,nki->nk", step, step) / 3.0)
