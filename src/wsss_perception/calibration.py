"""The calibration file: cameras and where they are on the LiDAR, for use where TF is absent.

::

    schema: 1
    cameras:
      front:                     # the namespace of the camera's topics, or the last parts of it
        width: 1242
        height: 375
        model: plumb_bob         # of the image as published; D is empty for a rectified one
        K: [[721.5, 0, 609.6], [0, 721.5, 172.9], [0, 0, 1]]
        D: []
        T_camera_lidar:          # maps LiDAR points to the optical frame (z forward), metres
          - [0, -1, 0, 0]
          - [0, 0, -1, -0.08]
          - [1, 0, 0, -0.27]
          - [0, 0, 0, 1]
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from wsss_perception.errors import ConfigError, GeometryError
from wsss_perception.geometry import Camera, Matrix, check_rigid

SCHEMA = 1


@dataclass(frozen=True)
class CameraCalibration:
    """A camera and where it is.

    Attributes:
        camera: intrinsics of the image as published.
        T_camera_lidar: [4, 4], maps LiDAR points to the optical frame.
    """

    camera: Camera
    T_camera_lidar: Matrix


def read_calibration(path: str | Path) -> dict[str, CameraCalibration]:
    """Reads the cameras of a calibration file, by name.

    Raises:
        ConfigError: the file cannot be read or does not fit the schema, and where.
    """
    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: calibration cannot be read: {error}") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ConfigError(f"{path}: not a calibration file; it needs 'schema: {SCHEMA}'")
    cameras = data.get("cameras")
    if not isinstance(cameras, dict) or not cameras:
        raise ConfigError(f"{path}: lists no cameras under 'cameras'")
    return {
        str(name): _from_dict(entry, f"{path}: camera '{name}'") for name, entry in cameras.items()
    }


def write_calibration(path: str | Path, calibrations: dict[str, CameraCalibration]) -> None:
    """Writes a calibration file.

    Raises:
        OSError: the file cannot be written.
    """
    cameras = {name: _to_dict(calibration) for name, calibration in calibrations.items()}
    data = {"schema": SCHEMA, "cameras": cameras}
    text = yaml.safe_dump(data, sort_keys=False, default_flow_style=None, allow_unicode=True)
    Path(path).write_text(text, encoding="utf-8")


def camera_to_dict(camera: Camera) -> dict[str, Any]:
    """Returns the intrinsics as the file holds them: width, height, model, K, D."""
    return {
        "width": camera.width,
        "height": camera.height,
        "model": camera.model,
        "K": np.asarray(camera.matrix).tolist(),
        "D": [float(value) for value in camera.distortion],
    }


def camera_from_dict(entry: Any) -> Camera:
    """Reads the intrinsics of ``camera_to_dict``.

    Raises:
        KeyError: one is missing.
        TypeError: the entry or a value is of another type.
        ValueError: a value is not a number, or not positive.
        GeometryError: the model is unknown, or the numbers do not fit it.
    """
    camera = Camera(
        width=int(entry["width"]),
        height=int(entry["height"]),
        matrix=np.array(entry["K"], dtype=np.float64),
        model=str(entry["model"]),
        distortion=tuple(float(value) for value in entry["D"]),
    )
    if camera.width < 1 or camera.height < 1:
        raise ValueError("width and height must be positive")
    return camera


def _to_dict(calibration: CameraCalibration) -> dict[str, Any]:
    transform = np.asarray(calibration.T_camera_lidar).tolist()
    return {**camera_to_dict(calibration.camera), "T_camera_lidar": transform}


def _from_dict(entry: Any, where: str) -> CameraCalibration:
    try:
        transform = np.array(entry["T_camera_lidar"], dtype=np.float64)
        check_rigid(transform, "T_camera_lidar")
        camera = camera_from_dict(entry)
    except KeyError as error:
        raise ConfigError(f"{where}: has no {error}") from error
    except (TypeError, ValueError, OverflowError, GeometryError) as error:
        raise ConfigError(f"{where}: {error}") from error
    return CameraCalibration(camera, transform)
