"""Small synthetic trees in the layouts of the KITTI family, so that readers run without data."""

import json
from hashlib import md5
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
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


NUSCENES_POINTS = np.float32([[0, 10, 0, 51, 3], [2, 10, -1, 255, 31], [0, -10, 0, 0, 0]])
"""In nuScenes' LiDAR frame: ahead, ahead to the right and below, behind; x y z intensity ring."""


def nuscenes_tables() -> dict[str, list[dict]]:
    """Rows of a scene of two keyframes, a second between them, and of another scene of none.

    The LiDAR is 1 m before and 2 m above the vehicle's origin, the camera 1 m before and 1.5 m
    above it, both looking ahead. The vehicle starts at (100, 200, 0) and drives 10 m/s along the
    map's y; the image is taken 50 ms after the sweep. Between the keyframes is another sweep.
    """
    half = 0.5**0.5
    mounts = [
        ("LIDAR_TOP", [1, 0, 2], [half, 0, 0, -half], []),
        (
            "CAM_FRONT",
            [1, 0, 1.5],
            [0.5, -0.5, 0.5, -0.5],
            [[50, 0, 31.5], [0, 50, 15.5], [0, 0, 1]],
        ),
    ]
    data, poses = [], []
    for k, time in enumerate((0, 500_000, 1_000_000)):
        for channel, delay, suffix in (("LIDAR_TOP", 0, "pcd.bin"), ("CAM_FRONT", 50_000, "jpg")):
            stamp = 10_000_000 + time + delay
            kind = "sweeps" if k == 1 else "samples"
            row = {"token": f"{channel}{k}", "timestamp": stamp, "is_key_frame": k != 1}
            row |= {"sample_token": f"sample{k // 2}", "ego_pose_token": f"pose-{channel}{k}"}
            row |= {"calibrated_sensor_token": f"mount-{channel}", "prev": "", "next": ""}
            row |= {"filename": f"{kind}/{channel}/log__{channel}__{stamp}.{suffix}"}
            image = channel != "LIDAR_TOP"
            data.append({**row, "width": 64 * image, "height": 32 * image})
            place = [100, 200 + 10 * (time + delay) * 1e-6, 0]
            poses.append(
                {
                    "token": f"pose-{channel}{k}",
                    "translation": place,
                    "rotation": [half, 0, 0, half],
                }
            )
    return {
        "scene": [{"token": "empty", "name": "scene-9"}, {"token": "drive", "name": "scene-1"}],
        "sample": [
            {"token": "sample1", "scene_token": "drive", "timestamp": 11_000_000},
            {"token": "sample0", "scene_token": "drive", "timestamp": 10_000_000},
        ],
        "sample_data": data,
        "ego_pose": poses,
        "calibrated_sensor": [
            {
                "token": f"mount-{channel}",
                "sensor_token": channel,
                "translation": place,
                "rotation": rotation,
                "camera_intrinsic": matrix,
            }
            for channel, place, rotation, matrix in mounts
        ],
        "sensor": [
            {"token": "LIDAR_TOP", "channel": "LIDAR_TOP", "modality": "lidar"},
            {"token": "CAM_FRONT", "channel": "CAM_FRONT", "modality": "camera"},
        ],
        "lidarseg": [
            {
                "token": f"LIDAR_TOP{k}",
                "sample_data_token": f"LIDAR_TOP{k}",
                "filename": f"lidarseg/v1.0-mini/LIDAR_TOP{k}_lidarseg.bin",
            }
            for k in (0, 2)
        ],
    }


@pytest.fixture
def nuscenes(tmp_path: Path) -> Path:
    """The two keyframes of ``nuscenes_tables``, labelled."""
    tables = nuscenes_tables()
    for name, rows in tables.items():
        write(tmp_path / "v1.0-mini" / f"{name}.json", json.dumps(rows))
    for row in tables["sample_data"]:
        path = tmp_path / row["filename"]
        if not row["is_key_frame"]:
            continue
        if row["width"]:
            write_image(path)
        else:
            write(path, NUSCENES_POINTS.tobytes())
    for row in tables["lidarseg"]:
        write(tmp_path / row["filename"], bytes([24, 17, 0]))
    return tmp_path


