"""Removal of floor, ceiling and walls, so that some rooms lack what nearly all rooms have."""

import numpy as np
from numpy.typing import NDArray

DEPTH = 0.5
"""How far from a room's lowest, highest or outermost points its structure is sought; metres."""


def remove_structures(
    xyz: NDArray[np.floating],
    region: NDArray[np.integer],
    tags: NDArray[np.bool_],
    floor: int | None,
    ceiling: int | None,
    wall: int | None,
    rng: np.random.Generator,
    probability: float = 0.5,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Drops structures of a room at random and clears their tags.

    Scene tags of floor and walls say nothing where every room has them. The scene is seen as a
    cuboid: the region with the most points in the lowest DEPTH is the floor, that in the highest
    DEPTH the ceiling, and those of the four sides' outermost DEPTH, one each, are the walls; the
    floor's and the ceiling's regions are not taken for walls. Floor, ceiling and walls are
    each dropped with the same probability and apart from each other, the four walls in one draw.

    A structure stays where the ontology has no class for it, where its tag is off already, where
    no region is found, and where no point would be left.

    Args:
        xyz: points [N, 3], z up, metres; may hold NaN or infinite points.
        region: of each point [N], -1 for none.
        tags: bool [C], classes of the scene.
        floor: label of the floor; None where the ontology has none.
        ceiling: label of the ceiling, or None.
        wall: label of walls, or None.
        rng: decides; drawn from three times, whatever there is.
        probability: of dropping each structure.

    Returns:
        Which points are kept, bool [N]; and the tags of what is left, bool [C].
    """
    keep, left = np.ones(len(xyz), dtype=bool), tags.copy()
    chosen = rng.random(3) < probability
    usable = np.flatnonzero(np.isfinite(xyz).all(axis=1) & (region >= 0))
    if not len(usable):
        return keep, left
    points, groups = xyz[usable], region[usable]
    low, high = points.min(axis=0), points.max(axis=0)
    bottom = _largest(groups, points[:, 2] <= low[2] + DEPTH)
    top = _largest(groups, points[:, 2] >= high[2] - DEPTH)
    upright = ~np.isin(groups, [bottom, top])
    sides = {
        _largest(groups, upright & outermost)
        for axis in (0, 1)
        for outermost in (
            points[:, axis] <= low[axis] + DEPTH,
            points[:, axis] >= high[axis] - DEPTH,
        )
    }
    for drop, label, regions in zip(
        chosen, (floor, ceiling, wall), ({bottom}, {top}, sides - {-1}), strict=True
    ):
        if not drop or label is None or not left[label] or not regions:
            continue
        remaining = keep & ~np.isin(region, list(regions))
        if remaining.any():
            keep = remaining
            left[label] = False
    return keep, left


def _largest(groups: NDArray[np.integer], mask: NDArray[np.bool_]) -> int:
    """The group with most points in a mask [N], the first of equals; -1 where it is empty."""
    return int(np.bincount(groups[mask]).argmax()) if mask.any() else -1
