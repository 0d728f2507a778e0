"""The files of an exported ScanNet scene: its video's frames, poses and calibration."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError, GeometryError
from wsss_perception.geometry import Camera, Matrix, check_rigid, invert
from wsss_training.data.sample import DepthSource, ImageSource, read_image_size

CAMERA = "color"
FRAMES_PER_SECOND = 30

_PARTS = {"color": ".jpg", "depth": ".png", "pose": ".txt"}
_SIZES = ((1296, 968), (640, 480))
_SIZE_TOLERANCE = 0.03
_ASPECT_TOLERANCE = 0.01


@dataclass(frozen=True)
class VideoFrame:
    """A frame of a scene's video: its number, and its files, which are there."""

    number: int
    color: Path
    depth: Path
    pose: Path


@dataclass(frozen=True)
class Calibration:
    """The two cameras of a scene's sensor, and their mounts.

    Attributes:
        color: camera matrix [3, 3] of the colour images at their first size.
        depth: camera matrix [3, 3] of the depth images at their first size.
        T_sensor_color: [4, 4], maps the colour camera's points to the frame that has the poses.
        T_sensor_depth: the same of the depth camera.
        files: what it was read from.
    """

    color: Matrix
    depth: Matrix
    T_sensor_color: Matrix
    T_sensor_depth: Matrix
    files: tuple[Path, ...]

    def images(self, posed: Sequence[tuple[VideoFrame, Matrix]]) -> Iterator[ImageSource]:
        """Describes frames' colour images, with their depth images, for a cloud in world axes.

        The images are taken to have the size of the first one, which each is held to when it is
        loaded.

        Args:
            posed: frames of one video, and the pose T_world_sensor [4, 4] of each.

        Raises:
            DatasetError: an image cannot be read, or its size does not fit the intrinsics.
        """
        if not posed:
            return
        first, _ = posed[0]
        color = camera_of_size(self.color, read_image_size(first.color), first.color)
        depth = camera_of_size(self.depth, read_image_size(first.depth), first.depth)
        T_color_depth = invert(self.T_sensor_color) @ self.T_sensor_depth
        moved = None if np.allclose(T_color_depth, np.eye(4), atol=1e-6) else T_color_depth
        for frame, T_world_sensor in posed:
            yield ImageSource(
                CAMERA,
                frame.color,
                color,
                invert(T_world_sensor @ self.T_sensor_color),
                round(frame.number * 1e9 / FRAMES_PER_SECOND),
                DepthSource(frame.depth, depth, T_camera_depth=moved),
            )


def find_scenes(root: Path) -> dict[str, Path]:
    """Finds the folders of the scenes in ``scans`` and ``scans_test`` by name, sorted.

    Raises:
        DatasetError: there are none, or one is in both.
    """
    folders = [path for part in ("scans", "scans_test") for path in root.glob(f"{part}/*")]
    scenes: dict[str, Path] = {}
    folders = [path for path in folders if path.is_dir() and not path.name.startswith(".")]
    for path in sorted(folders, key=lambda path: path.name):
        if path.name in scenes:
            raise DatasetError(f"{path}: the scene is at {scenes[path.name]} as well; remove one")
        scenes[path.name] = path
    if not scenes:
        raise DatasetError(f"{root}: no scenes; root must hold 'scans' or 'scans_test'")
    return scenes


def find_frames(folder: Path) -> list[VideoFrame]:
    """Lists the frames of a scene's video, by number; none where it has no folders of images.

    Raises:
        DatasetError: a file's name is not a number, or a frame lacks one of its files.
    """
    if not any((folder / part).is_dir() for part in _PARTS):
        return []
    stems = {
        part: {path.stem for path in (folder / part).glob(f"*{suffix}")}
        for part, suffix in _PARTS.items()
    }
    files = {}
    for stem in set(chain.from_iterable(stems.values())):
        paths = [folder / part / f"{stem}{suffix}" for part, suffix in _PARTS.items()]
        missing = [str(p) for p, part in zip(paths, stems, strict=True) if stem not in stems[part]]
        if missing:
            raise DatasetError(
                f"{', '.join(missing)}: missing, although the scene has other files of frame "
                f"'{stem}'; export colour, depth and pose of the same frames"
            )
        if not stem.isdecimal():
            raise DatasetError(f"{paths[0]}: the name is not a number; remove it")
        files[stem] = paths
    if not files:
        raise DatasetError(f"{folder / CAMERA}: no .jpg files; export the scene's frames again")
    return [VideoFrame(int(stem), *files[stem]) for stem in sorted(files, key=int)]


