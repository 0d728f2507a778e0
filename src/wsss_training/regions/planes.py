"""Shape detection without labels: planes by region growing, the rest by nearness."""

import numpy as np
from numpy.typing import NDArray

from wsss_training.regions.graph import components, nearest_neighbours, renumber, take_nearest
from wsss_training.regions.normals import fit_normals, thinnest_direction

_SEED_FLATNESS = 0.04  # noise across a plane, where neighbours spread five times as far along it
_SEED_ANGLE = np.deg2rad(10.0)  # between neighbours; smaller, for it adds up along a bend
_PASSES = 3  # of new seeds in what the planes so far have left
_ROUNDS = 40  # of growth in a pass


def planes(
    xyz: NDArray[np.floating],
    normals: NDArray[np.floating] | None = None,
    distance: float = 0.05,
    angle: float = np.deg2rad(20.0),
    min_points: int = 50,
    neighbours: int = 12,
) -> NDArray[np.int32]:
    """Partitions a cloud into planes.

    All planes grow at once. Seeds are pieces of the neighbour graph whose points lie flat and
    agree with each other. Then, in rounds, points next to a plane that they fit join it, the
    planes are fitted anew, and neighbouring planes that are one are merged. Points that have come
    to lie off their plane are let go at last, and what is left is searched for seeds again.
    Points of no plane take the region of the nearest point that has one, however far.

    The partition does not change with the order of the points, nor when the cloud is moved or
    turned, up to rounding. It has one region where no plane is found.

    Args:
        xyz: points [N, 3], metres; may hold NaN or infinite points.
        normals: unit normals [N, 3] of either sign; estimated by default.
        distance: of a plane's points from it, metres.
        angle: between the normals of a plane and its points, radians.
        min_points: smallest plane.
        neighbours: how many nearest points each point is linked to.

    Returns:
        int32 [N], 0..R-1; -1 for invalid points alone.
    """
    region = np.full(len(xyz), -1, dtype=np.int32)
    finite = np.isfinite(xyz).all(axis=1)
    points = xyz[finite].astype(np.float64)
    if not len(points):
        return region
    points -= points.mean(axis=0)
    _, index = nearest_neighbours(points, neighbours)
    own, flatness = fit_normals(points, index)
    own = own if normals is None else normals[finite].astype(np.float64)
    growth = _Growth(points, own, index, distance, float(np.cos(angle)))
    found = np.full(len(points), -1, dtype=np.int32)
    for _ in range(_PASSES):
        seeds = _seeds(growth, (found < 0) & (flatness < _SEED_FLATNESS), min_points)
        if not (seeds >= 0).any():
            break
        found = np.where(seeds >= 0, seeds + found.max() + 1, found).astype(np.int32)
        found = _drop_small(growth.grow(found), min_points)
    region[finite] = renumber(take_nearest(points, found, index))
    return region


