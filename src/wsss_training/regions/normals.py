"""Surface normals from each point's neighbours."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsss_training.regions.graph import nearest_neighbours

NEIGHBOURS = 12


def estimate_normals(
    xyz: NDArray[np.floating], neighbours: int = NEIGHBOURS, viewpoint: ArrayLike | None = None
) -> NDArray[np.float32]:
    """Estimates normals: the direction in which a point's neighbours spread least.

    Args:
        xyz: points [N, 3]; may hold NaN or infinite points.
        neighbours: how many nearest points count.
        viewpoint: [3], normals point to it: the LiDAR's origin, a camera's place. None turns them
            up (z >= 0), for clouds seen from many places.

    Returns:
        float32 [N, 3] of length 1; zeros for invalid points, and for all of fewer than 3.
    """
    normals = np.zeros(xyz.shape, dtype=np.float32)
    finite = np.isfinite(xyz).all(axis=1)
    points = xyz[finite].astype(np.float64)
    if len(points) < 3:
        return normals
    _, index = nearest_neighbours(points, neighbours)
    found = fit_normals(points, index)[0]
    up = found[:, 2]
    if viewpoint is not None:
        up = np.einsum("ij,ij->i", found, np.asarray(viewpoint, dtype=np.float64) - points)
    found[up < 0] *= -1
    normals[finite] = found
    return normals


def fit_normals(
    xyz: NDArray[np.float64], index: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fits a plane to each point and its neighbours.

    Args:
        xyz: finite points [N, 3].
        index: neighbours [N, k] of every point.

    Returns:
        Unit normals [N, 3] of either sign, and the planes' flatness [N]: the share of the spread
        that is across the plane, 0 on a plane, 1/3 in a cloud without shape.
    """
    around = xyz[index] - xyz[:, None]
    count = index.shape[1] + 1  # the point itself is at 0
    center = around.sum(axis=1) / count
    spread = np.swapaxes(around, 1, 2) @ around / count - center[:, :, None] * center[:, None]
    return thinnest_direction(spread)


def thinnest_direction(
    spread: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Finds the eigenvector of the smallest eigenvalue of symmetric matrices.

    In closed form, several times faster than an iterative solver for small matrices.

    Args:
        spread: positive semidefinite [N, 3, 3].

    Returns:
        Unit vectors [N, 3], and the smallest eigenvalue as a share of the trace [N].
    """
    trace = np.einsum("nii->n", spread)
    matrix = spread / np.maximum(trace, np.finfo(float).tiny)[:, None, None]
    shifted = matrix - np.eye(3) / 3
    scale = np.sqrt(np.einsum("nij,nij->n", shifted, shifted) / 6)
    unit = shifted / np.maximum(scale, 1e-300)[:, None, None]
    half = np.clip(_determinant(unit) / 2, -1, 1)
    smallest = 1 / 3 + 2 * scale * np.cos(np.arccos(half) / 3 + 2 * np.pi / 3)
    rows = matrix - smallest[:, None, None] * np.eye(3)
    # two rows span what is orthogonal to the vector: the longest of their three products
    products = np.cross(rows[:, [0, 1, 2]], rows[:, [1, 2, 0]])
    lengths = np.linalg.norm(products, axis=2)
    best = np.argmax(lengths, axis=1)
    number = np.arange(len(best))
    vector, length = products[number, best], lengths[number, best]
    # a line or a ball has no thinnest direction: any one across the longest row
    unclear = length < 1e-12
    if unclear.any():
        vector[unclear] = np.linalg.eigh(matrix[unclear])[1][:, :, 0]
        length[unclear] = 1.0
    return vector / length[:, None], np.maximum(smallest, 0.0)


def _determinant(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b, c = matrix[:, 0], matrix[:, 1], matrix[:, 2]
    return np.einsum("ni,ni->n", a, np.cross(b, c))