def read_calibration(folder: Path) -> Calibration:
    """Reads the four files in a scene's folder ``intrinsic``.

    Raises:
        DatasetError: one is missing, damaged, or not what it should be.
    """
    names = ("intrinsic_color", "intrinsic_depth", "extrinsic_color", "extrinsic_depth")
    paths = tuple(folder / "intrinsic" / f"{name}.txt" for name in names)
    color, depth = (_read_intrinsics(path) for path in paths[:2])
    T_sensor_color, T_sensor_depth = (_check(read_matrix(path), path) for path in paths[2:])
    return Calibration(color, depth, T_sensor_color, T_sensor_depth, paths)


def read_poses(frames: Iterable[VideoFrame]) -> list[tuple[VideoFrame, Matrix]]:
    """Reads T_world_sensor [4, 4] of frames; those of unknown pose (infinite, NaN) are left out.

    Raises:
        DatasetError: a file is missing, damaged, or no pose.
    """
    poses = ((frame, read_matrix(frame.pose)) for frame in frames)
    known = ((frame, pose) for frame, pose in poses if np.isfinite(pose).all())
    return [(frame, _check(pose, frame.pose)) for frame, pose in known]


def read_matrix(path: Path) -> Matrix:
    """Reads a file of 4 x 4 numbers, which may be infinite or NaN.

    Raises:
        DatasetError: the file is missing, cut short, or not text of 16 numbers.
    """
    try:
        numbers = np.array([float(word) for word in path.read_text(encoding="ascii").split()])
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DatasetError(f"{path}: not a matrix of numbers: {error}") from error
    if numbers.size != 16:
        raise DatasetError(f"{path}: {numbers.size} numbers; 4 x 4 belong there; export it again")
    return numbers.reshape(4, 4)


def camera_of_size(matrix: NDArray[np.float64], size: tuple[int, int], path: Path) -> Camera:
    """Fits intrinsics to an image that may have been resized since it was taken.

    Intrinsic files tell no size. The principal point is near the middle: the first size is the
    likeliest of the image's own, of ScanNet's sizes, and of twice the principal point. Resizing
    by a few percent goes unnoticed where it fits the principal point better.

    Args:
        matrix: camera matrix [3, 3] at the first size.
        size: width and height of the image.
        path: of the image, for the message.

    Raises:
        DatasetError: the image is not the whole picture at another size.
    """
    twice = 2 * matrix[:2, 2] + 1

    def misfit(candidate: tuple[float, float]) -> float:
        return float(np.abs(np.asarray(candidate) / twice - 1).max())

    first = min((size, *_SIZES), key=misfit)
    original = np.array(first if misfit(first) <= _SIZE_TOLERANCE else np.rint(twice))
    factors = np.array(size) / original
    if abs(factors[0] / factors[1] - 1) > _ASPECT_TOLERANCE:
        raise DatasetError(
            f"{path}: has {size[0]}x{size[1]} pixels, its intrinsics are for about "
            f"{original[0]:.0f}x{original[1]:.0f}, of another shape; take the whole image, or "
            "write the intrinsics of the part"
        )
    scaled = matrix.copy()
    scaled[:2] *= factors[:, None]
    scaled[:2, 2] += 0.5 * (factors - 1)  # a pixel's centre has integer coordinates
    return Camera(*size, scaled)


def _read_intrinsics(path: Path) -> Matrix:
    matrix = read_matrix(path)[:3, :3]
    try:
        Camera(1, 1, matrix)
    except GeometryError as error:
        raise DatasetError(f"{path}: {error}") from error
    if (matrix[:2, 2] <= 0).any() or not np.array_equal(matrix[2], [0, 0, 1]):
        raise DatasetError(f"{path}: not a camera matrix: {matrix.tolist()}")
    return matrix


def _check(transform: Matrix, path: Path) -> Matrix:
    try:
        check_rigid(transform, str(path))
    except GeometryError as error:
        raise DatasetError(f"{error}; export it again") from error
    return transform