def nuscenes_drive_sweep(number: int) -> NDArray:
    """The sweep ``number`` of ``nuscenes_drive``: x y z intensity ring of 3 + ``number`` points.

    A post that stands 30 m ahead of where the drive began, 2 m to the right; a point on the
    vehicle; one beside it; and further ones. The ring tells the number.
    """
    post = [[2, 30 - number, 0], [0.5, -0.9, 0], [-1.5, 0.5, 0]]
    xyz = [*post, *([10, 10, k] for k in range(number))]
    return np.float32([[*point, 0, number] for point in xyz])


@pytest.fixture
def nuscenes_drive(tmp_path: Path) -> Path:
    """Scenes 0061 and 0103, each with keyframes 2, 5 and 8 of ten sweeps 0.1 s apart, labelled.

    The vehicle drives at 10 m/s along the map's y, sweep 0 of scene 0103 being sweep 10 of its
    files. All that belongs to a keyframe tells its sweep: labels by their count, pixels by their
    brightness, 10 a sweep.
    """
    half = 0.5**0.5
    tables = {name: rows for name, rows in nuscenes_tables().items() if name == "sensor"}
    tables |= {n: [] for n in ("scene", "sample", "sample_data", "ego_pose", "lidarseg")}
    mounts = nuscenes_tables()["calibrated_sensor"]
    tables["calibrated_sensor"] = [{**row, "token": nuscenes_token(row["token"])} for row in mounts]
    for number in range(20):
        scene, step = number // 10, number % 10
        token, sample = nuscenes_token("scene", scene), nuscenes_token("sample", scene, step // 4)
        stamp = 1_532_402_900_000_000 + 60_000_000 * scene + 100_003 * step
        is_key = step in (2, 5, 8)
        if step == 0:
            name = ("scene-0061", "scene-0103")[scene]
            tables["scene"].append({"token": token, "name": name, "nbr_samples": 3})
        if is_key:
            row = {"token": sample, "timestamp": stamp, "scene_token": token}
            tables["sample"].append(row)
        for channel, suffix in (("LIDAR_TOP", "pcd.bin"), ("CAM_FRONT", "jpg")):
            own, image = nuscenes_token(channel, number), channel != "LIDAR_TOP"
            path = f"{('sweeps', 'samples')[is_key]}/{channel}/log__{channel}__{stamp}.{suffix}"
            row = {"token": own, "sample_token": sample, "ego_pose_token": own}
            row |= {"calibrated_sensor_token": nuscenes_token(f"mount-{channel}")}
            row |= {"timestamp": stamp, "is_key_frame": is_key, "filename": path}
            tables["sample_data"].append({**row, "width": 64 * image, "height": 32 * image})
            place = [100, 200 + step, 0]
            pose = {"token": own, "translation": place, "rotation": [half, 0, 0, half]}
            tables["ego_pose"].append(pose)
            write(tmp_path / path, nuscenes_drive_sweep(number).tobytes())
            if image:
                Image.new("L", (64, 32), 10 * number).convert("RGB").save(tmp_path / path)
            elif is_key:
                path = f"lidarseg/v1.0-mini/{own}_lidarseg.bin"
                row = {"token": own, "sample_data_token": own, "filename": path}
                tables["lidarseg"].append(row)
                write(tmp_path / path, bytes([24] * (3 + number)))
    for name, rows in tables.items():
        write(tmp_path / "v1.0-mini" / f"{name}.json", json.dumps(rows, indent=0))
    return tmp_path


def nuscenes_token(*parts: object) -> str:
    """A token as nuScenes' are, that tells two things apart even with a byte changed."""
    return md5(repr(parts).encode(), usedforsecurity=False).hexdigest()
