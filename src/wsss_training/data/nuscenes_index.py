"""What every keyframe's sensors recorded, looked up in an index that is made once."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError
from wsss_perception.geometry import Matrix, make_transform, matrix_from_quaternion
from wsss_training.data.array_cache import ArrayCache, user_cache
from wsss_training.data.nuscenes_join import TABLES, join_tables, no_keyframe, unpack
from wsss_training.data.nuscenes_tables import Table

VERSION = "nuScenes index 1"
"""Of the arrays of ``nuscenes_join``; to be counted up when they change."""


@dataclass(frozen=True)
class Reading:
    """One sensor's file.

    Attributes:
        channel: the sensor's name.
        filename: below the root.
        stamp: nanoseconds.
        T_ego_sensor: mounting [4, 4]; the LiDAR's with nuScenes' own axes.
        T_world_ego: pose of the vehicle [4, 4] at the stamp.
        intrinsics: camera matrix [3, 3]; zeros for a LiDAR.
        size: width and height of the image; zeros for a LiDAR.
    """

    channel: str
    filename: str
    stamp: int
    T_ego_sensor: Matrix
    T_world_ego: Matrix
    intrinsics: NDArray[np.float64]
    size: tuple[int, int]


class TableIndex:
    """The tables of one version; samples and readings go by their numbers.

    The tables are read when they are opened for the first time or have changed, which takes a
    minute or two for all of nuScenes; what is kept of them lies in the user's cache.

    Args:
        folder: the tables' folder, ``v1.0-...``.

    Attributes:
        scenes: names in the order of their table.
        cameras: channels.
        files: the tables that it is made of.

    Raises:
        DatasetError: a table is missing or damaged, or tables do not fit together.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.files = tuple(folder / f"{name}.json" for name in TABLES)
        place = hashlib.sha256(os.path.abspath(folder).encode()).hexdigest()[:16]
        cache = ArrayCache(user_cache() / "nuscenes", VERSION)
        try:
            self._arrays = cache.get(place, self.files, lambda: join_tables(folder))
        except OSError as error:
            raise DatasetError(
                f"{error.filename}: cannot be read: {error.strerror}; unpack nuScenes' metadata of "
                f"{folder.name} there"
            ) from error
        self.scenes = unpack(self._arrays["scene_name"])
        self._channels = unpack(self._arrays["channel_name"])
        self.cameras = self._channels[1:]

    def samples_of(self, scenes: Sequence[str]) -> NDArray[np.int64]:
        """Samples of scenes, one scene after the other, each in the order of time.

        Raises:
            DatasetError: there is no such scene.
        """
        numbers = []
        for name in scenes:
            if name not in self.scenes:
                there = ", ".join(self.scenes)
                raise DatasetError(f"{self._path('scene')}: no scene '{name}'; there are: {there}")
            numbers.append(self.scenes.index(name))
        ends = np.searchsorted(self._arrays["sample_scene"], [numbers, [n + 1 for n in numbers]])
        return np.concatenate([np.arange(0), *map(np.arange, *ends)])

    def check_cameras(self, cameras: Sequence[str], samples: NDArray[np.int64]) -> None:
        """Checks that cameras took part in samples.

        Raises:
            DatasetError: one did not.
        """
        for name in cameras:
            if name not in self.cameras:
                there = ", ".join(self.cameras)
                raise DatasetError(
                    f"{self._path('sensor')}: no camera '{name}'; there are: {there}"
                )
            taken = self._arrays["sample_reading"][samples, self._channels.index(name)]
            bare = samples[taken < 0]
            if len(bare):
                token = unpack(self._arrays["sample_token"][bare[:1]])[0]
                raise no_keyframe(Table(self._folder, "sample_data"), name, token)

    def scene(self, sample: int) -> str:
        """The name of a sample's scene."""
        return self.scenes[self._arrays["sample_scene"][sample]]

    def lidar_files(self, samples: NDArray[np.int64]) -> list[str]:
        """Paths of the samples' sweeps below the root."""
        return unpack(self._arrays["reading_file"][self._arrays["sample_reading"][samples, 0]])

    def sweeps(self, sample: int, count: int) -> list[Reading]:
        """A sample's sweep and the ones before it, newest first, where its scene has them."""
        last = int(self._arrays["sample_reading"][sample, 0])
        scenes = self._arrays["reading_scene"]
        first = max(last - count + 1, 0)
        return [self._reading(k) for k in range(last, first - 1, -1) if scenes[k] == scenes[last]]

    def images(self, sample: int, cameras: Sequence[str]) -> list[Reading]:
        """A sample's images of some cameras, in the order of the tables."""
        channels = [self._channels.index(name) for name in cameras]
        found = self._arrays["sample_reading"][sample, channels]
        return [self._reading(number) for number in np.sort(found[found >= 0])]

    def label_files(self) -> dict[int, str]:
        """Paths of the lidarseg labels below the root by sample; none without their table.

        Raises:
            DatasetError: the table is damaged or does not belong to the others.
        """
        table = Table(self._folder, "lidarseg")
        if not table.path.exists():
            return {}
        numbers = {token: k for k, token in enumerate(unpack(self._arrays["lidar_token"]))}
        readings, files = Table(self._folder, "sample_data"), dict[int, str]()
        for _, token, path in table:
            sample = readings.find(numbers, token, table)
            if sample in files:
                raise table.error(f"two rows are of the sweep '{token}'")
            files[sample] = table.text(path)
        if len(set(files.values())) < len(files):
            raise table.error("two rows name the same file")
        return files

    def _reading(self, number: int) -> Reading:
        row = {
            name: values[number]
            for name, values in self._arrays.items()
            if name.startswith("reading_")
        }
        mount = row["reading_mount"]
        width, height = row["reading_size"].tolist()
        return Reading(
            self._channels[self._arrays["mount_channel"][mount]],
            unpack(row["reading_file"][None])[0],
            int(row["reading_stamp"]),
            _transform(self._arrays["mount_pose"][mount]),
            _transform(row["reading_pose"]),
            self._arrays["mount_matrix"][mount],
            (width, height),
        )

    def _path(self, table: str) -> Path:
        return self._folder / f"{table}.json"


def _transform(pose: NDArray[np.float64]) -> Matrix:
    return make_transform(matrix_from_quaternion(pose[3:]), pose[:3])
