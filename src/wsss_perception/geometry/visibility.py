"""Which projected points a camera really sees."""

import numpy as np
from numpy.typing import NDArray

from wsss_perception.geometry.cameras import Camera
from wsss_perception.geometry.transforms import Matrix, transform_points

Visible = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Indices [M] of points that a camera sees, ascending, and their pixel coordinates [M, 2]."""

MIN_DEPTH = 1.0
"""Nearest visible point without a depth image: nearer ones are on the vehicle; metres."""

MIN_DEPTH_MEASURED = 0.1
"""Nearest visible point where a depth image decides; metres."""

DEPTH_TOLERANCE = 0.1
"""How far a visible point may lie from a depth image's surface; metres."""

_SLACK = 0.01
"""How much nearer than visible a point may be that is looked at closely; metres."""


def agrees_with_depth(
    uv: NDArray[np.float64],
    depth: NDArray[np.floating],
    depth_image: NDArray[np.floating],
    tolerance: float,
) -> NDArray[np.bool_]:
    """Tests projected points against a depth image.

    Args:
        uv: pixel coordinates [N, 2] inside the image.
        depth: z of the points in the optical frame [N], metres.
        depth_image: [H, W] in metres; 0 or less where unknown.
        tolerance: largest difference in metres of a visible point.

    Returns:
        Whether each point [N] lies on the depth image's surface; never where depth is unknown.
    """
    column, row = _pixels(uv, depth_image.shape)
    measured = depth_image[row, column]
    return (measured > 0) & (np.abs(measured - depth) <= tolerance)


def occluded(
    uv: NDArray[np.float64],
    depth: NDArray[np.floating],
    cell: tuple[int, int] = (4, 6),
    reach: int = 3,
    margin: float = 0.5,
    relative_margin: float = 0.1,
) -> NDArray[np.bool_]:
    """Hidden-point test at the camera's position, for a sparse cloud and no depth image.

    A LiDAR beside the camera sees past the edges of near objects; what it sees there projects
    onto the object. Such a point is enclosed: nearer points lie on both sides of it, left and
    right or above and below. Nearer points on one side only are no reason: that is how a surface
    seen at a grazing angle, or a point just outside an object's outline, looks.

    Args:
        uv: pixel coordinates [N, 2] inside the image.
        depth: z of the points in the optical frame [N], metres.
        cell: width and height in pixels of the grid the nearest depths are kept in; about the
            spacing of neighbouring points. Half the height is used to look left and right, so
            that rows of far ground, each nearer than the one above, do not share a cell.
        reach: how many cells to look to each side.
        margin: how much nearer an occluder is at least, metres.
        relative_margin: the same as a share of the point's depth; the larger one counts.

    Returns:
        Whether each point [N] is hidden.
    """
    if not len(uv):
        return np.zeros(0, dtype=bool)
    limit = depth - np.maximum(margin, relative_margin * depth)
    width, height = cell
    sideways = _enclosed(uv, depth, limit, (width, height / 2), (0, 1), reach)
    return sideways | _enclosed(uv, depth, limit, cell, (1, 0), reach)


def _enclosed(
    uv: NDArray[np.float64],
    depth: NDArray[np.floating],
    limit: NDArray[np.floating],
    cell: tuple[float, float],
    step: tuple[int, int],
    reach: int,
) -> NDArray[np.bool_]:
    """Whether points nearer than ``limit`` lie on both sides of each point, along (row, column)."""
    # by column: on [N, 2] each of these steps takes several times as long
    column, row = (
        np.floor((place - place.min()) / size).astype(np.int64) + reach
        for place, size in zip(np.ascontiguousarray(uv.T), cell, strict=True)
    )
    columns = column.max() + reach + 1
    nearest = np.full((row.max() + reach + 1) * columns, np.inf)
    place, stride = row * columns + column, step[0] * columns + step[1]
    np.minimum.at(nearest, place, depth)
    sides = np.zeros((2, len(uv)), dtype=bool)
    for distance in range(1, reach + 1):
        sides[0] |= nearest.take(place - distance * stride) < limit
        sides[1] |= nearest.take(place + distance * stride) < limit
    return sides[0] & sides[1]


def visible_points(
    xyz: NDArray[np.floating],
    camera: Camera,
    T_camera_lidar: Matrix,
    min_depth: float | None = None,
    depth_image: NDArray[np.floating] | None = None,
    depth_tolerance: float = DEPTH_TOLERANCE,
) -> Visible:
    """Finds the points that a camera sees: on the image, and not behind anything.

    Where there is a depth image it decides, otherwise nearer points do; see ``occluded``.

    Args:
        xyz: points [N, 3] in the LiDAR frame, metres; may hold NaN or infinite points.
        camera: the camera.
        T_camera_lidar: [4, 4], maps the points to the camera's optical frame.
        min_depth: nearest visible point in metres; by default MIN_DEPTH, or with a depth image
            MIN_DEPTH_MEASURED.
        depth_image: [H, W] in metres, 0 where unknown; None where there is none.
        depth_tolerance: how far a visible point may lie from the depth image's surface, metres.

    Returns:
        Indices [M] of the visible points, ascending, and their pixel coordinates [M, 2].
    """
    if min_depth is None:
        min_depth = MIN_DEPTH if depth_image is None else MIN_DEPTH_MEASURED
    # beyond 90 degrees a fisheye sees points at any z, and farther points at smaller z
    is_fisheye = camera.model == "equidistant"
    ahead = np.arange(len(xyz)) if is_fisheye else _ahead(xyz, T_camera_lidar, min_depth - _SLACK)
    with np.errstate(invalid="ignore", over="ignore"):
        points = transform_points(T_camera_lidar, xyz.take(ahead, axis=0).astype(np.float64))
    uv, inside = camera.project(points, min_depth)
    chosen = np.flatnonzero(inside)
    index, uv, points = ahead[chosen], uv.T.take(chosen, axis=1).T, points.take(chosen, axis=0)
    if depth_image is not None:
        seen = agrees_with_depth(uv, points[:, 2], depth_image, depth_tolerance)
    else:
        seen = ~occluded(uv, np.linalg.norm(points, axis=1) if is_fisheye else points[:, 2])
    return index[seen], uv[seen]


def _ahead(
    xyz: NDArray[np.floating], T_camera_lidar: Matrix, min_depth: float
) -> NDArray[np.int64]:
    """Returns the indices of the points with a greater z in the optical frame, cheaply."""
    a, b, c, offset = T_camera_lidar[2]
    with np.errstate(invalid="ignore", over="ignore"):
        x, y, z = xyz.T.astype(np.float64)
        return np.flatnonzero(a * x + b * y + c * z + offset > min_depth)


def _pixels(uv: NDArray[np.float64], shape: tuple[int, ...]) -> tuple[NDArray, NDArray]:
    column = np.clip(np.floor(uv[:, 0] + 0.5).astype(np.int64), 0, shape[1] - 1)
    row = np.clip(np.floor(uv[:, 1] + 0.5).astype(np.int64), 0, shape[0] - 1)
    return column, row
