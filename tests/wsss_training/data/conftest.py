"""Small synthetic trees in the layouts of the KITTI family, so that readers run without data."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PROJECTION = np.array([[50.0, 0.0, 31.5, 25.0], [0.0, 50.0, 15.5, 0.0], [0.0, 0.0, 1.0, 0.0]])
"""A camera 0.5 m to the right (-x of its baseline) of the reference camera, 64 x 32 pixels."""

LIDAR_TO_CAMERA = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
POINTS = np.float32([[10, 0, 0, 0.25], [10, 2, -1, 0.5], [-10, 0, 0, 0.75]])


def numbers(values) -> str:
    return " ".join(f"{value:.12e}" for value in np.ravel(values))


def write(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 32), (10, 20, 30)).save(path)


def lines(key_values: dict) -> str:
    return "".join(f"{key}: {numbers(values)}\n" for key, values in key_values.items())


@pytest.fixture
def semantic_kitti(tmp_path: Path) -> Path:
    """Two sweeps of sequence 00, labelled, 1 m apart along x, with image_2 and no times.txt."""
    folder = tmp_path / "sequences" / "00"
    Tr = np.hstack([LIDAR_TO_CAMERA, [[0.0], [-0.5], [0.0]]])
    write(folder / "calib.txt", lines({"P0": PROJECTION, "P2": PROJECTION, "Tr": Tr}))
    poses = [np.hstack([np.eye(3), [[0.0], [0.0], [z]]]) for z in (0.0, 1.0)]
    write(folder / "poses.txt", "".join(numbers(pose) + "\n" for pose in poses))
    for stem in ("000000", "000001"):
        write(folder / "velodyne" / f"{stem}.bin", POINTS.tobytes())
        raw = np.uint32([40, 252 | 7 << 16, 0])  # the upper half is the instance
        write(folder / "labels" / f"{stem}.label", raw.tobytes())
        write_image(folder / "image_2" / f"{stem}.png")
    return tmp_path


@pytest.fixture
def kitti_raw(tmp_path: Path) -> Path:
    """Sweeps 1 and 2 of a drive of three, with image_02 and OXTS, driving north at 10 m/s."""
    day = tmp_path / "2011_09_26"
    write(
        day / "calib_cam_to_cam.txt",
        "calib_time: 09-Jan-2012 13:57:47\n"
        + lines({"R_rect_00": np.eye(3), "P_rect_02": PROJECTION}),
    )
    write(day / "calib_velo_to_cam.txt", lines({"R": LIDAR_TO_CAMERA, "T": [0.0, -0.5, 0.0]}))
    write(day / "calib_imu_to_velo.txt", lines({"R": np.eye(3), "T": [-1.0, 0.0, -0.5]}))
    drive = day / "2011_09_26_drive_0001_sync"
    stamps = "".join(f"2011-09-26 13:00:00.{k}00000001\n" for k in range(3))
    write(drive / "velodyne_points" / "timestamps.txt", stamps)
    write(drive / "image_02" / "timestamps.txt", stamps.replace("00000001", "10000002"))
    for k in (1, 2):
        write(drive / "velodyne_points" / "data" / f"{k:010}.bin", POINTS.tobytes())
        write_image(drive / "image_02" / "data" / f"{k:010}.png")
        latitude = 49.0 + np.degrees(k / 6378137.0)
        packet = [latitude, 8.4, 115.0, 0.0, 0.0, np.pi / 2, *[0.0] * 24]
        write(drive / "oxts" / "data" / f"{k:010}.txt", numbers(packet))
    return tmp_path


@pytest.fixture
def kitti_object(tmp_path: Path) -> Path:
    """Sweeps 3 and 7 of the object benchmark."""
    folder = tmp_path / "training"
    Tr = np.hstack([LIDAR_TO_CAMERA, [[0.0], [-0.5], [0.0]]])
    entries = {"P2": PROJECTION, "R0_rect": np.eye(3), "Tr_velo_to_cam": Tr}
    for stem in ("000003", "000007"):
        write(folder / "velodyne" / f"{stem}.bin", POINTS.tobytes())
        write(folder / "calib" / f"{stem}.txt", lines(entries))
        write_image(folder / "image_2" / f"{stem}.png")
    return tmp_path
