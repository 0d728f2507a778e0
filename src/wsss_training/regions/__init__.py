"""Unsupervised regions: parts of a cloud that are likely of one class."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from wsss_perception.frame import PointCloud
from wsss_training.regions.ground_clusters import ground_clusters
from wsss_training.regions.normals import estimate_normals
from wsss_training.regions.pixels import region_image
from wsss_training.regions.planes import planes
from wsss_training.regions.supervoxels import supervoxels
from wsss_training.regions.voting import vote

__all__ = [
    "REGIONS",
    "REGION_VERSION",
    "estimate_normals",
    "ground_clusters",
    "planes",
    "region_image",
    "supervoxels",
    "vote",
]

REGION_VERSION = "1"
"""Of the partitions, for what is kept of them on disk; another one if a cloud's may change."""


def _normals(cloud: PointCloud) -> NDArray[np.float32] | None:
    names = ("normal_x", "normal_y", "normal_z")
    if not all(name in cloud.channels for name in names):
        return None
    return np.stack([cloud.channels[name] for name in names], axis=1)


def _planes(cloud: PointCloud) -> NDArray[np.int32]:
    return planes(cloud.xyz, _normals(cloud))


def _supervoxels(cloud: PointCloud) -> NDArray[np.int32]:
    return supervoxels(cloud.xyz, _normals(cloud))


def _ground_clusters(cloud: PointCloud) -> NDArray[np.int32]:
    return ground_clusters(cloud.xyz, cloud.channels.get("intensity"))


REGIONS: dict[str, Callable[[PointCloud], NDArray[np.int32]]] = {
    "planes": _planes,
    "supervoxels": _supervoxels,
    "ground_clusters": _ground_clusters,
}
"""Partitions by name: each takes a cloud of N points and gives int32 [N], region ids 0..R-1 and -1
for points of none. Normals are the cloud's channels normal_x, normal_y, normal_z where it has
them, and estimated where it has not."""
