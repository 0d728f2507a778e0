"""nuScenes' tables joined by their tokens into arrays: all that is needed to read keyframes."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError
from wsss_perception.progress import Progress
from wsss_training.data.array_cache import Arrays
from wsss_training.data.nuscenes_files import LIDAR
from wsss_training.data.nuscenes_mounts import OTHER, Mounts, pose_values
from wsss_training.data.nuscenes_tables import CHUNK, Table

TABLES = ("scene", "sample", "sensor", "calibrated_sensor", "sample_data", "ego_pose")
"""The tables that are joined."""

_SLOW = 64
"""Chunks from which on progress is shown."""

_APART = 1_000_000  # microseconds; no file of a keyframe is that far from its sample
_MAX_STAMP = 1 << 53  # microseconds; as nanoseconds they fit into 64 bits
_MAX_SIZE = 1 << 16  # pixels


@dataclass
class _Samples:
    """Samples in their order: numbers by token, scenes [K], stamps [K] in microseconds."""

    numbers: dict[str, int]
    scene: NDArray[np.int32]
    stamp: NDArray[np.int64]


@dataclass
class _Readings:
    """Rows of ``sample_data`` that are kept: cameras' keyframes, and all of the LiDAR's."""

    sample: array = field(default_factory=lambda: array("i"))
    mount: array = field(default_factory=lambda: array("i"))
    pose: array = field(default_factory=lambda: array("i"))
    stamp: array = field(default_factory=lambda: array("q"))
    is_key: array = field(default_factory=lambda: array("b"))
    size: array = field(default_factory=lambda: array("i"))
    files: list[str] = field(default_factory=list)
    lidar_tokens: dict[int, str] = field(default_factory=dict)
    poses: dict[str, int] = field(default_factory=dict)


def join_tables(folder: Path) -> Arrays:
    """Reads the tables of one version.

    Scenes are numbered as their table has them, samples by scene and time. Channels are the
    LiDAR and then the cameras. Readings, which are files of sensors, are the LiDAR's by scene
    and time, then the cameras' as their table has them. Texts are UTF-8, padded with zeros.

    Returns:
        - ``scene_name`` uint8 [S, w]
        - ``channel_name`` uint8 [C, w]
        - ``sample_token`` and ``lidar_token`` (of ``sample_data``) uint8 [K, w]
        - ``sample_scene`` int32 [K]
        - ``sample_reading`` int32 [K, C]: the readings of a keyframe; -1 where there is none
        - ``mount_channel`` int32 [M]: channel of a mounted sensor; -1 for those not read
        - ``mount_pose`` float64 [M, 7]: its translation in metres and quaternion (x, y, z, w)
        - ``mount_matrix`` float64 [M, 3, 3]: the camera matrix; zeros where there is none
        - ``reading_scene``, ``reading_mount`` int32 [R]
        - ``reading_stamp`` int64 [R]: nanoseconds
        - ``reading_pose`` float64 [R, 7]: the vehicle's, as ``mount_pose``
        - ``reading_size`` int32 [R, 2]: width and height of an image; zeros for a LiDAR
        - ``reading_file`` uint8 [R, w]: path below the root

    Raises:
        DatasetError: a table or row is missing or damaged, or tables do not fit together.
    """
    chunks = sum(-(-(folder / f"{name}.json").stat().st_size // CHUNK) for name in TABLES)
    with Progress("MB of nuScenes' tables indexed, once", chunks) as progress:
        on_chunk = progress.step if chunks >= _SLOW else _ignore
        tables = {name: Table(folder, name, on_chunk) for name in TABLES}
        scenes, names = _read_scenes(tables["scene"])
        samples = _read_samples(tables["sample"], tables["scene"], scenes)
        mounts = Mounts(tables["calibrated_sensor"], tables["sensor"])
        readings = _read_readings(tables["sample_data"], tables["sample"], samples, mounts)
        poses = _read_poses(tables["ego_pose"], tables["sample_data"], readings.poses)
    arrays: Arrays = {
        "scene_name": pack(names),
        "channel_name": pack(mounts.channels),
        "sample_token": pack(samples.numbers),
        "lidar_token": pack(readings.lidar_tokens.get(k, "") for k in samples.numbers.values()),
        "sample_scene": samples.scene,
        **mounts.arrays(np.unique(np.array(readings.mount, dtype=np.int64))),
    }
    return arrays | _order(readings, poses, arrays, tables["sample_data"])


def pack(texts: Iterable[str]) -> NDArray[np.uint8]:
    """Texts as rows of bytes [N, w], padded with zeros."""
    packed = np.array([text.encode() for text in texts], dtype=np.bytes_)
    return packed.view(np.uint8).reshape(len(packed), packed.itemsize)


def unpack(rows: NDArray[np.uint8]) -> list[str]:
    """The texts that ``pack`` made rows of."""
    return [bytes(row).rstrip(b"\0").decode() for row in rows]


def _read_scenes(table: Table) -> tuple[dict[str, int], list[str]]:
    tokens, names = [], []
    for token, name in table:
        tokens.append(token)
        names.append(table.text(name))
    if len(set(names)) < len(names):
        raise table.error("two scenes have the same name")
    return table.numbered(tokens), names


def _read_samples(table: Table, scene_table: Table, scenes: dict[str, int]) -> _Samples:
    rows = list(table)
    tokens = [table.text(token) for token, _, _ in rows]
    table.numbered(tokens)
    scene = np.array([scene_table.find(scenes, row[1], table) for row in rows], dtype=np.int32)
    stamps = [_bounded(table, row[2], "timestamp", _MAX_STAMP) for row in rows]
    stamp = np.array(stamps, dtype=np.int64)
    order = np.lexsort((stamp, scene))
    numbers = {tokens[row]: number for number, row in enumerate(order)}
    return _Samples(numbers, scene[order], stamp[order])


def _read_readings(
    table: Table, sample_table: Table, samples: _Samples, mounts: Mounts
) -> _Readings:
    kept, sample_stamp = _Readings(), samples.stamp.tolist()
    for token, sample, pose, mount, stamp, is_key, file, width, height in table:
        number = mounts.table.find(mounts.numbers, mount, table)
        channel = mounts.channel[number]
        if channel == OTHER or (channel > 0 and not is_key):
            continue
        sample_number = sample_table.find(samples.numbers, sample, table)
        if is_key and abs(stamp - sample_stamp[sample_number]) > _APART:
            raise table.error(f"keyframe '{token}' is seconds away from its sample '{sample}'")
        if channel == 0 and is_key:
            kept.lidar_tokens[sample_number] = table.text(token)
        kept.sample.append(sample_number)
        kept.mount.append(number)
        kept.pose.append(kept.poses.setdefault(pose, len(kept.poses)))
        kept.stamp.append(1000 * _bounded(table, stamp, "timestamp", _MAX_STAMP))
        kept.is_key.append(is_key)
        for size in (width, height):
            kept.size.append(_bounded(table, size, "size of an image", _MAX_SIZE))
        kept.files.append(table.text(file))
    if len(set(kept.files)) < len(kept.files):
        raise table.error("two rows name the same file")
    return kept


def _read_poses(table: Table, data_table: Table, numbers: dict[str, int]) -> NDArray[np.float64]:
    """Poses [P, 7] of the vehicle that are needed."""
    poses = np.full((len(numbers), 7), np.nan)
    is_known = bytearray(len(numbers))
    for token, translation, rotation in table:
        number = numbers.get(token)
        if number is None:
            continue
        if is_known[number]:
            raise table.error(f"token '{token}' occurs twice")
        poses[number] = pose_values(table, token, translation, rotation)
        is_known[number] = True
    unknown = is_known.find(0)
    if unknown >= 0:
        table.find({}, list(numbers)[unknown], data_table)
    return poses


def _bounded(table: Table, value: int, what: str, limit: int) -> int:
    if not 0 <= value < limit:
        raise table.error(f"{value} is not a {what}")
    return value


def _order(kept: _Readings, poses: NDArray[np.float64], arrays: Arrays, table: Table) -> Arrays:
    """The ``reading_`` arrays in their order, and which readings each sample has."""
    sample, mount = np.array(kept.sample, dtype=np.int32), np.array(kept.mount, dtype=np.int32)
    stamp, channel = np.array(kept.stamp, dtype=np.int64), arrays["mount_channel"][mount]
    scene = arrays["sample_scene"][sample]
    lidar = np.flatnonzero(channel == 0)
    lidar = lidar[np.lexsort((stamp[lidar], scene[lidar]))]
    order = np.concatenate([lidar, np.flatnonzero(channel > 0)])
    size, files = np.array(kept.size, dtype=np.int32).reshape(-1, 2), pack(kept.files)
    key = np.flatnonzero(np.array(kept.is_key, dtype=bool)[order])
    readings = {
        "sample_reading": _by_sample(key, sample[order], channel[order], arrays, table),
        "reading_scene": scene,
        "reading_mount": mount,
        "reading_stamp": stamp,
        "reading_pose": poses[np.array(kept.pose, dtype=np.int64)],
        "reading_size": size,
        "reading_file": files,
    }
    return {
        name: values[order] if name.startswith("reading_") else values
        for name, values in readings.items()
    }


def _by_sample(
    key: NDArray[np.int64],
    sample: NDArray[np.int32],
    channel: NDArray[np.int32],
    arrays: Arrays,
    table: Table,
) -> NDArray[np.int32]:
    """Readings of each sample's keyframe [K, C]; of the LiDAR there is exactly one."""
    names, tokens = unpack(arrays["channel_name"]), arrays["sample_token"]
    found = np.full((len(tokens), len(names)), -1, dtype=np.int32)
    found[sample[key], channel[key]] = key
    lost = key[found[sample[key], channel[key]] != key]
    if len(lost):
        token = unpack(tokens[sample[lost[:1]]])[0]
        raise table.error(f"two keyframes of '{names[channel[lost[0]]]}' for sample '{token}'")
    bare = np.flatnonzero(found[:, 0] < 0)
    if len(bare):
        raise no_keyframe(table, LIDAR, unpack(tokens[bare[:1]])[0])
    return found


def no_keyframe(table: Table, channel: str, sample: str) -> DatasetError:
    """The error of a sample that a sensor took no part in."""
    return table.error(f"no keyframe of '{channel}' for sample '{sample}'")


def _ignore() -> None:
    pass
