"""File formats the KITTI family of datasets shares: sweeps, calibration, projection matrices."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError, GeometryError
from wsss_perception.frame import PointCloud
from wsss_perception.geometry import Camera, Matrix, check_rigid, make_transform
from wsss_training.data.sample import ImageSource, read_image_size

LIDAR_FRAME = "velodyne"


def subfolders(folder: Path, pattern: str = "*") -> list[str]:
    """Names of a folder's subfolders that match a glob pattern, sorted."""
    names = (path.name for path in folder.glob(pattern) if path.is_dir())
    return sorted(name for name in names if not name.startswith("."))


def numbered_stems(folder: Path, suffix: str) -> list[str]:
    """Stems of a folder's files ``<number><suffix>``, sorted.

    Raises:
        DatasetError: there are none, or one is not a number.
    """
    try:
        names = os.listdir(folder)  # of tens of thousands of files, many times faster than glob
    except OSError:
        names = []
    stems = sorted(name.removesuffix(suffix) for name in names if name.endswith(suffix))
    if not stems:
        raise DatasetError(f"{folder}: no {suffix} files; is this the dataset's folder?")
    for stem in stems:
        if not stem.isdecimal():
            raise DatasetError(f"{folder / stem}{suffix}: the name is not a number; remove it")
    return stems


def read_sweep(path: Path, stamp: int) -> PointCloud:
    """Reads a Velodyne ``.bin`` file: float32 x, y, z, reflectance (0..1) per point.

    Raises:
        DatasetError: the file is missing, empty or cut short.
    """
    data = _read_bytes(path)
    if not data or len(data) % 16:
        raise DatasetError(
            f"{path}: {len(data)} bytes are not whole points of 16 bytes; the file is cut short: "
            "copy it again"
        )
    values = np.frombuffer(data, dtype=np.float32).reshape(-1, 4)
    xyz, intensity = np.ascontiguousarray(values[:, :3]), np.ascontiguousarray(values[:, 3])
    return PointCloud(xyz, {"intensity": intensity}, stamp, LIDAR_FRAME)


def read_raw_labels(path: Path, points: int) -> NDArray[np.uint16]:
    """Reads a SemanticKITTI ``.label`` file; the semantic id is in the lower 16 bits.

    Raises:
        DatasetError: the file is missing, or its count is not the sweep's.
    """
    data = _read_bytes(path)
    if len(data) != 4 * points:
        raise DatasetError(
            f"{path}: {len(data) / 4:g} labels for a sweep of {points} points; the two files do "
            "not belong together or one is cut short"
        )
    return (np.frombuffer(data, dtype=np.uint32) & 0xFFFF).astype(np.uint16)


def read_calibration(path: Path) -> dict[str, NDArray[np.float64]]:
    """Reads a calibration file of lines ``key: numbers``; other lines are left out.

    Raises:
        DatasetError: the file is missing or not text.
    """
    entries = {}
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: calibration cannot be read: {error}; copy it again") from error
    for line in lines:
        key, colon, numbers = line.partition(":")
        try:
            values = np.array([float(number) for number in numbers.split()])
        except ValueError:
            continue  # calib_time and the like
        if colon and values.size:
            entries[key.strip()] = values
    return entries


def calibration_entry(
    entries: dict[str, NDArray[np.float64]], key: str, shape: tuple[int, int], path: Path
) -> NDArray[np.float64]:
    """Takes one matrix of a calibration file.

    Raises:
        DatasetError: the key is missing, or its count of numbers is not the matrix's.
    """
    if key not in entries:
        raise DatasetError(f"{path}: no key '{key}'; the file has {', '.join(entries) or 'none'}")
    if entries[key].size != shape[0] * shape[1] or not np.isfinite(entries[key]).all():
        raise DatasetError(f"{path}: '{key}' is not {shape[0]}x{shape[1]} finite numbers")
    return entries[key].reshape(shape)


def projection_entry(
    entries: dict[str, NDArray[np.float64]], key: str, path: Path
) -> NDArray[np.float64]:
    """Takes a 3x4 projection matrix of a calibration file.

    Raises:
        DatasetError: as ``calibration_entry``, or the matrix is not one of a rectified camera.
    """
    projection = calibration_entry(entries, key, (3, 4), path)
    focal = np.diag(projection)[:2]
    if (focal <= 0).any() or not np.allclose(projection[2, :3], [0.0, 0.0, 1.0]):
        raise DatasetError(f"{path}: '{key}' is not a projection matrix: {projection.tolist()}")
    return projection


def rigid_transform(rotation: NDArray, translation: NDArray, what: str) -> Matrix:
    """Assembles a transform [4, 4] read from a file; ``what`` names file and key.

    Raises:
        DatasetError: the rotation is none.
    """
    transform = make_transform(rotation, translation)
    try:
        check_rigid(transform, what)
    except GeometryError as error:
        raise DatasetError(str(error)) from error
    return transform


def rectified_camera(
    projection: NDArray[np.float64], image: Path, T_reference_lidar: Matrix
) -> tuple[Camera, Matrix]:
    """Splits a 3x4 KITTI projection matrix into intrinsics and the camera's place.

    Args:
        projection: P_i [3, 4], from the rectified reference camera's frame to pixels of camera i.
        image: an image of camera i, for its size.
        T_reference_lidar: [4, 4], LiDAR points to the rectified reference camera's frame.

    Returns:
        Camera i, and T_camera_lidar [4, 4].

    Raises:
        DatasetError: the image cannot be read.
    """
    width, height = read_image_size(image)
    matrix = projection[:, :3].copy()
    baseline = np.linalg.solve(matrix, projection[:, 3])
    return Camera(width, height, matrix), make_transform(np.eye(3), baseline) @ T_reference_lidar


def rectified_image(
    name: str, path: Path, projection: NDArray[np.float64], T_reference_lidar: Matrix, stamp: int
) -> ImageSource:
    """Describes one rectified KITTI image; see ``rectified_camera``."""
    camera, T_camera_lidar = rectified_camera(projection, path, T_reference_lidar)
    return ImageSource(name, path, camera, T_camera_lidar, stamp)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}; copy it again") from error
