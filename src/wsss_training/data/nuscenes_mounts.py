"""How nuScenes' sensors are mounted."""

from array import array
from math import hypot, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import GeometryError
from wsss_perception.geometry import Camera
from wsss_training.data.array_cache import Arrays
from wsss_training.data.nuscenes_files import LIDAR
from wsss_training.data.nuscenes_tables import Table

OTHER = -1
"""Channel of a sensor that is not read."""


class Mounts:
    """Mounted sensors: rows of ``calibrated_sensor`` and the channels of their sensors.

    Args:
        table: ``calibrated_sensor``.
        sensors: ``sensor``.

    Attributes:
        channels: names of the LiDAR and of all cameras.
        numbers: row numbers by token.
        channel: of each row the place in ``channels``, or ``OTHER``.

    Raises:
        DatasetError: a table is damaged, or a row names a sensor that is not there.
    """

    def __init__(self, table: Table, sensors: Table) -> None:
        rows = list(sensors)
        numbers = sensors.numbered([token for token, _, _ in rows])
        cameras = [sensors.text(name) for _, name, modality in rows if modality == "camera"]
        self.channels = list(dict.fromkeys([LIDAR, *cameras]))
        channels = {name: number for number, name in enumerate(self.channels)}
        self.table, self._rows = table, list(table)
        self.numbers = table.numbered([row[0] for row in self._rows])
        self.channel = [
            channels.get(rows[sensors.find(numbers, row[1], table)][1], OTHER) for row in self._rows
        ]

    def arrays(self, used: NDArray[np.int64]) -> Arrays:
        """The ``mount_`` arrays of ``nuscenes_join``; what is not used is zeros.

        Raises:
            DatasetError: a mounting that is used has no pose or camera matrix.
        """
        poses, matrices = np.zeros((len(self._rows), 7)), np.zeros((len(self._rows), 3, 3))
        for number in used:
            token, _, translation, rotation, matrix = self._rows[number]
            poses[number] = pose_values(self.table, token, translation, rotation)
            if self.channel[number] > 0:
                matrices[number] = self._matrix(token, matrix)
        channels = np.array(self.channel, dtype=np.int32)
        return {"mount_channel": channels, "mount_pose": poses, "mount_matrix": matrices}

    def _matrix(self, token: str, rows: list[Any]) -> NDArray[np.float64]:
        try:
            return Camera(1, 1, np.array(rows, dtype=np.float64)).matrix
        except (TypeError, ValueError, OverflowError, IndexError, GeometryError) as error:
            raise self.table.error(f"token '{token}': {error}") from error


def pose_values(table: Table, token: str, translation: list[Any], rotation: list[Any]) -> array:
    """Checks a pose: translation and quaternion (w, x, y, z), as tables have them.

    Returns:
        Translation in metres and quaternion (x, y, z, w), seven numbers.

    Raises:
        DatasetError: they are no finite numbers or no rotation.
    """
    try:
        x, y, z = translation
        qw, qx, qy, qz = rotation
        pose = array("d", (x, y, z, qx, qy, qz, qw))
    except (TypeError, ValueError, OverflowError) as error:
        raise table.error(f"token '{token}': no pose: {error}") from error
    if not all(map(isfinite, pose)):
        raise table.error(f"token '{token}': pose is not finite")
    if abs(hypot(qx, qy, qz, qw) - 1) > 1e-3:
        raise table.error(f"token '{token}': no pose: quaternion {rotation} is not a rotation")
    return pose
