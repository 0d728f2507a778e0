"""Rows of nuScenes' tables for a recording."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from wsss_perception.geometry import Matrix, quaternion_from_matrix
from wsss_training.data.nuscenes_files import LIDAR, T_FORWARD_RIGHT
from wsss_training.world.recording import Shot, Sweep

CATEGORIES = (
    "noise",
    "animal",
    "human.pedestrian.adult",
    "human.pedestrian.child",
    "human.pedestrian.construction_worker",
    "human.pedestrian.personal_mobility",
    "human.pedestrian.police_officer",
    "human.pedestrian.stroller",
    "human.pedestrian.wheelchair",
    "movable_object.barrier",
    "movable_object.debris",
    "movable_object.pushable_pullable",
    "movable_object.trafficcone",
    "static_object.bicycle_rack",
    "vehicle.bicycle",
    "vehicle.bus.bendy",
    "vehicle.bus.rigid",
    "vehicle.car",
    "vehicle.construction",
    "vehicle.emergency.ambulance",
    "vehicle.emergency.police",
    "vehicle.motorcycle",
    "vehicle.trailer",
    "vehicle.truck",
    "flat.driveable_surface",
    "flat.other",
    "flat.sidewalk",
    "flat.terrain",
    "static.manmade",
    "static.other",
    "static.vegetation",
    "vehicle.ego",
)
"""Names of nuScenes-lidarseg's categories by their ids."""

EMPTY_TABLES = ("attribute", "instance", "sample_annotation", "visibility")
"""Tables of boxes, which are not written."""

Row = dict[str, Any]
Tables = dict[str, dict[str, Row]]
"""Rows by name of the table and token."""

START = 10_000_000
"""Microseconds at which a recording's clock reads 0: its first images are older than its sweep."""


@dataclass(frozen=True)
class Reading:
    """What the tables say of a sensor's file.

    Attributes:
        channel: the sensor's name.
        modality: ``lidar`` or ``camera``.
        suffix: of the file.
        stamp: nanoseconds.
        T_ego_sensor: mounting [4, 4]; the LiDAR's with nuScenes' axes.
        T_world_ego: pose of the vehicle [4, 4] at the stamp.
        intrinsics: rows of the camera matrix; none for a LiDAR.
        width: of the image; 0 for a LiDAR.
        height: of the image; 0 for a LiDAR.
    """

    channel: str
    modality: str
    suffix: str
    stamp: int
    T_ego_sensor: Matrix
    T_world_ego: Matrix
    intrinsics: list[list[float]]
    width: int = 0
    height: int = 0


def lidar_reading(sweep: Sweep) -> Reading:
    """Describes a sweep; the LiDAR's mounting is turned to nuScenes' axes."""
    T_ego_sensor = sweep.T_ego_lidar @ T_FORWARD_RIGHT
    return Reading(
        LIDAR, "lidar", "pcd.bin", sweep.cloud.stamp, T_ego_sensor, sweep.T_world_ego, []
    )


def camera_reading(shot: Shot) -> Reading:
    """Describes an image."""
    camera = shot.camera
    return Reading(
        shot.name,
        "camera",
        "jpg",
        shot.stamp,
        shot.T_ego_camera,
        shot.T_world_ego,
        camera.matrix.tolist(),
        camera.width,
        camera.height,
    )


def add_reading(tables: Tables, scene: str, sample: str, reading: Reading) -> Row:
    """Adds rows for a sensor's file of a sample; returns the one of ``sample_data``."""
    channel, stamp = reading.channel, microseconds(reading.stamp)
    sensor = make_token("sensor", channel)
    row = {"token": sensor, "channel": channel, "modality": reading.modality}
    tables["sensor"][sensor] = row
    mounting = {**_pose_fields(reading.T_ego_sensor), "camera_intrinsic": reading.intrinsics}
    calibrated = make_token("calibrated_sensor", scene, channel, mounting)
    row = {"token": calibrated, "sensor_token": sensor, **mounting}
    tables["calibrated_sensor"][calibrated] = row
    token = make_token("sample_data", sample, channel)
    pose = {"token": token, "timestamp": stamp, **_pose_fields(reading.T_world_ego)}
    tables["ego_pose"][token] = pose
    tables["sample_data"][token] = {
        "token": token,
        "sample_token": sample,
        "ego_pose_token": token,
        "calibrated_sensor_token": calibrated,
        "timestamp": stamp,
        "fileformat": reading.suffix.partition(".")[0],
        "is_key_frame": True,
        "height": reading.height,
        "width": reading.width,
        "filename": f"samples/{channel}/{scene}__{channel}__{stamp}.{reading.suffix}",
    }
    return tables["sample_data"][token]


def complete_scene(tables: Tables, scene: str) -> None:
    """Adds the rows of the scene and its log, and the links between its samples."""
    samples = list(tables["sample"].values())
    _link(samples)
    by_folder: dict[str, list[Row]] = {}
    for row in tables["sample_data"].values():
        by_folder.setdefault(row["filename"].rpartition("/")[0], []).append(row)
    for rows in by_folder.values():
        _link(rows)
    token, log = make_token("scene", scene), make_token("log", scene)
    tables["scene"][token] = {
        "token": token,
        "log_token": log,
        "nbr_samples": len(samples),
        "first_sample_token": samples[0]["token"],
        "last_sample_token": samples[-1]["token"],
        "name": scene,
        "description": "synthetic",
    }
    day = np.datetime64(samples[0]["timestamp"], "us").astype("datetime64[D]")
    tables["log"][log] = {
        "token": log,
        "logfile": scene,
        "vehicle": "synthetic",
        "date_captured": str(day),
        "location": "synthetic",
    }


def microseconds(stamp: int) -> int:
    """Rounds a recording's nanoseconds to nuScenes' unit, counted from before its first image."""
    return START + (stamp + 500) // 1000


def make_token(*parts: object) -> str:
    """A token that follows from what it stands for, so that the same world has the same."""
    return hashlib.md5(repr(parts).encode(), usedforsecurity=False).hexdigest()


def _link(rows: list[Row]) -> None:
    """Fills in ``prev`` and ``next`` of rows in their order; the ends have empty ones."""
    tokens = ["", *(row["token"] for row in rows), ""]
    for row, before, after in zip(rows, tokens, tokens[2:], strict=False):
        row["prev"], row["next"] = before, after


def _pose_fields(transform: Matrix) -> Row:
    """Translation and rotation (w, x, y, z) of a transform [4, 4]."""
    x, y, z, w = quaternion_from_matrix(transform[:3, :3]).tolist()
    return {"translation": transform[:3, 3].tolist(), "rotation": [w, x, y, z]}
