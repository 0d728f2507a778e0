"""nuScenes' files: tables joined by tokens, and what every keyframe's sensors recorded."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError, GeometryError
from wsss_perception.frame import PointCloud
from wsss_perception.geometry import (
    Camera,
    Matrix,
    make_transform,
    matrix_from_quaternion,
    transform_points,
)

LIDAR = "LIDAR_TOP"
INTENSITY_SCALE = np.float32(255)
"""The files' intensity of a full return."""

T_FORWARD_RIGHT = make_transform([[0, 1, 0], [-1, 0, 0], [0, 0, 1]], [0, 0, 0])
"""Turns nuScenes' LiDAR axes (x right, y forward, z up) to REP-103's (x forward, y left, z up)."""

Row = dict[str, Any]

_FIELDS: dict[str, dict[str, type]] = {
    "scene": {"token": str, "name": str},
    "sample": {"token": str, "scene_token": str, "timestamp": int},
    "sample_data": {
        "token": str,
        "sample_token": str,
        "ego_pose_token": str,
        "calibrated_sensor_token": str,
        "timestamp": int,
        "is_key_frame": bool,
        "filename": str,
        "width": int,
        "height": int,
    },
    "ego_pose": {"token": str, "translation": list, "rotation": list},
    "calibrated_sensor": {
        "token": str,
        "sensor_token": str,
        "translation": list,
        "rotation": list,
        "camera_intrinsic": list,
    },
    "sensor": {"token": str, "channel": str, "modality": str},
    "lidarseg": {"token": str, "sample_data_token": str, "filename": str},
}
"""The tables that are read and what is read of them."""

_ADVICE = "the tables do not belong together or are damaged: unpack them again"


@dataclass(frozen=True)
class Reading:
    """One sensor's file of a keyframe.

    Attributes:
        token: of its row in ``sample_data``.
        channel: the sensor's name.
        filename: below the root.
        stamp: nanoseconds.
        T_ego_sensor: mounting [4, 4]; the LiDAR's with nuScenes' own axes.
        T_world_ego: pose of the vehicle [4, 4] at the stamp.
        intrinsics: camera matrix [3, 3]; empty for a LiDAR.
        size: width and height of the image; zeros for a LiDAR.
    """

    token: str
    channel: str
    filename: str
    stamp: int
    T_ego_sensor: Matrix
    T_world_ego: Matrix
    intrinsics: NDArray[np.float64]
    size: tuple[int, int]


@dataclass(frozen=True)
class Keyframe:
    """One keyframe.

    Attributes:
        scene: the scene's name.
        lidar: the sweep.
        cameras: readings of the wanted cameras by channel, in the order of the tables.
        labels: path of the lidarseg labels below the root; None where there are none.
    """

    scene: str
    lidar: Reading
    cameras: dict[str, Reading]
    labels: str | None


class _Table:
    """A table's rows by token; ``keep`` says which to remember."""

    def __init__(self, folder: Path, name: str, keep: Callable[[Row], bool]) -> None:
        self.path = folder / f"{name}.json"
        fields = _FIELDS[name]
        self.rows: dict[str, Row] = {}
        for number, row in enumerate(_read_json(self.path)):
            for field, kind in fields.items():
                if not isinstance(row, dict) or not isinstance(row.get(field), kind):
                    raise DatasetError(
                        f"{self.path}: row {number} has no {kind.__name__} '{field}'; {_ADVICE}"
                    )
            if keep(row):
                self.rows[row["token"]] = {field: row[field] for field in fields}

    def find(self, token: str, by: "_Table") -> Row:
        """The row of a token that a row of another table holds.

        Raises:
            DatasetError: there is none.
        """
        if token not in self.rows:
            raise DatasetError(f"{self.path}: no token '{token}', named in {by.path}; {_ADVICE}")
        return self.rows[token]


def read_keyframes(
    folder: Path, scenes: list[str] | None, cameras: list[str] | None, labels: bool
) -> list[Keyframe]:
    """Joins the tables of one version.

    Args:
        folder: the tables' folder, ``v1.0-...``.
        scenes: names of the wanted scenes, in the wanted order; None for all.
        cameras: channels of the wanted cameras; None for all.
        labels: look up the lidarseg labels, where there are any.

    Returns:
        Keyframes of one scene after the other, each in the order of time.

    Raises:
        DatasetError: a table, row, token, scene or camera is missing or damaged.
    """
    scene_table = _Table(folder, "scene", _all)
    tokens = _choose_scenes(scene_table, scenes)
    samples = _Table(folder, "sample", lambda row: row["scene_token"] in tokens)
    readings = _join_readings(folder, samples, cameras)
    label_files = _label_files(folder) if labels else {}
    frames = []
    for row in sorted(samples.rows.values(), key=lambda row: row["timestamp"]):
        channels = readings.get(row["token"], {})
        for channel in (LIDAR, *(cameras or ())):
            if channel not in channels:
                raise DatasetError(
                    f"{folder / 'sample_data.json'}: no keyframe of '{channel}' for sample "
                    f"'{row['token']}'; {_ADVICE}"
                )
        lidar = channels.pop(LIDAR)
        scene = tokens[row["scene_token"]]
        frames.append(Keyframe(scene, lidar, channels, label_files.get(lidar.token)))
    order = {name: number for number, name in enumerate(tokens.values())}
    return sorted(frames, key=lambda frame: order[frame.scene])


