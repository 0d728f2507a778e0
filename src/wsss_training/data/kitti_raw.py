"""KITTI raw, synchronised and rectified: ``<date>/<date>_drive_<n>_sync/{velodyne_points,...}``."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError
from wsss_perception.geometry import Matrix, invert, make_transform
from wsss_training.data.kitti_files import (
    calibration_entry,
    numbered_stems,
    projection_entry,
    read_calibration,
    read_sweep,
    rectified_image,
    rigid_transform,
    subfolders,
)
from wsss_training.data.sample import ImageSource, Sample

EARTH_RADIUS = 6378137.0
"""Metres, as in KITTI's Mercator projection."""


@dataclass(frozen=True)
class _Calibration:
    """One day's calibration."""

    projections: dict[str, NDArray[np.float64]]
    T_reference_lidar: Matrix
    T_lidar_imu: Matrix | None


@dataclass(frozen=True)
class _Drive:
    folder: Path
    calibration: _Calibration
    stems: list[str]
    stamps: NDArray[np.int64]
    image_stamps: dict[str, NDArray[np.int64]]
    origin: NDArray[np.float64] | None
    """First OXTS packet of the drive; None without OXTS data."""


class KittiRaw:
    """Sweeps of KITTI raw drives, unlabelled, with poses where a drive has OXTS data.

    ``T_camera_lidar`` is the extrinsic calibration alone, although the stamps of a sweep and its
    images differ by some 10 ms: the scanner triggers the cameras as it faces forward, so that the
    points a camera sees were measured as its image was taken, and the difference is latency.
    (Compensating it would move depth edges 12 cm off the image's at 12 m/s.) The sweeps are not
    corrected for the car's motion; points behind the car are up to 50 ms older or newer.

    Poses map to the IMU's frame at the drive's first OXTS packet, by KITTI's Mercator projection.
    Packet i is taken as the pose of sweep i, as the benchmark does. Stamps are local time.

    Args:
        root: the folder that holds dated folders such as ``2011_09_26``.
        drives: names such as ``2011_09_26_drive_0013_sync``; all that are there by default.
        cameras: folders of images to use, such as ``image_02``; all that are there by default.

    Raises:
        DatasetError: a drive, its sweeps, timestamps or calibration is missing or damaged.
    """

    ontology = None

    def __init__(
        self,
        root: str | Path,
        drives: list[str] | None = None,
        cameras: list[str] | None = None,
    ) -> None:
        there = {path.name: path for path in sorted(Path(root).glob("*/*_drive_*_sync"))}
        if not there:
            raise DatasetError(f"{root}: no <date>/<date>_drive_<n>_sync folders in it")
        names = list(there) if drives is None else list(dict.fromkeys(drives))
        for name in names:
            if name not in there:
                raise DatasetError(f"{root}: no drive '{name}'; there are: {', '.join(there)}")
        self._drives = [_open_drive(there[name], cameras) for name in names]
        self._index = [(drive, stem) for drive in self._drives for stem in drive.stems]
        self.sample_ids = [f"{drive.folder.name}/{stem}" for drive, stem in self._index]

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int) -> Sample:
        """Reads one sweep.

        Raises:
            DatasetError: one of its files is missing, cut short or not what it should be.
        """
        drive, stem = self._index[index]
        folder = drive.folder / "velodyne_points"
        path = folder / "data" / f"{stem}.bin"
        return Sample(
            self.sample_ids[index],
            drive.folder.name,
            read_sweep(path, _stamp(drive.stamps, stem, folder)),
            _images(drive, stem),
            _pose(drive, stem),
            files=(path, *_side_files(drive, stem)),
        )


def _side_files(drive: _Drive, stem: str) -> list[Path]:
    """What places a sweep and its images: calibration, timestamps, and the OXTS packet."""
    day, sensors = drive.folder.parent, ("velodyne_points", *drive.image_stamps)
    names = ("calib_cam_to_cam.txt", "calib_velo_to_cam.txt", "calib_imu_to_velo.txt")
    return [
        *(day / name for name in names),
        *(drive.folder / sensor / "timestamps.txt" for sensor in sensors),
        drive.folder / "oxts" / "data" / f"{stem}.txt",
    ]


