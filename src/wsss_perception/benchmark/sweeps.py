"""Sweeps of a spinning LiDAR in a made-up street, to measure speed where there is no bag.

A street of house fronts, cars, posts and trees on flat ground, all of them boxes; trees let some
rays through. What is made is a function of its arguments alone.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wsss_perception.frame import PointCloud

_HEIGHT = 1.73
"""Of the sensor above the ground, metres."""
_FARTHEST = 80.0
_NOISE = 0.02
"""Standard deviation of a measured range, metres."""
_LOST = 0.08
"""Share of rays that come back to no one: wet, dark or shining surfaces."""
_FOLIAGE = 1.5
"""How far a ray gets into a tree on average, metres."""


@dataclass(frozen=True)
class Sensor:
    """A spinning LiDAR.

    Attributes:
        beams: number of beams.
        columns: firings of all beams in a turn.
        elevations: of the lowest, the middle and the highest beam, degrees.
    """

    beams: int
    columns: int
    elevations: tuple[float, float, float]


SENSORS = {
    32: Sensor(32, 1084, (-30.0, -10.0, 10.0)),
    64: Sensor(64, 2083, (-24.3, -8.6, 2.0)),
}
"""Sensors like those of nuScenes and KITTI, by their beams."""


def make_sweep(sensor: Sensor, seed: int) -> PointCloud:
    """Makes a sweep in a street of its own, with the channel ``intensity`` (0..1).

    Args:
        sensor: the LiDAR.
        seed: of street and noise.

    Returns:
        The points that came back, in the order of firing, in the LiDAR frame.
    """
    rng = np.random.default_rng(seed)
    azimuth = np.linspace(-np.pi, np.pi, sensor.columns, endpoint=False, dtype=np.float32)
    degrees = np.interp(np.linspace(0, 2, sensor.beams), range(3), sensor.elevations)
    elevation = np.deg2rad(degrees).astype(np.float32)
    rays = np.empty((sensor.columns, sensor.beams, 3), dtype=np.float32)
    rays[..., 0] = np.cos(azimuth)[:, None] * np.cos(elevation)
    rays[..., 1] = np.sin(azimuth)[:, None] * np.cos(elevation)
    rays[..., 2] = np.sin(elevation)
    with np.errstate(divide="ignore"):
        ranges = np.where(rays[..., 2] < 0, np.float32(-_HEIGHT) / rays[..., 2], np.inf)
    brightness = np.full(ranges.shape, 0.25, dtype=np.float32)
    for box in _street(rng):
        _trace(box, rays, ranges, brightness, rng)
    came_back = (ranges < _FARTHEST) & (rng.random(ranges.shape, dtype=np.float32) > _LOST)
    measured = ranges[came_back] + rng.normal(0.0, _NOISE, int(came_back.sum()))
    xyz = (rays[came_back] * measured[:, None]) @ _turn(rng.uniform(-np.pi, np.pi)).T
    intensity = brightness[came_back] + rng.normal(0.0, 0.1, len(xyz))
    return PointCloud(
        xyz.astype(np.float32), {"intensity": intensity.clip(0.0, 1.0).astype(np.float32)}
    )


def make_grown_sweep(points: int, seed: int) -> PointCloud:
    """Makes a sweep of exactly so many points, denser and farther the more they are.

    The 64-beam sensor's angles are made finer by a factor, and the street is enlarged by the same
    factor, so that as many points as ever fall on a square metre: a sweep of 1,000,000 points
    reaches 240 m.

    Args:
        points: number of points.
        seed: of street and noise.
    """
    usual = SENSORS[64]
    factor = np.sqrt(1.6 * points / (usual.beams * usual.columns))  # rays to spare
    beams = max(round(usual.beams * factor), 1)
    sensor = replace(usual, beams=beams, columns=-int(-1.6 * points // beams))
    cloud = make_sweep(sensor, seed)
    chosen = np.random.default_rng(seed).choice(len(cloud), points, replace=False)
    cloud = cloud.select(np.sort(chosen))
    return replace(cloud, xyz=cloud.xyz * np.float32(factor))


@dataclass(frozen=True)
class _Box:
    """Something that stands in the street.

    Attributes:
        low: corner (x, y, z), metres from the sensor.
        high: opposite corner.
        brightness: intensity of its points.
        is_tree: lets rays in.
    """

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    brightness: float
    is_tree: bool = False


def _street(rng: np.random.Generator) -> list[_Box]:
    """Makes a street along x, with gaps between its houses."""
    boxes = []
    for side in (-1.0, 1.0):
        start = -_FARTHEST
        while start < _FARTHEST:
            length = rng.uniform(8.0, 25.0)
            if rng.random() < 0.6:
                center = (start + length / 2, side * (rng.uniform(13.0, 35.0) + 5.0))
                boxes.append(_box(center, (length, 10.0, rng.uniform(4.0, 12.0)), 0.35))
            start += length + rng.uniform(0.0, 6.0)
        for size, offset, brightness, count in (
            ((4.2, 1.8, 1.5), 7.0, 0.5, 9),  # cars
            ((0.2, 0.2, 5.0), 9.0, 0.6, 10),  # posts
            ((0.6, 0.6, 1.75), 9.5, 0.3, 6),  # persons
            ((4.0, 3.0, 4.0), 13.0, 0.3, 12),  # bushes and trees
        ):
            for x in rng.uniform(-0.8 * _FARTHEST, 0.8 * _FARTHEST, count):
                y = side * (offset + rng.normal(0.0, 0.5))
                if np.hypot(x, y) > 4.0:
                    boxes.append(_box((x, y), size, brightness, is_tree=size[0] == 4.0))
    return boxes


def _box(
    center: tuple[float, float],
    size: tuple[float, float, float],
    brightness: float,
    is_tree: bool = False,
) -> _Box:
    half = np.array(size[:2]) / 2
    low = np.array([*(np.array(center) - half), -_HEIGHT], dtype=np.float32)
    return _Box(low, low + np.array(size, dtype=np.float32), brightness, is_tree)


def _trace(
    box: _Box,
    rays: NDArray[np.float32],
    ranges: NDArray[np.float32],
    brightness: NDArray[np.float32],
    rng: np.random.Generator,
) -> None:
    """Shortens in place the ranges [columns, beams] of the rays that a box stops."""
    columns = _columns_of(box, len(rays))
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / rays[columns]
        first, second = box.low * inverse, box.high * inverse
    entry = np.minimum(first, second).max(axis=-1)
    leave = np.maximum(first, second).min(axis=-1)
    if box.is_tree:
        stop = entry + rng.exponential(_FOLIAGE, entry.shape).astype(np.float32)
        is_stopped = stop < leave
    else:
        stop, is_stopped = entry, entry < leave
    nearer = is_stopped & (stop > 0) & (stop < ranges[columns])
    ranges[columns] = np.where(nearer, stop, ranges[columns])
    brightness[columns] = np.where(nearer, np.float32(box.brightness), brightness[columns])


def _columns_of(box: _Box, count: int) -> NDArray[np.int64]:
    """The columns of rays, of ``count`` a turn from -pi on, whose directions meet a box."""
    x, y = np.meshgrid((box.low[0], box.high[0]), (box.low[1], box.high[1]))
    middle = np.arctan2(y.mean(), x.mean())
    corners = np.arctan2(y, x).ravel() - middle
    spread = np.abs((corners + np.pi) % (2 * np.pi) - np.pi).max()
    first, last = ((middle + side * spread + np.pi) / (2 * np.pi) * count for side in (-1, 1))
    return np.arange(int(np.floor(first)), int(np.ceil(last)) + 1) % count


def _turn(angle: float) -> NDArray[np.float64]:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
