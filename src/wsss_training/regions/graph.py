"""What region methods share: neighbours of points, seeds on a grid, growth along a graph."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree

_LEAST_COST = 1e-9  # a sparse matrix has no edges of length 0


def nearest_neighbours(
    xyz: NDArray[np.floating], count: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Finds the nearest other points of every point.

    Args:
        xyz: finite points [N, 3].
        count: how many to find; fewer where there are not so many points.

    Returns:
        Distances [N, k] and indices [N, k], nearest first, with k = min(count, N - 1).
    """
    count = min(count, len(xyz) - 1)
    if count <= 0:
        return np.zeros((len(xyz), 0)), np.zeros((len(xyz), 0), dtype=np.int64)
    distance, index = cKDTree(xyz).query(xyz, count + 1)
    # among points at the same place a point need not be its own nearest
    own = index == np.arange(len(xyz))[:, None]
    own[~own.any(axis=1), -1] = True
    shape = (len(xyz), count)
    return distance[~own].reshape(shape), index[~own].reshape(shape).astype(np.int64)


def components(index: NDArray[np.int64], linked: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Numbers the connected pieces of a neighbour graph.

    Args:
        index: neighbours [N, k] of every point.
        linked: [N, k], which of the links count; either direction is enough.

    Returns:
        int32 [N], 0..R-1.
    """
    return connected_components(_matrix(index, linked.astype(np.float64), linked), directed=False)[
        1
    ]


def grow_seeds(
    index: NDArray[np.int64], cost: NDArray[np.float64], seeds: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Gives every point to the seed that the cheapest path leads to.

    Regions hang together by construction: the path to a point's seed stays in its region.

    Args:
        index: neighbours [N, k] of every point.
        cost: lengths [N, k] of the links, infinite where there is none; both directions serve.
        seeds: indices [S] of points, each once.

    Returns:
        int32 [N]: which seed, 0..S-1; -1 where no path leads to one.
    """
    if not len(seeds):
        return np.full(len(index), -1, dtype=np.int32)
    matrix = _matrix(index, np.maximum(cost, _LEAST_COST), np.isfinite(cost))
    _, _, source = dijkstra(
        matrix, directed=False, indices=seeds, min_only=True, return_predecessors=True
    )
    number = np.full(len(index) + 1, -1, dtype=np.int32)
    number[seeds] = np.arange(len(seeds))
    return number[np.where(source < 0, len(index), source)]


def grow_pieces(
    xyz: NDArray[np.float64],
    index: NDArray[np.int64],
    cost: NDArray[np.float64],
    cells: NDArray[np.int64],
    min_points: int,
) -> NDArray[np.int32]:
    """Grows a seed in every cell, and one in every piece of the graph that has none yet.

    Args:
        xyz: finite points [N, 3].
        index: neighbours [N, k].
        cost: of the links [N, k], infinite where there is none.
        cells: cell of each point, 0..G-1.
        min_points: pieces of the graph with fewer points get no seed.

    Returns:
        int32 [N]; -1 for points of pieces without a seed.
    """
    piece = components(index, np.isfinite(cost))
    large = np.bincount(piece)[piece] >= min_points
    candidates = np.flatnonzero(large)
    if not len(candidates):
        return np.full(len(xyz), -1, dtype=np.int32)
    # a cell that two pieces share has a seed in each
    groups = cell_numbers(np.stack([piece, cells], axis=1)[candidates])
    seeds = candidates[central_points(xyz[candidates], groups)]
    # corners of cells need no seed of their own, but every piece needs one
    count = np.bincount(groups)
    most = np.zeros(len(piece), dtype=np.int64)
    np.maximum.at(most, piece[seeds], count)
    return grow_seeds(index, cost, seeds[count >= np.minimum(min_points, most[piece[seeds]])])


def cell_numbers(cells: NDArray[np.integer]) -> NDArray[np.int64]:
    """Numbers the distinct rows of integers [N, k] from 0 in lexicographic order: int64 [N]."""
    key = np.zeros(len(cells), dtype=np.int64)
    for column in cells.T:
        _, place = np.unique(column, return_inverse=True)
        key = key * (int(place.max(initial=0)) + 1) + place.reshape(-1)
        key = np.unique(key, return_inverse=True)[1].reshape(-1)  # stays far from overflow
    return key


def central_points(xyz: NDArray[np.floating], group: NDArray[np.integer]) -> NDArray[np.int64]:
    """Finds in every group the point nearest to the group's mean.

    Args:
        xyz: points [N, 3].
        group: group of each point [N], 0..G-1, none empty.

    Returns:
        Indices [G].
    """
    offset = xyz - group_means(xyz, group)[group]
    # two points are equally far from their mean: rounding must not choose
    away = np.einsum("ij,ij->i", offset, offset).astype(np.float32)
    order = np.lexsort((*xyz.T, away, group))
    first = np.ones(len(order), dtype=bool)
    first[1:] = np.diff(group[order]) != 0
    return order[first]


def group_means(values: NDArray[np.floating], group: NDArray[np.integer]) -> NDArray[np.float64]:
    """Mean [G, k] of values [N, k] over the points of each group 0..G-1, none empty."""
    count = np.bincount(group)
    return np.stack([np.bincount(group, column) / count for column in values.T], axis=1)


def take_nearest(
    xyz: NDArray[np.floating], region: NDArray[np.integer], index: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Gives points without a region, -1, the region of the nearest point that has one.

    Where no point has one, all points become region 0.

    Args:
        xyz: finite points [N, 3].
        region: region of each point [N].
        index: neighbours [N, k] of every point, nearest first, which most searches end at.

    Returns:
        int32 [N].
    """
    filled = region.astype(np.int32)
    missing = np.flatnonzero(region < 0)
    if len(missing) == len(region):
        return np.zeros(len(region), dtype=np.int32)
    around = np.column_stack([filled[index[missing]], np.full(len(missing), -1)])
    first = np.argmax(around >= 0, axis=1)
    filled[missing] = around[np.arange(len(missing)), first]
    far = missing[filled[missing] < 0]
    if len(far):
        known = np.flatnonzero(region >= 0)
        _, nearest = cKDTree(xyz[known]).query(xyz[far])
        filled[far] = region[known[nearest]]
    return filled


def renumber(region: NDArray[np.integer]) -> NDArray[np.int32]:
    """Closes the gaps in region numbers [N], keeping their order; negative ones become -1."""
    known = region >= 0
    dense = np.full(len(region), -1, dtype=np.int32)
    dense[known] = np.unique(region[known], return_inverse=True)[1].reshape(-1)
    return dense


def _matrix(
    index: NDArray[np.int64], values: NDArray[np.float64], kept: NDArray[np.bool_]
) -> csr_matrix:
    ends = np.concatenate([[0], np.cumsum(np.count_nonzero(kept, axis=1))])
    return csr_matrix((values[kept], index[kept], ends), shape=(len(index), len(index)))
