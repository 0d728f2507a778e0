"""Motion compensation: points of a moving LiDAR as if all were measured at the cloud's stamp."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import MessageError
from wsss_perception.geometry import Matrix, invert
from wsss_perception.messages.common import stamp_to_ns
from wsss_perception.messages.point_layout import describe, read_layout

TIME_NAMES = ("time", "t", "timestamp", "time_stamp", "offset_time", "time_offset", "stamps")
"""Fields that may hold the time of each point; the first one a cloud has does.

Velodyne: ``time``, FLOAT32, seconds after the stamp. Ouster: ``t``, UINT32, nanoseconds after it.
Hesai and RoboSense: ``timestamp``, FLOAT64, seconds since the epoch. Livox: ``timestamp``, FLOAT64,
nanoseconds since the epoch; ``offset_time``, UINT32, nanoseconds after the stamp. Nebula:
``time_stamp``, UINT32, nanoseconds after the stamp, FLOAT64 in older versions.
"""

_MAX_OFFSET = 1.0
"""Seconds that a point may be from its cloud's stamp."""

_POSE_INTERVAL = 0.01
"""Most seconds between two poses. Turning at 1 rad/s, a point 100 m away is off by 1.3 mm then."""


def point_times(message: Any) -> NDArray[np.float64] | None:
    """Reads when each point of a PointCloud2 was measured, in seconds after the cloud's stamp.

    Integers are nanoseconds after the stamp, and FLOAT32 are seconds after it. FLOAT64 are one of
    seconds after the stamp, and seconds or nanoseconds of the stamp's own clock: whichever makes
    them times within a second of the stamp.

    Args:
        message: the PointCloud2, of rclpy or rosbags.

    Returns:
        [N], in the order of the points, before the stamp where negative; NaN where a point's time
        is not within a second of the stamp, as drivers write for points that were not measured.
        None if the cloud has no field of TIME_NAMES.

    Raises:
        MessageError: the layout contradicts itself, or the field cannot be understood as times.
    """
    layout = read_layout(message)
    name = next((name for name in TIME_NAMES if name in layout.fields), None)
    if name is None:
        return None
    field = layout.fields[name]
    if field.count != 1:
        raise MessageError(
            f"{describe(message)}: field '{name}' has {field.count} values a point, "
            "a time is one; turn motion compensation off for this driver"
        )
    values = layout.values(field).reshape(-1).astype(np.float64)
    measured = values[np.isfinite(values) & (values != 0)]
    middle = float(np.median(measured)) if len(measured) else 0.0
    for unit, origin in _readings(name, field.dtype, stamp_to_ns(message.header.stamp)):
        if abs((middle - origin) * unit) <= _MAX_OFFSET:
            seconds = (values - origin) * unit
            with np.errstate(invalid="ignore"):
                return np.where(np.abs(seconds) <= _MAX_OFFSET, seconds, np.nan)
    raise MessageError(
        f"{describe(message)}: field '{name}' ({field.dtype}) has a median of {middle:.9g}: no "
        "time within a second of the stamp, in seconds or nanoseconds; let the driver take both "
        "from one clock, or turn motion compensation off"
    )


def compensate(
    xyz: NDArray[np.float32],
    seconds: NDArray[np.floating],
    pose: Callable[[int], Matrix],
    stamp: int,
) -> NDArray[np.float32]:
    """Moves each point to where the LiDAR would have measured it at the cloud's stamp.

    A point p measured at t becomes T(stamp)^-1 T(t) p, with T the pose of the LiDAR. T is asked for
    every 10 ms or less of the cloud's time, and blended linearly between.

    Args:
        xyz: [N, 3], metres, each in the LiDAR frame of its own time; not changed.
        seconds: [N], when each point was measured, after the stamp, as of ``point_times``; a point
            with NaN is not moved, nor is one with a coordinate that is not finite.
        pose: returns T_fixed_lidar [4, 4] at a time in nanoseconds; what it raises is raised on.
        stamp: of the cloud, nanoseconds.

    Returns:
        float32 [N, 3], in the LiDAR frame of the stamp.
    """
    known = np.isfinite(seconds)
    for column in xyz.T:  # not all(axis=1), which takes twenty times as long
        known &= np.isfinite(column)
    if not known.any():
        return xyz.copy()
    first, last = float(seconds[known].min()), float(seconds[known].max())
    intervals = max(1, math.ceil((last - first) / _POSE_INTERVAL))
    T_stamp_fixed = invert(pose(stamp))
    times = [stamp + round(second * 1e9) for second in np.linspace(first, last, intervals + 1)]
    motions = np.stack([(T_stamp_fixed @ pose(time))[:3] for time in times])
    place = np.where(known, seconds - first, 0.0) * (intervals / max(last - first, 1e-9))
    before = np.minimum(place.astype(np.intp), intervals - 1)
    moved = _blend(xyz, motions.astype(np.float32), before, (place - before).astype(np.float32))
    moved[~known] = xyz[~known]
    return moved


def _readings(name: str, dtype: np.dtype, stamp: int) -> list[tuple[float, float]]:
    """Lists what a field may mean: its unit in seconds, and which of its values is the stamp."""
    if dtype.kind != "f":
        return [(1e-9, 0.0)]
    if dtype.itemsize < 8:
        return [(1.0, 0.0)]
    relative, absolute = [(1.0, 0.0)], [(1.0, stamp * 1e-9), (1e-9, float(stamp))]
    return absolute + relative if "stamp" in name else relative + absolute


def _blend(
    xyz: NDArray[np.float32],
    motions: NDArray[np.float32],
    before: NDArray[np.intp],
    fraction: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Maps each point through a blend of the motions [K, 3, 4] at ``before`` and after it."""
    columns = np.ascontiguousarray(motions.transpose(2, 1, 0))  # [4, 3, K]
    moved = np.zeros((3, len(xyz)), dtype=np.float32)
    with np.errstate(invalid="ignore"):
        for number, (column, step) in enumerate(zip(columns, np.diff(columns), strict=True)):
            blended = np.take(step, before, axis=1)
            blended *= fraction
            blended += np.take(column, before, axis=1)
            moved += blended * xyz[:, number] if number < 3 else blended
    return np.ascontiguousarray(moved.T)