class _Growth:
    """Points with their normals and neighbours, and what it takes to be of a plane."""

    def __init__(
        self,
        xyz: NDArray[np.float64],
        normals: NDArray[np.float64],
        index: NDArray[np.int64],
        distance: float,
        cosine: float,
    ) -> None:
        self.xyz, self.normals, self.index = xyz, normals, index
        self.distance, self.cosine = distance, cosine

    def fit(self, region: NDArray[np.int32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Normals [R, 3] and offsets [R] of the planes through the regions 0..R-1."""
        inside = region >= 0
        group, xyz = region[inside], self.xyz[inside]
        count = np.maximum(np.bincount(group), 1)
        center = np.stack([np.bincount(group, column) for column in xyz.T], axis=1) / count[:, None]
        offset = xyz - center[group]
        spread = np.empty((len(count), 3, 3))
        for row, column in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)):
            total = np.bincount(group, offset[:, row] * offset[:, column])
            spread[:, row, column] = spread[:, column, row] = total / count
        normal = thinnest_direction(spread)[0]
        return normal, np.einsum("ri,ri->r", normal, center)

    def misfit(
        self,
        points: NDArray[np.int64],
        region: NDArray[np.int32],
        normal: NDArray[np.float64],
        offset: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Distance of points [M] from planes [M]; infinite for one that does not fit."""
        plane = normal[region]
        away = np.abs(np.einsum("mi,mi->m", self.xyz[points], plane) - offset[region])
        turned = np.abs(np.einsum("mi,mi->m", self.normals[points], plane)) < self.cosine
        return np.where((away > self.distance) | turned, np.inf, away)

    def grow(self, region: NDArray[np.int32]) -> NDArray[np.int32]:
        """Grows and merges regions until nothing changes; lets go of points that do not fit."""
        region = renumber(region)
        for _ in range(_ROUNDS):
            normal, offset = self.fit(region)
            region = renumber(self._merge(region, normal, offset))
            normal, offset = self.fit(region)
            joined = self._join(region, normal, offset)
            if not joined:
                break
        normal, offset = self.fit(region)
        inside = np.flatnonzero(region >= 0)
        fits = np.isfinite(self.misfit(inside, region[inside], normal, offset))
        region[inside[~fits]] = -1
        return renumber(region)

    def _join(
        self, region: NDArray[np.int32], normal: NDArray[np.float64], offset: NDArray[np.float64]
    ) -> int:
        """Lets points join the best plane of a neighbour, in place; tells how many did."""
        free = np.flatnonzero(region < 0)
        around = region[self.index[free]]
        row, column = np.nonzero(around >= 0)
        if not len(row):
            return 0
        candidate = around[row, column]
        misfit = self.misfit(free[row], candidate, normal, offset)
        order = np.lexsort((misfit, row))
        first = np.ones(len(order), dtype=bool)
        first[1:] = np.diff(row[order]) != 0
        best = order[first]
        best = best[np.isfinite(misfit[best])]
        region[free[row[best]]] = candidate[best]
        return len(best)

    def _merge(
        self, region: NDArray[np.int32], normal: NDArray[np.float64], offset: NDArray[np.float64]
    ) -> NDArray[np.int32]:
        """Merges regions that touch where the points of both fit either plane."""
        target = region[self.index]
        row, column = np.nonzero(
            (region[:, None] >= 0) & (target >= 0) & (target != region[:, None])
        )
        if not len(row):
            return region
        one, other = region[row], target[row, column]
        parallel = np.abs(np.einsum("mi,mi->m", normal[one], normal[other])) > self.cosine
        row, one, other = row[parallel], one[parallel], other[parallel]
        touching = np.isfinite(self.misfit(row, other, normal, offset))
        pairs = np.unique(np.stack([one, other], axis=1)[touching], axis=0)
        if not len(pairs):
            return region
        return self._join_pairs(region, pairs, normal, offset)

    def _join_pairs(
        self,
        region: NDArray[np.int32],
        pairs: NDArray[np.int32],
        normal: NDArray[np.float64],
        offset: NDArray[np.float64],
    ) -> NDArray[np.int32]:
        """Merges pairs of regions, each region with one other, if their points fit its plane."""
        size = np.bincount(region[region >= 0], minlength=len(normal))
        small, large = pairs.T
        swap = size[small] > size[large]
        small, large = np.where(swap, large, small), np.where(swap, small, large)
        # each small region tries the largest plane beside it
        order = np.lexsort((-size[large], small))
        first = np.ones(len(order), dtype=bool)
        first[1:] = np.diff(small[order]) != 0
        target = np.arange(len(normal), dtype=np.int32)
        target[small[order[first]]] = large[order[first]]
        inside = np.flatnonzero(region >= 0)
        away = np.abs(
            np.einsum("mi,mi->m", self.xyz[inside], normal[target[region[inside]]])
            - offset[target[region[inside]]]
        )
        good = np.bincount(region[inside], away <= self.distance, minlength=len(normal))
        target = np.where(good >= 0.9 * size, target, np.arange(len(normal)))
        merged = region.copy()
        merged[inside] = target[region[inside]]
        return merged


def _seeds(growth: _Growth, flat: NDArray[np.bool_], min_points: int) -> NDArray[np.int32]:
    """Pieces of flat points that agree with their neighbours; -1 for all others."""
    index, normals, xyz = growth.index, growth.normals, growth.xyz
    parallel = np.abs(np.einsum("ni,nki->nk", normals, normals[index])) > np.cos(_SEED_ANGLE)
    step = xyz[index] - xyz[:, None]
    away = np.abs(np.einsum("ni,nki->nk", normals, step))
    linked = parallel & (away < growth.distance) & flat[:, None] & flat[index]
    piece = components(index, linked)
    large = np.bincount(piece)[piece] >= max(min_points // 5, 3)
    return renumber(np.where(large & flat, piece, -1))


def _drop_small(region: NDArray[np.int32], min_points: int) -> NDArray[np.int32]:
    count = np.bincount(region[region >= 0], minlength=1)
    return renumber(np.where((region >= 0) & (count[region] >= min_points), region, -1))
