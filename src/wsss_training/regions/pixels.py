"""Regions of an image: those of the points that its pixels see."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from wsss_perception.geometry import Camera, Matrix, invert, transform_points


def region_image(
    uv: NDArray[np.floating],
    region: NDArray[np.integer],
    depth: NDArray[np.floating],
    size: tuple[int, int],
    stride: int,
) -> NDArray[np.int32]:
    """Carries regions of visible points to the cells of an image.

    Args:
        uv: pixel coordinates [M, 2] of visible points; a pixel's centre has whole coordinates.
        region: of each point [M], -1 for none.
        depth: of each point [M], metres.
        size: height and width of the image.
        stride: edge of a cell in pixels; the last cells may reach beyond the image.

    Returns:
        int32 [ceil(H / stride), ceil(W / stride)]: region of the nearest point that a cell sees,
        be that -1; -1 where it sees none.
    """
    height, width = size
    shape = (-(-height // stride), -(-width // stride))
    cells = np.full(shape, -1, dtype=np.int32)
    inside = (uv >= -0.5).all(axis=1) & (uv[:, 0] < width - 0.5) & (uv[:, 1] < height - 0.5)
    column, row = np.floor((uv[inside] + 0.5) / stride).astype(np.int64).T
    number, kept = region[inside], depth[inside]
    # the last one written stays: the nearest; of equally near ones the lowest region
    order = np.lexsort((-number, -kept))
    cell = (row * shape[1] + column)[order]
    last = len(cell) - 1 - np.unique(cell[::-1], return_index=True)[1]
    cells.ravel()[cell[last]] = number[order][last]
    return cells


def region_image_from_depth(
    depth: NDArray[np.floating],
    camera: Camera,
    T_camera_lidar: Matrix,
    xyz: NDArray[np.floating],
    region: NDArray[np.integer],
    stride: int,
    tolerance: float = 0.05,
) -> NDArray[np.int32]:
    """Carries regions to an image with depth: each pixel takes that of the point it shows.

    Args:
        depth: [H, W] in metres at the colour image's pixels; 0 or less where unknown.
        camera: the image's pinhole intrinsics.
        T_camera_lidar: [4, 4], maps the points' frame to the optical frame.
        xyz: points [N, 3], metres; may hold NaN or infinite points.
        region: of each point [N], -1 for none.
        stride: edge of a cell in pixels; its middle pixel stands for it.
        tolerance: farthest point from a pixel's place that counts, metres.

    Returns:
        int32 [ceil(H / stride), ceil(W / stride)]; -1 where depth is unknown or no point is near.
    """
    height, width = depth.shape
    rows = np.minimum(np.arange(0, height, stride) + stride // 2, height - 1)
    columns = np.minimum(np.arange(0, width, stride) + stride // 2, width - 1)
    cells = np.full((len(rows), len(columns)), -1, dtype=np.int32)
    measured = depth[np.ix_(rows, columns)]
    finite = np.isfinite(xyz).all(axis=1)
    known = np.isfinite(measured) & (measured > 0)
    if not finite.any() or not known.any():
        return cells
    row, column = np.nonzero(known)
    pixels = np.stack([columns[column], rows[row], np.ones(len(row))])
    places = (np.linalg.inv(camera.matrix) @ pixels).T * measured[known][:, None]
    places = transform_points(invert(T_camera_lidar), places)
    points = np.flatnonzero(finite)
    away, nearest = cKDTree(xyz[points]).query(places, distance_upper_bound=tolerance)
    found = np.isfinite(away)
    numbers = np.full(len(places), -1, dtype=np.int32)
    numbers[found] = region[points[nearest[found]]]
    cells[known] = numbers
    return cells
