"""Rigid transforms as 4x4 float64 matrices: ``T_a_b`` maps points of frame b into frame a."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsss_perception.errors import GeometryError

Matrix = NDArray[np.float64]

_BLOCK = 65_536
"""Points at a time: above 1e6 products OpenBLAS takes another way, tens of times slower."""

_EYE = np.eye(3)
_LAST_ROW = np.array([0.0, 0.0, 0.0, 1.0])


def make_transform(rotation: ArrayLike, translation: ArrayLike) -> Matrix:
    """Assembles a 4x4 transform from a rotation [3, 3] and a translation [3] in metres."""
    transform = np.eye(4)
    transform[:3, :3] = np.asarray(rotation, dtype=np.float64)
    transform[:3, 3] = np.asarray(translation, dtype=np.float64)
    return transform


def invert(transform: Matrix) -> Matrix:
    """Inverts a rigid transform [4, 4] exactly (transposed rotation, no matrix inversion)."""
    rotation = transform[:3, :3].T
    return make_transform(rotation, -rotation @ transform[:3, 3])


def transform_points(transform: Matrix, xyz: NDArray[np.floating]) -> NDArray[np.floating]:
    """Maps points [N, 3] through a transform [4, 4]; keeps the points' dtype."""
    if len(xyz) > _BLOCK:
        blocks = (xyz[start : start + _BLOCK] for start in range(0, len(xyz), _BLOCK))
        return np.concatenate([transform_points(transform, block) for block in blocks])
    rotation = transform[:3, :3].astype(xyz.dtype)
    translation = transform[:3, 3].astype(xyz.dtype)
    # not xyz @ rotation.T: on [N, 3] that is up to a hundred times slower in OpenBLAS
    return np.ascontiguousarray((rotation @ xyz.T + translation[:, None]).T)


def check_rigid(transform: Matrix, what: str, tolerance: float = 1e-3) -> None:
    """Raises GeometryError, naming ``what``, unless a matrix is a finite rigid transform."""
    if transform.shape != (4, 4) or not np.isfinite(transform).all():
        raise GeometryError(f"{what}: expected a finite 4x4 matrix, got {transform.tolist()}")
    rotation = transform[:3, :3]
    # not np.allclose: that takes four times as long as all of this, for each message of /tf
    orthogonal = bool((np.abs(rotation @ rotation.T - _EYE) <= tolerance).all())
    affine = bool((np.abs(transform[3] - _LAST_ROW) <= 1e-5).all())
    if not (orthogonal and affine and np.linalg.det(rotation) > 0):
        raise GeometryError(f"{what}: not a rotation and translation: {transform.tolist()}")


def quaternion_from_matrix(rotation: ArrayLike) -> Matrix:
    """Converts a rotation [3, 3] to a unit quaternion [4] in ROS order (x, y, z, w), w >= 0."""
    m = np.asarray(rotation, dtype=np.float64)
    # Shepperd's method, all four branches at once: the largest of 4x^2, 4y^2, 4z^2, 4w^2
    # is the well-conditioned one to divide by.
    trace = np.trace(m)
    squares = np.array([*(1 + 2 * np.diag(m) - trace), 1 + trace])
    sums = m + m.T
    differences = np.array([m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]])
    products = np.empty((4, 4))
    products[:3, :3] = sums
    products[3, :3] = products[:3, 3] = differences
    np.fill_diagonal(products, squares)
    quaternion = products[np.argmax(squares)]
    quaternion = quaternion / np.linalg.norm(quaternion)
    return quaternion if quaternion[3] >= 0 else -quaternion


def matrix_from_quaternion(quaternion: ArrayLike) -> Matrix:
    """Converts a quaternion [4] in ROS order (x, y, z, w) to a rotation [3, 3].

    Raises:
        GeometryError: the quaternion is not finite or has no direction.
    """
    q = np.asarray(quaternion, dtype=np.float64)
    norm = np.linalg.norm(q)
    if not np.isfinite(norm) or norm < 1e-6:
        raise GeometryError(f"quaternion {q.tolist()} is not a rotation; is a transform unset?")
    x, y, z, w = q / norm
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def interpolate(T_a: Matrix, T_b: Matrix, fraction: float) -> Matrix:
    """Interpolates between two transforms [4, 4]: slerp of rotation, lerp of translation.

    Args:
        T_a: transform at fraction 0.
        T_b: transform at fraction 1.
        fraction: where to interpolate, 0..1.
    """
    q_a, q_b = quaternion_from_matrix(T_a[:3, :3]), quaternion_from_matrix(T_b[:3, :3])
    cosine = float(q_a @ q_b)
    if cosine < 0:  # q and -q are one rotation: take the shorter arc
        q_b, cosine = -q_b, -cosine
    angle = np.arccos(min(cosine, 1.0))
    if angle < 1e-6:
        quaternion = (1 - fraction) * q_a + fraction * q_b
    else:
        quaternion = np.sin((1 - fraction) * angle) * q_a + np.sin(fraction * angle) * q_b
    translation = (1 - fraction) * T_a[:3, 3] + fraction * T_b[:3, 3]
    return make_transform(matrix_from_quaternion(quaternion), translation)
