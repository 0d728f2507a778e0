"""A small made-up cloud, to see what an engine makes of it."""

import numpy as np
from numpy.typing import NDArray

from wsss_perception.bundle import ModelSpec
from wsss_perception.features import GEOMETRIC, point_features
from wsss_perception.frame import PointCloud
from wsss_perception.voxels import voxelize

_POINTS = 4000
_REACH = 15.0
"""Metres."""


def trial_voxels(spec: ModelSpec) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Voxels [V, 3] and features [V, F] of ground between two walls; always the same.

    Channels lie within what they were in training.
    """
    rng = np.random.default_rng(0)
    xyz = rng.uniform(-_REACH, _REACH, (_POINTS, 3)).astype(np.float32)
    is_ground = np.arange(_POINTS) < _POINTS // 2
    xyz[:, 1] = np.where(is_ground, xyz[:, 1], np.sign(xyz[:, 1]) * _REACH)
    xyz[:, 2] = np.where(is_ground, -1.7, np.abs(xyz[:, 2]) / 4 - 1.7)
    channels = {}
    for feature in spec.features:
        if feature.name not in GEOMETRIC:
            known = spec.input_statistics.get(feature.name, {})
            low, high = known.get("p01", 0.0), known.get("p99", 1.0)
            channels[feature.name] = rng.uniform(low, high, _POINTS).astype(np.float32)
    cloud = PointCloud(xyz, channels)
    grid = voxelize(xyz, spec.voxel_size, None)
    return grid.coords, grid.mean(point_features(cloud, spec.features))
