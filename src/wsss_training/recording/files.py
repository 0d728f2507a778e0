"""A recording: sweeps and images of one's own logs as plain files, cut into scenes.

::

    OUT/recording.yaml                    # "schema: 1"; of an import also how it was made
    OUT/<scene>/frames.json               # the scene's sensors and sweeps
    OUT/<scene>/points/<stamp>.npy        # float32 [N, 3 + channels], LiDAR frame, metres
    OUT/<scene>/<camera>/<stamp>.png      # or .jpg; whatever frames.json names

Stamps are nanoseconds. ``import-bag`` writes this; so can a script of one's own for logs of any
other kind. A scene needs nothing from outside its folder: robots with other sensors or
calibrations may stand side by side, and scenes be moved or removed. frames.json::

    {
      "schema": 1,
      "frame_id": "velodyne",
      "channels": {"intensity": 1, "ring": 1},      columns after x, y, z
      "cameras": {
        "front": {"width": 1242, "height": 375, "model": "plumb_bob", "D": [],
                  "K": [[721.5, 0, 609.6], [0, 721.5, 172.9], [0, 0, 1]]}
      },
      "sweeps": [                                   stamps increase
        {
          "stamp": 1317013000000000000,
          "T_world_lidar": [[...], [...], [...], [0, 0, 0, 1]],     or null
          "images": {                               none, some or all of the cameras
            "front": {"file": "1317013000010000000.png", "stamp": 1317013000010000000,
                      "T_camera_lidar": [[...], [...], [...], [0, 0, 0, 1]]}
          }
        }
      ]
    }

Intrinsics are those of the calibration file (``wsss_perception.calibration``), distortion
included. ``T_camera_lidar`` maps the sweep's points to the optical frame (z forward) as the image
was taken, so that it may hold the motion between the two stamps. Intensities are 0..1. Poses map
to a frame that is fixed over the scene. Two sweeps may name the same image. A sweep has at least
one point, and only points that are finite.
"""

import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError
from wsss_perception.frame import PointCloud
from wsss_training.recording.scene import (
    POINTS_FOLDER,
    SCHEMA,
    Scene,
    Sweep,
    scene_from_dict,
    scene_to_dict,
)

RECORDING_FILE = "recording.yaml"
SCENE_FILE = "frames.json"


def read_recording(root: Path) -> dict[str, Any]:
    """Reads recording.yaml.

    Raises:
        DatasetError: there is none, or it is of another schema.
    """
    path = root / RECORDING_FILE
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DatasetError(
            f"{path}: cannot be read: {error}; give a folder that import-bag wrote, or lay yours "
            "out as docs/own-logs.md says"
        ) from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise DatasetError(f"{path}: has no 'schema: {SCHEMA}', the one that is read here")
    return data


def write_recording(root: Path, data: dict[str, Any]) -> None:
    """Writes recording.yaml in one step.

    Raises:
        OSError: it cannot be written.
    """
    text = yaml.safe_dump({"schema": SCHEMA, **data}, sort_keys=False, allow_unicode=True)
    scratch = root / f".{RECORDING_FILE}.part"
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(root / RECORDING_FILE)


def read_scene(folder: Path) -> Scene:
    """Reads the frames.json of a scene.

    Raises:
        DatasetError: it cannot be read, or does not say what it should, and where.
    """
    path = folder / SCENE_FILE
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(
            f"{path}: cannot be read: {error}; remove the scene and import it anew"
        ) from error
    try:
        return scene_from_dict(data)
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}; correct it, or import the scene anew") from error


def points_path(folder: Path, sweep: Sweep) -> Path:
    """The file of a sweep's points."""
    return folder / POINTS_FOLDER / f"{sweep.stamp}.npy"


def read_points(folder: Path, scene: Scene, sweep: Sweep) -> PointCloud:
    """Reads the points of a sweep.

    Raises:
        DatasetError: the file is missing, cut short, or not the array that it should be.
    """
    path, columns = points_path(folder, sweep), 3 + sum(scene.channels.values())
    try:
        stream = io.BytesIO(path.read_bytes())
        values = np.lib.format.read_array(stream, allow_pickle=False)
    except Exception as error:  # a damaged header makes numpy stumble in many ways
        raise DatasetError(
            f"{path}: cannot be read: {error}; remove the scene and import it anew"
        ) from error
    if values.dtype != np.float32 or values.ndim != 2 or values.shape[1] != columns:
        raise DatasetError(
            f"{path}: is {values.dtype} {list(values.shape)}; {SCENE_FILE} says float32 "
            f"[N, {columns}]: x, y, z, {', '.join(scene.channels) or 'no channels'}"
        )
    wrong = _find_wrong(values, len(stream.read()))
    if wrong is not None:
        raise DatasetError(f"{path}: {wrong}; write it anew, or take the sweep out of {SCENE_FILE}")
    channels, start = {}, 3
    for name, count in scene.channels.items():
        column = values[:, start : start + count]
        channels[name] = np.ascontiguousarray(column[:, 0] if count == 1 else column)
        start += count
    xyz = np.ascontiguousarray(values[:, :3])
    return PointCloud(xyz, channels, sweep.stamp, scene.frame_id)


def _find_wrong(values: NDArray[np.float32], bytes_left: int) -> str | None:
    """Says what is wrong with an array of points [N, 3 + channels] and the bytes after it."""
    if bytes_left:
        return f"has {bytes_left} bytes after its array"
    if not len(values):
        return "has no points"
    invalid = len(values) - int(np.isfinite(values[:, :3]).all(axis=1).sum())
    return f"{invalid} of its {len(values)} points are not finite" if invalid else None


class SceneWriter:
    """Writes a scene into a hidden folder, which gets its name when it is whole.

    What a killed process left in that folder is removed first.

    Args:
        root: the recording's folder.
        name: of the scene.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.folder = root / name
        self._scratch = root / f".{name}.part"
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._images: set[tuple[str, str]] = set()

    def write_points(self, cloud: PointCloud) -> int:
        """Writes the valid points of a sweep; returns how many invalid ones were dropped.

        Raises:
            OSError: the file cannot be written.
        """
        channels = (v if v.ndim == 2 else v[:, None] for v in cloud.channels.values())
        columns = [cloud.xyz, *channels]
        is_valid = np.isfinite(cloud.xyz).all(axis=1)
        values: NDArray[np.float32] = np.concatenate(columns, axis=1)[is_valid]
        stream = io.BytesIO()
        np.save(stream, values, allow_pickle=False)
        self._write(POINTS_FOLDER, f"{cloud.stamp}.npy", stream.getbuffer())
        return len(cloud) - len(values)

    def write_image(self, camera: str, file: str, content: bytes) -> None:
        """Writes an image.

        Raises:
            OSError: the file cannot be written.
        """
        self._images.add((camera, file))
        self._write(camera, file, content)

    def finish(self, scene: Scene) -> None:
        """Writes frames.json, removes images it does not name, and gives the folder its name.

        Raises:
            OSError: the folder cannot be written, or has been made in the meantime.
        """
        named = {(n, image.file) for sweep in scene.sweeps for n, image in sweep.images.items()}
        for camera, file in self._images - named:
            (self._scratch / camera / file).unlink()
        text = json.dumps(scene_to_dict(scene), allow_nan=False)
        self._write("", SCENE_FILE, text.encode())
        os.rename(self._scratch, self.folder)

    def discard(self) -> None:
        """Removes what has been written."""
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _write(self, folder: str, file: str, content: bytes | memoryview) -> None:
        path = self._scratch / folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
