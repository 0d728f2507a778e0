"""Several sweeps as one cloud, moved to where the last one was taken."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wsss_perception.frame import UNKNOWN, PointCloud
from wsss_perception.geometry import Matrix, invert, transform_points

LabelledCloud = tuple[PointCloud, Matrix, NDArray[np.uint8] | None]
"""A sweep, its pose T_world_lidar, and its labels where it has some."""


def accumulate_sweeps(
    sweeps: Sequence[LabelledCloud],
) -> tuple[PointCloud, NDArray[np.uint8] | None]:
    """Joins sweeps in the frame of the first one, whose points come first, in their order.

    What stands still falls together; what moved leaves a trail.

    Args:
        sweeps: the sweep that a sample is of, and others of its log. All have the same channels.

    Returns:
        The points with their channels and ``time``, seconds since the first sweep's stamp
        (negative for older ones); and their labels, UNKNOWN where a sweep has none, or None
        where no sweep has any.
    """
    first, T_world_first, _ = sweeps[0]
    parts = []
    for cloud, T_world_lidar, _ in sweeps:
        T_first_lidar = invert(T_world_first) @ T_world_lidar
        xyz = cloud.xyz if cloud is first else transform_points(T_first_lidar, cloud.xyz)
        seconds = np.full(len(cloud), (cloud.stamp - first.stamp) * 1e-9, dtype=np.float32)
        parts.append((xyz.astype(np.float32, copy=False), {**cloud.channels, "time": seconds}))
    channels = {
        name: np.concatenate([channels[name] for _, channels in parts]) for name in parts[0][1]
    }
    joined = replace(first, xyz=np.concatenate([xyz for xyz, _ in parts]), channels=channels)
    if all(labels is None for _, _, labels in sweeps):
        return joined, None
    known = [
        np.full(len(cloud), UNKNOWN, dtype=np.uint8) if labels is None else labels
        for cloud, _, labels in sweeps
    ]
    return joined, np.concatenate(known)


def own_points(cloud: PointCloud) -> NDArray[np.bool_]:
    """Tells which points [N] of a cloud are of its own sweep; all where none were joined to it."""
    time = cloud.channels.get("time")
    return np.ones(len(cloud), dtype=bool) if time is None else time == 0