def _open_drive(folder: Path, cameras: list[str] | None) -> _Drive:
    names = subfolders(folder, "image_0[0-3]") if cameras is None else cameras
    oxts = folder / "oxts" / "data"
    origin = None
    if oxts.is_dir():
        origin = _read_packet(oxts / f"{numbered_stems(oxts, '.txt')[0]}.txt")
    return _Drive(
        folder,
        _read_calibration_of_day(folder.parent, names, with_imu=origin is not None),
        numbered_stems(folder / "velodyne_points" / "data", ".bin"),
        _read_stamps(folder / "velodyne_points" / "timestamps.txt"),
        {name: _read_stamps(folder / name / "timestamps.txt") for name in names},
        origin,
    )


def _read_calibration_of_day(day: Path, cameras: list[str], with_imu: bool) -> _Calibration:
    path = day / "calib_cam_to_cam.txt"
    entries = read_calibration(path)
    R_rect = calibration_entry(entries, "R_rect_00", (3, 3), path)
    T_rectified_camera = rigid_transform(R_rect, np.zeros(3), f"{path}: 'R_rect_00'")
    keys = {name: f"P_rect_{name.removeprefix('image_')}" for name in cameras}
    return _Calibration(
        {name: projection_entry(entries, key, path) for name, key in keys.items()},
        T_rectified_camera @ _read_transform(day / "calib_velo_to_cam.txt"),
        _read_transform(day / "calib_imu_to_velo.txt") if with_imu else None,
    )


def _read_transform(path: Path) -> Matrix:
    entries = read_calibration(path)
    rotation = calibration_entry(entries, "R", (3, 3), path)
    translation = calibration_entry(entries, "T", (1, 3), path)[0]
    return rigid_transform(rotation, translation, f"{path}: 'R' and 'T'")


def _read_stamps(path: Path) -> NDArray[np.int64]:
    """Reads a timestamp file: one local date and time a line -> nanoseconds [lines]."""
    try:
        lines = path.read_text(encoding="ascii").split("\n")
        return np.array([line.strip() for line in lines], dtype="datetime64[ns]").astype(np.int64)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: timestamps cannot be read: {error}") from error


def _stamp(stamps: NDArray[np.int64], stem: str, folder: Path) -> int:
    number = int(stem)
    if number >= len(stamps) or np.isnat(stamps[number].view("datetime64[ns]")):
        raise DatasetError(f"{folder / 'timestamps.txt'}: no timestamp in line {number + 1}")
    return int(stamps[number])


def _images(drive: _Drive, stem: str) -> tuple[ImageSource, ...]:
    return tuple(
        rectified_image(
            name,
            drive.folder / name / "data" / f"{stem}.png",
            drive.calibration.projections[name],
            drive.calibration.T_reference_lidar,
            _stamp(stamps, stem, drive.folder / name),
        )
        for name, stamps in drive.image_stamps.items()
    )


def _read_packet(path: Path) -> NDArray[np.float64]:
    """Reads latitude, longitude (degrees), altitude (m), roll, pitch, yaw (rad) of a packet."""
    try:
        packet = np.array(path.read_text(encoding="ascii").split()[:6], dtype=np.float64)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: OXTS packet cannot be read: {error}") from error
    if len(packet) < 6 or not np.isfinite(packet).all():
        raise DatasetError(f"{path}: not an OXTS packet: needs at least 6 finite numbers")
    return packet


def _pose(drive: _Drive, stem: str) -> Matrix | None:
    """T_world_lidar of a sweep; None without OXTS data."""
    if drive.origin is None or drive.calibration.T_lidar_imu is None:
        return None
    packet = _read_packet(drive.folder / "oxts" / "data" / f"{stem}.txt")
    scale = np.cos(np.radians(drive.origin[0]))
    T_world_earth = invert(_earth_pose(drive.origin, scale))
    return T_world_earth @ _earth_pose(packet, scale) @ invert(drive.calibration.T_lidar_imu)


def _earth_pose(packet: NDArray[np.float64], scale: float) -> Matrix:
    """Pose [4, 4] of the IMU on the Mercator plane (x east, y north, z up, metres)."""
    latitude, longitude = np.radians(packet[:2])
    roll, pitch, yaw = packet[3:]
    east = scale * EARTH_RADIUS * longitude
    north = scale * EARTH_RADIUS * np.log(np.tan(np.pi / 4 + latitude / 2))
    rotation = _rotation(2, yaw) @ _rotation(1, pitch) @ _rotation(0, roll)
    return make_transform(rotation, [east, north, packet[2]])


def _rotation(axis: int, angle: float) -> Matrix:
    """Rotation [3, 3] about a coordinate axis by an angle in radians."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    rotation = np.eye(3)
    rotation[i, i] = rotation[j, j] = np.cos(angle)
    rotation[j, i] = np.sin(angle)
    rotation[i, j] = -rotation[j, i]
    return rotation
