"""A scene from above: sweeps joined, in class colours, in their own, or by height."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from wsss_perception.drawing import (
    FAINT,
    GROUND,
    LINE,
    SAMPLES,
    UNKNOWN_DOT,
    Picture,
    legible,
    reduce_samples,
    splat,
    write_text,
)
from wsss_perception.frame import UNKNOWN, PointCloud
from wsss_perception.geometry import Matrix, invert
from wsss_perception.ontology import Ontology
from wsss_training.data.accumulate import accumulate_sweeps
from wsss_training.data.sample import Sample

OVERHEAD = 2.5
"""Metres above the ground; higher points, such as a ceiling, are drawn beneath the others."""

_REACH = 40.0  # metres from the middle sweep, within which sweeps are joined
_CELL = 3.0  # metres, of the grid in which the ground is found
_MAX_POINTS = 200_000  # drawn of one map
_WORLD_FRAME = "world"
_COLOR_CHANNELS = ("red", "green", "blue")
_BAR_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500)  # metres
_HEIGHTS = (0.0, 0.25, 0.8, 1.8, 3.0, 8.0)  # metres above the ground, and their colours
_COLORS = (
    (70, 78, 96),
    (64, 124, 150),
    (60, 190, 150),
    (245, 215, 90),
    (240, 120, 70),
    (190, 90, 170),
)


def group_sweeps(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Chooses which sweeps share a map: all if they are near each other, else two groups.

    Args:
        samples: spread over a scene, in order.

    Returns:
        Groups, the sweep whose frame the map has first; single sweeps where poses are unknown.
    """
    near = _near(samples)
    if len(near) == len(samples):
        return [near]
    half = len(samples) // 2
    return [_near(samples[:half]), _near(samples[half:])]


