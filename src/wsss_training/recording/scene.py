"""What a scene of a recording holds beside its points and pixels, as frames.json says it."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from wsss_perception.calibration import camera_from_dict, camera_to_dict
from wsss_perception.errors import DatasetError, GeometryError
from wsss_perception.geometry import Camera, Matrix, check_rigid

SCHEMA = 1
POINTS_FOLDER = "points"


@dataclass(frozen=True)
class SceneImage:
    """An image that goes with a sweep.

    Attributes:
        file: its name in the camera's folder.
        stamp: nanoseconds.
        T_camera_lidar: [4, 4], maps the sweep's points to the camera's optical frame.
    """

    file: str
    stamp: int
    T_camera_lidar: Matrix


@dataclass(frozen=True)
class Sweep:
    """A sweep of a scene.

    Attributes:
        stamp: nanoseconds; also the name of its file of points.
        T_world_lidar: pose [4, 4] in a frame that is fixed over the scene; None if unknown.
        images: by camera.
    """

    stamp: int
    T_world_lidar: Matrix | None
    images: dict[str, SceneImage]


@dataclass(frozen=True)
class Scene:
    """A scene.

    Attributes:
        frame_id: name of the LiDAR frame.
        channels: columns of each channel of the points, in their order.
        cameras: intrinsics by name.
        sweeps: in the order of their stamps.
    """

    frame_id: str
    channels: dict[str, int]
    cameras: dict[str, Camera]
    sweeps: tuple[Sweep, ...]


def scene_to_dict(scene: Scene) -> dict[str, Any]:
    """Returns a scene as frames.json holds it."""
    return {
        "schema": SCHEMA,
        "frame_id": scene.frame_id,
        "channels": scene.channels,
        "cameras": {name: camera_to_dict(camera) for name, camera in scene.cameras.items()},
        "sweeps": [
            {
                "stamp": sweep.stamp,
                "T_world_lidar": None
                if sweep.T_world_lidar is None
                else sweep.T_world_lidar.tolist(),
                "images": {
                    name: {
                        "file": image.file,
                        "stamp": image.stamp,
                        "T_camera_lidar": image.T_camera_lidar.tolist(),
                    }
                    for name, image in sweep.images.items()
                },
            }
            for sweep in scene.sweeps
        ],
    }


def scene_from_dict(data: Any) -> Scene:
    """Reads what ``scene_to_dict`` returns.

    Raises:
        DatasetError: an entry is missing or cannot be what it says; names the entry, not the file.
    """
    schema = _entry(data, "schema", int, "the file")
    if schema != SCHEMA:
        raise DatasetError(f"schema {schema} is not {SCHEMA}, the one that is read here")
    cameras = {
        _folder_name(name, "camera"): _camera(entry, f"camera '{name}'")
        for name, entry in _entry(data, "cameras", dict, "the file").items()
    }
    transforms = _Transforms()
    sweeps = [
        _sweep(entry, cameras, transforms, f"sweep {number}")
        for number, entry in enumerate(_entry(data, "sweeps", list, "the file"))
    ]
    transforms.check()
    stamps = [sweep.stamp for sweep in sweeps]
    for before, after in pairwise(stamps):
        if after <= before:
            raise DatasetError(f"stamp {after} comes after {before}; stamps must increase")
    return Scene(_entry(data, "frame_id", str, "the file"), _channels(data), cameras, tuple(sweeps))


class _Transforms:
    """Reads transforms one by one and checks them together, which is faster by far."""

    def __init__(self) -> None:
        self._matrices: list[Matrix] = []
        self._names: list[str] = []

    def read(self, rows: Any, what: str) -> Matrix:
        try:
            matrix = np.array(rows, dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise DatasetError(f"{what}: not a 4x4 matrix: {error}") from error
        if matrix.shape != (4, 4):
            raise DatasetError(f"{what}: not a 4x4 matrix but {list(matrix.shape)}")
        self._matrices.append(matrix)
        self._names.append(what)
        return matrix

    def check(self) -> None:
        if not self._matrices:
            return
        stack = np.stack(self._matrices)
        with np.errstate(invalid="ignore", over="ignore"):
            rotation = stack[:, :3, :3]
            product = rotation @ rotation.transpose(0, 2, 1)
            wrong = ~(np.abs(product - np.eye(3)).max(axis=(1, 2)) < 1e-3)
            wrong |= ~(np.linalg.det(rotation) > 0) | (stack[:, 3] != [0, 0, 0, 1]).any(axis=1)
            wrong |= ~np.isfinite(stack).all(axis=(1, 2))
        for index in np.flatnonzero(wrong):
            try:
                check_rigid(self._matrices[index], self._names[index])
            except GeometryError as error:
                raise DatasetError(str(error)) from error


def _sweep(entry: Any, cameras: dict[str, Camera], transforms: _Transforms, where: str) -> Sweep:
    images = {}
    for name, image in _entry(entry, "images", dict, where).items():
        at = f"{where}, image of '{name}'"
        if name not in cameras:
            known = ", ".join(cameras) or "none"
            raise DatasetError(f"{at}: no such camera; 'cameras' has: {known}")
        file = _folder_name(_entry(image, "file", str, at), f"{at}: file")
        rows = _entry(image, "T_camera_lidar", list, at)
        T_camera_lidar = transforms.read(rows, f"{at}: T_camera_lidar")
        images[name] = SceneImage(file, _stamp(image, at), T_camera_lidar)
    rows = _entry(entry, "T_world_lidar", (list, type(None)), where)
    pose = None if rows is None else transforms.read(rows, f"{where}: T_world_lidar")
    return Sweep(_stamp(entry, where), pose, images)


def _stamp(entry: Any, where: str) -> int:
    stamp: int = _entry(entry, "stamp", int, where)
    if not -(2**63) <= stamp < 2**63:
        raise DatasetError(f"{where}: stamp {stamp} is not one of 64 bits, in nanoseconds")
    return stamp


def _camera(entry: Any, where: str) -> Camera:
    try:
        return camera_from_dict(entry)
    except KeyError as error:
        raise DatasetError(f"{where}: has no {error}") from error
    except (TypeError, ValueError, OverflowError, GeometryError) as error:
        raise DatasetError(f"{where}: {error}") from error


def _channels(data: Any) -> dict[str, int]:
    channels: dict[str, int] = _entry(data, "channels", dict, "the file")
    for name, columns in channels.items():
        if name in ("x", "y", "z"):
            raise DatasetError(
                f"channel '{name}': x, y and z come first by themselves; name the others only"
            )
        if type(columns) is not int or columns < 1:
            raise DatasetError(f"channel '{name}': {columns!r} is not its number of columns")
    return channels


def _folder_name(name: str, what: str) -> str:
    """Checks that a name names something in a folder, and nothing elsewhere."""
    if (
        not name
        or name in (".", "..", POINTS_FOLDER)
        or "/" in name
        or "\\" in name
        or "\0" in name
    ):
        raise DatasetError(f"{what}: '{name}' is not a name to use here")
    return name


def _entry(data: Any, key: str, kind: type | tuple[type, ...], where: str) -> Any:
    if not isinstance(data, dict):
        raise DatasetError(f"{where}: not a mapping but {type(data).__name__}")
    if key not in data:
        raise DatasetError(f"{where}: has no '{key}'")
    value = data[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise DatasetError(f"{where}: '{key}' is {value!r:.80}, of another type than it should be")
    return value
