"""nuScenes' binary files: sweeps and their lidarseg labels."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError
from wsss_perception.frame import PointCloud
from wsss_perception.geometry import make_transform, transform_points

LIDAR = "LIDAR_TOP"
INTENSITY_SCALE = np.float32(255)
"""The files' intensity of a full return."""

T_FORWARD_RIGHT = make_transform([[0, 1, 0], [-1, 0, 0], [0, 0, 1]], [0, 0, 0])
"""Turns nuScenes' LiDAR axes (x right, y forward, z up) to REP-103's (x forward, y left, z up)."""

_VEHICLE = 1.0  # metres


def read_cloud(path: Path, stamp: int) -> PointCloud:
    """Reads a ``.pcd.bin`` file: float32 x, y, z, intensity (0..255), ring per point.

    Returns:
        Points turned to x forward, y left; channels ``intensity`` 0..1 and ``ring``.

    Raises:
        DatasetError: the file is missing, empty or cut short.
    """
    data = _read_bytes(path)
    if not data or len(data) % 20:
        raise DatasetError(
            f"{path}: {len(data)} bytes are not whole points of 20 bytes; the file is cut short: "
            "copy it again"
        )
    values = np.frombuffer(data, dtype="<f4").reshape(-1, 5)
    channels = {"intensity": values[:, 3] / INTENSITY_SCALE, "ring": values[:, 4].copy()}
    return PointCloud(transform_points(T_FORWARD_RIGHT, values[:, :3]), channels, stamp)


def without_vehicle(cloud: PointCloud) -> PointCloud:
    """Leaves out points within 1 m of the LiDAR along both x and y: the vehicle's own."""
    far = np.abs(cloud.xyz[:, :2]) >= _VEHICLE
    return cloud.select(far[:, 0] | far[:, 1])


def read_categories(path: Path, points: int) -> NDArray[np.uint8]:
    """Reads a ``_lidarseg.bin`` file: the category of every point [points].

    Raises:
        DatasetError: the file is missing, or its count is not the sweep's.
    """
    data = _read_bytes(path)
    if len(data) != points:
        raise DatasetError(
            f"{path}: {len(data)} labels for a sweep of {points} points; the two files do not "
            "belong together or one is cut short"
        )
    return np.frombuffer(data, dtype=np.uint8)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(
            f"{path}: cannot be read: {error.strerror}; the tables name it: unpack nuScenes' "
            "archive that holds it"
        ) from error
