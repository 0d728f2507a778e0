"""Moves what one camera of an RGB-D sensor measured to the pixels of the other."""

import numpy as np
from numpy.typing import NDArray

from wsss_perception.geometry import Camera, Matrix, transform_points

_OVERSAMPLING = 1.5
"""Samples per pixel and direction, at least, so that a surface has no holes."""


def register_depth(
    depth: NDArray[np.float32], depth_camera: Camera, camera: Camera, T_camera_depth: Matrix
) -> NDArray[np.float32]:
    """Moves a depth image to a camera at another place; the nearest surface of a pixel stays.

    Args:
        depth: [h, w] in metres; 0 where unknown.
        depth_camera: its camera, without distortion.
        camera: the other camera, without distortion.
        T_camera_depth: [4, 4], maps points of the depth camera to the other camera.

    Returns:
        Depth [H, W] in metres as the other camera would measure it; 0 where unknown.
    """
    zoom = camera.matrix[[0, 1], [0, 1]] / depth_camera.matrix[[0, 1], [0, 1]]
    factor = int(np.ceil(_OVERSAMPLING * zoom.max()))
    fine = depth_camera.scaled(factor)
    samples = depth.repeat(factor, axis=0).repeat(factor, axis=1)
    points = transform_points(T_camera_depth, back_project(samples, fine)[samples > 0])
    uv, inside = camera.project(points)
    column, row = np.floor(uv[inside] + 0.5).astype(np.int64).T
    registered = np.full((camera.height, camera.width), np.inf, dtype=np.float32)
    np.minimum.at(registered, (row, column), points[inside, 2].astype(np.float32))
    return np.where(np.isfinite(registered), registered, np.float32(0))


def color_of_depth(
    color: NDArray[np.uint8],
    color_camera: Camera,
    depth: NDArray[np.float32],
    depth_camera: Camera,
    T_color_depth: Matrix,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Finds the colour of each pixel of a depth image.

    Args:
        color: RGB image [H, W, 3].
        color_camera: its camera.
        depth: [h, w] in metres; 0 where unknown.
        depth_camera: its camera, without distortion.
        T_color_depth: [4, 4], maps points of the depth camera to the colour camera.

    Returns:
        RGB [h, w, 3], and where it is known [h, w]: depth is, and it falls on the colour image.
    """
    points = transform_points(T_color_depth, back_project(depth, depth_camera).reshape(-1, 3))
    uv, known = color_camera.project(points)
    known &= depth.ravel() > 0
    column, row = np.floor(np.where(known, uv.T, 0.0) + 0.5).astype(np.int64)
    # not color[row, column] of the known ones: that is several times slower
    colors = color.reshape(-1, 3).take(row * color.shape[1] + column, axis=0)
    colors[~known] = 0
    return colors.reshape(*depth.shape, 3), known.reshape(depth.shape)


def back_project(depth: NDArray[np.floating], camera: Camera) -> NDArray[np.float64]:
    """Finds the points [h, w, 3] in the optical frame that a depth image [h, w] shows."""
    height, width = depth.shape
    rows, columns = np.indices((height, width), sparse=True)
    points = np.empty((height, width, 3))
    for axis, (a, b, c) in enumerate(np.linalg.inv(camera.matrix)):
        np.multiply(a * columns + b * rows + c, depth, out=points[..., axis])
    return points