def read_cloud(path: Path, stamp: int) -> PointCloud:
    """Reads a ``.pcd.bin`` file: float32 x, y, z, intensity (0..255), ring per point.

    Returns:
        Points turned to x forward, y left; channels ``intensity`` 0..1 and ``ring``.

    Raises:
        DatasetError: the file is missing, empty or cut short.
    """
    data = _read_bytes(path)
    if not data or len(data) % 20:
        raise DatasetError(
            f"{path}: {len(data)} bytes are not whole points of 20 bytes; the file is cut short: "
            "copy it again"
        )
    values = np.frombuffer(data, dtype="<f4").reshape(-1, 5)
    channels = {"intensity": values[:, 3] / INTENSITY_SCALE, "ring": values[:, 4].copy()}
    return PointCloud(transform_points(T_FORWARD_RIGHT, values[:, :3]), channels, stamp)


def read_categories(path: Path, points: int) -> NDArray[np.uint8]:
    """Reads a ``_lidarseg.bin`` file: the category of every point [points].

    Raises:
        DatasetError: the file is missing, or its count is not the sweep's.
    """
    data = _read_bytes(path)
    if len(data) != points:
        raise DatasetError(
            f"{path}: {len(data)} labels for a sweep of {points} points; the two files do not "
            "belong together or one is cut short"
        )
    return np.frombuffer(data, dtype=np.uint8)


def _choose_scenes(table: _Table, names: list[str] | None) -> dict[str, str]:
    """Names of the wanted scenes by token, in the wanted order."""
    there = {row["name"]: token for token, row in table.rows.items()}
    for name in names or ():
        if name not in there:
            raise DatasetError(f"{table.path}: no scene '{name}'; there are: {', '.join(there)}")
    return {there[name]: name for name in (there if names is None else names)}


def _join_readings(
    folder: Path, samples: _Table, cameras: list[str] | None
) -> dict[str, dict[str, Reading]]:
    """Readings of the LiDAR and the wanted cameras, by sample and channel."""
    sensors, mounts = _Table(folder, "sensor", _all), _Table(folder, "calibrated_sensor", _all)
    names = [row["channel"] for row in sensors.rows.values() if row["modality"] == "camera"]
    for name in cameras or ():
        if name not in names:
            raise DatasetError(f"{sensors.path}: no camera '{name}'; there are: {', '.join(names)}")
    channels = {
        token: sensors.find(row["sensor_token"], mounts)["channel"]
        for token, row in mounts.rows.items()
    }
    wanted = {LIDAR, *(names if cameras is None else cameras)}

    def is_wanted(row: Row) -> bool:  # unknown tokens are kept, to be reported
        channel = channels.get(row["calibrated_sensor_token"], LIDAR)
        return row["is_key_frame"] and row["sample_token"] in samples.rows and channel in wanted

    data = _Table(folder, "sample_data", is_wanted)
    pose_tokens = {row["ego_pose_token"] for row in data.rows.values()}
    poses = _Table(folder, "ego_pose", lambda row: row["token"] in pose_tokens)
    mounted: dict[str, tuple[Matrix, NDArray[np.float64]]] = {}
    readings: dict[str, dict[str, Reading]] = {}
    for token, row in data.rows.items():
        mount = row["calibrated_sensor_token"]
        if mount not in mounted:
            mount_row = mounts.find(mount, data)
            mounted[mount] = (
                _pose(mount_row, mounts),
                _intrinsics(mount_row, mounts, channels[mount]),
            )
        T_ego_sensor, intrinsics = mounted[mount]
        pose = _pose(poses.find(row["ego_pose_token"], data), poses)
        channel, stamp = channels[mount], row["timestamp"] * 1000
        size = (row["width"], row["height"])
        readings.setdefault(row["sample_token"], {})[channel] = Reading(
            token, channel, row["filename"], stamp, T_ego_sensor, pose, intrinsics, size
        )
    return readings


def _label_files(folder: Path) -> dict[str, str]:
    """Paths of the lidarseg labels by token of their sweep; none without their table."""
    if not (folder / "lidarseg.json").exists():
        return {}
    rows = _Table(folder, "lidarseg", _all).rows.values()
    return {row["sample_data_token"]: row["filename"] for row in rows}


def _all(row: Row) -> bool:
    return True


def _pose(row: Row, table: _Table) -> Matrix:
    try:
        w, x, y, z = (float(value) for value in row["rotation"])
        pose = make_transform(matrix_from_quaternion([x, y, z, w]), row["translation"])
    except (TypeError, ValueError, GeometryError) as error:
        raise DatasetError(f"{table.path}: token '{row['token']}': no pose: {error}") from error
    if not np.isfinite(pose).all():
        raise DatasetError(f"{table.path}: token '{row['token']}': pose is not finite; {_ADVICE}")
    return pose


def _intrinsics(row: Row, table: _Table, channel: str) -> NDArray[np.float64]:
    if channel == LIDAR:
        return np.empty((0, 0))
    try:
        return Camera(1, 1, np.array(row["camera_intrinsic"], dtype=np.float64)).matrix
    except (TypeError, ValueError, IndexError, GeometryError) as error:
        raise DatasetError(f"{table.path}: token '{row['token']}': {error}; {_ADVICE}") from error


def _read_json(path: Path) -> list[Any]:
    try:
        rows = json.loads(_read_bytes(path))
    except ValueError as error:
        raise DatasetError(f"{path}: not readable JSON: {error}; {_ADVICE}") from error
    if not isinstance(rows, list):
        raise DatasetError(f"{path}: not a list of rows; {_ADVICE}")
    return rows


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}; {_ADVICE}") from error