def draw_scene_map(
    sweeps: Sequence[Sample], ontology: Ontology | None, size: tuple[int, int]
) -> Picture:
    """Draws sweeps from above, in the first one's frame: forward is up.

    Arrow heads are the sensor's poses, where they are known and the cloud is not in a frame of the
    world, such as that of a room. The map holds nearly all points.

    Args:
        sweeps: with poses, if they are several.
        ontology: of the labels, if they shall be drawn.
        size: width and height of the picture in pixels.
    """
    cloud, labels, places = _join(sweeps)
    finite = np.flatnonzero(np.isfinite(cloud.xyz).all(axis=1))
    finite = finite[:: -(-len(finite) // _MAX_POINTS) or 1]
    cloud = cloud.select(finite)
    labels = None if labels is None else labels[finite]
    height = height_above_ground(cloud.xyz)
    colors, caption = color_points(cloud, labels, height, ontology)
    middle, scale = _fit(cloud.xyz, size)
    picture = Image.fromarray(_draw_dots(cloud.xyz, colors, height, middle, scale, size))
    draw = ImageDraw.Draw(picture)
    for T_map_sensor in places if cloud.frame_id != _WORLD_FRAME else ():
        _draw_arrow(draw, T_map_sensor, middle, scale, size)
    _draw_bar(draw, scale, size)
    write_text(draw, (size[0] - 12, size[1] - 20), caption, 15, FAINT, "rm")
    return np.asarray(picture)


def height_above_ground(xyz: NDArray[np.floating]) -> NDArray[np.floating]:
    """Returns how far points [N, 3] are above the lowest ones around them, metres.

    The lowest fiftieth of the points of a square is taken for reflections below the ground.
    """
    if not len(xyz):
        return np.zeros(0)
    cells = np.floor(xyz[:, :2] / _CELL).astype(np.int64)
    _, cell = np.unique(cells, axis=0, return_inverse=True)
    cell = cell.reshape(-1)
    by_cell = np.lexsort((xyz[:, 2], cell))
    counts = np.bincount(cell)
    starts = np.cumsum(counts) - counts
    ground = xyz[by_cell[starts + counts // 50], 2]
    return np.maximum(xyz[:, 2] - ground[cell], 0.0)


def color_points(
    cloud: PointCloud,
    labels: NDArray[np.uint8] | None,
    height: NDArray[np.floating],
    ontology: Ontology | None,
) -> tuple[Picture, str]:
    """Colours points by their labels if an ontology is given, else as they are, or by height.

    Args:
        cloud: the points; channels ``red``, ``green``, ``blue`` are 0..255.
        labels: uint8 [N], or None.
        height: above the ground [N], metres.
        ontology: of the labels.

    Returns:
        RGB [N, 3], and what the colours mean.
    """
    if ontology is not None and labels is not None:
        palette = legible(ontology.palette())
        palette[UNKNOWN] = UNKNOWN_DOT
        return palette[labels], "colours: labels"
    if all(name in cloud.channels for name in _COLOR_CHANNELS):
        rgb = np.stack([cloud.channels[name] for name in _COLOR_CHANNELS], axis=1)
        return np.clip(rgb, 0, 255).astype(np.uint8), "colours: as seen"
    channels = [np.interp(height, _HEIGHTS, values) for values in zip(*_COLORS, strict=True)]
    return np.stack(channels, axis=1).astype(np.uint8), "grey 0 m, green 1 m, yellow 2 m, red 3 m"


def _near(samples: Sequence[Sample]) -> list[Sample]:
    """Returns the middle sweep, and those that were taken near it."""
    middle = samples[len(samples) // 2]
    near = [middle]
    for sample in samples:
        if sample is middle or sample.T_world_lidar is None or middle.T_world_lidar is None:
            continue
        if np.linalg.norm((sample.T_world_lidar - middle.T_world_lidar)[:3, 3]) <= _REACH:
            near.append(sample)
    return near


def _join(
    sweeps: Sequence[Sample],
) -> tuple[PointCloud, NDArray[np.uint8] | None, list[Matrix]]:
    """Returns the points, their labels, and the sensor's poses, in the first sweep's frame."""
    posed = [(s, s.T_world_lidar) for s in sweeps if s.T_world_lidar is not None]
    if not posed:
        return sweeps[0].cloud, sweeps[0].labels, []
    cloud, labels = accumulate_sweeps([(s.cloud, pose, s.labels) for s, pose in posed])
    return cloud, labels, [invert(posed[0][1]) @ pose for _, pose in posed]


def _fit(xyz: NDArray[np.floating], size: tuple[int, int]) -> tuple[NDArray[np.float64], float]:
    """Returns the middle of the map (x, y) and its pixels per metre."""
    if not len(xyz):
        return np.zeros(2), size[1] / 50.0
    low, high = np.percentile(xyz[:, :2], [2, 98], axis=0)
    extent = np.maximum(1.08 * (high - low), 1.0)
    return (low + high) / 2, float(np.min(np.array([size[1], size[0]]) / extent))


def _pixels(
    xyz: NDArray[np.floating], middle: NDArray[np.float64], scale: float, size: tuple[int, int]
) -> NDArray[np.floating]:
    """Returns columns and rows [N, 2]: x is up, y is left."""
    return np.array(size) / 2 - (xyz[:, [1, 0]] - middle[[1, 0]]) * scale


def _draw_dots(
    xyz: NDArray[np.floating],
    colors: Picture,
    height: NDArray[np.floating],
    middle: NDArray[np.float64],
    scale: float,
    size: tuple[int, int],
) -> Picture:
    canvas = np.full((size[1] * SAMPLES, size[0] * SAMPLES, 3), GROUND, dtype=np.uint8)
    order = np.lexsort((xyz[:, 2], height <= OVERHEAD))
    centres = _pixels(xyz[order], middle, scale, size) * SAMPLES
    radius = np.full(len(xyz), np.clip(0.09 * scale, 0.5, 2.0) * SAMPLES)
    splat(canvas, centres, radius, colors[order])
    return reduce_samples(canvas)


def _draw_arrow(
    draw: ImageDraw.ImageDraw,
    T_map_sensor: Matrix,
    middle: NDArray[np.float64],
    scale: float,
    size: tuple[int, int],
) -> None:
    """Draws an arrow head at a pose, of a fixed size in pixels."""
    angle = np.arctan2(T_map_sensor[1, 0], T_map_sensor[0, 0])
    heading = np.array([np.cos(angle), np.sin(angle)])
    left = np.array([-heading[1], heading[0]])
    shape = np.array([[11, 0], [-8, 8], [-4, 0], [-8, -8]]) @ np.stack([heading, left])
    corners = _pixels(T_map_sensor[None, :2, 3] + shape / scale, middle, scale, size)
    outline = [(float(column), float(row)) for column, row in corners]
    draw.polygon(outline, fill=(255, 255, 255), outline=GROUND)


def _draw_bar(draw: ImageDraw.ImageDraw, scale: float, size: tuple[int, int]) -> None:
    """Draws a bar of a round number of metres."""
    fitting = [step for step in _BAR_STEPS if step * scale <= 0.3 * size[0]]
    metres = fitting[-1] if fitting else _BAR_STEPS[0]
    y = size[1] - 20
    draw.line((12, y, 12 + metres * scale, y), fill=FAINT, width=3)
    write_text(draw, (20 + metres * scale, y), f"{metres} m", 15, FAINT)
    draw.rectangle((0, 0, size[0] - 1, size[1] - 1), outline=LINE)
