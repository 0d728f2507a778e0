"""Cuts the ground of a sweep into patches that end where its height or its brightness steps."""

import numpy as np
from numpy.typing import NDArray

from wsss_training.regions.graph import cell_numbers, renumber

_BRIGHTNESS_CELL = 0.25  # of a patch's edge: single intensities are noisy, so cells are averaged
_MIN_PART = 5  # points


def ground_patches(
    xyz: NDArray[np.float64],
    intensity: NDArray[np.floating] | None = None,
    size: float = 2.0,
    near: float = 20.0,
    height_step: float = 0.05,
    intensity_step: float = 0.03,
) -> NDArray[np.int32]:
    """Partitions ground points into patches.

    Patches are square cells, twice as large with every doubling of the range. One that a kerb
    crosses has two heights, and one with two pavings two intensities: it is split in two.

    Args:
        xyz: ground points [N, 3], finite, in the LiDAR frame, metres.
        intensity: [N], 0..1; None does without.
        size: edge of the near patches, metres.
        near: range at which patches begin to grow, metres.
        height_step: least difference of the mean heights of two parts, metres.
        intensity_step: least difference of their mean intensities.

    Returns:
        int32 [N], 0..R-1.
    """
    level = range_levels(xyz, near)
    edge = (size * 2.0**level).astype(np.float64)
    patch = square_cells(xyz[:, :2], edge, level)
    patch = 2 * patch + bimodal_parts(patch, xyz[:, 2], height_step, 0.7)
    patch = renumber(patch).astype(np.int64)
    if intensity is not None:
        fine = square_cells(xyz[:, :2], _BRIGHTNESS_CELL * edge, patch)
        brightness = (np.bincount(fine, intensity) / np.maximum(np.bincount(fine), 1))[fine]
        patch = 2 * patch + bimodal_parts(patch, brightness, intensity_step, 0.5)
    return renumber(patch)


def range_levels(xyz: NDArray[np.float64], near: float) -> NDArray[np.int64]:
    """How often the range of points [N, 3] has doubled from ``near`` on; 0 up to there."""
    reach = np.linalg.norm(xyz, axis=1)
    return np.floor(np.log2(np.maximum(reach / near, 1.0))).astype(np.int64)


def square_cells(
    positions: NDArray[np.float64], edge: NDArray[np.float64], group: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Numbers grid cells of points [N, k]: a cell holds one group and has its points' edge."""
    place = np.floor(positions / edge[:, None]).astype(np.int64)
    return cell_numbers(np.column_stack([group, place]))


def bimodal_parts(
    group: NDArray[np.int64], values: NDArray[np.floating], step: float, explained: float
) -> NDArray[np.int64]:
    """Splits groups whose values are of two kinds, by Otsu's threshold.

    Args:
        group: of each point [N], 0..G-1.
        values: [N].
        step: least difference of the two parts' means.
        explained: least share of the variance that lies between the parts; 0.75 of evenly spread
            values does at their middle, 1 of two separate ones.

    Returns:
        int64 [N], 1 for the upper part of a group that is split, otherwise 0.
    """
    order = np.lexsort((values, group))
    groups, ascending = group[order], values[order].astype(np.float64)
    count = np.bincount(group)
    start = np.cumsum(count) - count
    mean = np.bincount(group, values) / np.maximum(count, 1)
    ascending = ascending - mean[groups]  # about 0, for precision
    running = np.cumsum(ascending)
    before = np.concatenate([[0.0], running])[start]
    lower_count = np.arange(len(group)) - start[groups] + 1
    upper_count = count[groups] - lower_count
    # the group's values sum to 0, so the upper part's sum is minus the lower part's
    lower = running - before[groups]
    difference = -lower / np.maximum(upper_count, 1) - lower / lower_count
    between = lower_count * upper_count / count[groups] ** 2 * difference**2
    variance = np.bincount(groups, ascending**2) / np.maximum(count, 1)
    best_first = np.lexsort((-between, groups))
    best = best_first[start[count > 0]]
    split = np.zeros(len(count), dtype=bool)
    split[count > 0] = (
        (between[best] > explained * variance[count > 0])
        & (difference[best] > step)
        & (np.minimum(lower_count, upper_count)[best] >= _MIN_PART)
    )
    threshold = np.full(len(count), np.inf)
    threshold[count > 0] = values[order][best]
    return (split[group] & (values > threshold[group])).astype(np.int64)
