"""nuScenes and nuScenes-lidarseg: ``v1.0-*`` tables, ``samples``, ``sweeps`` and ``lidarseg``."""

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError
from wsss_perception.frame import PointCloud
from wsss_perception.geometry import Camera, Matrix, invert
from wsss_perception.ontology import load_ontology
from wsss_training.data.accumulate import LabelledCloud, accumulate_sweeps
from wsss_training.data.nuscenes_files import (
    T_FORWARD_RIGHT,
    read_categories,
    read_cloud,
    without_vehicle,
)
from wsss_training.data.nuscenes_index import Reading, TableIndex
from wsss_training.data.nuscenes_splits import is_official, scenes_of_split, version_of_split
from wsss_training.data.sample import ImageSource, Sample, read_image_size

_log = logging.getLogger(__name__)


class NuScenes:
    """Keyframes of nuScenes scenes, with lidarseg's labels where they are present.

    nuScenes' LiDAR looks along its y axis, x to the right. Points, ``T_camera_lidar`` and
    ``T_world_lidar`` are given in a frame turned by 90 degrees at the same place: x forward, y
    left, as everywhere here. A camera's image is older or newer than the sweep; the vehicle's
    motion between the two is in ``T_camera_lidar``. Poses map to the map's frame.

    A keyframe is named by its scene and its sweep's file without ``.pcd.bin``. With sweeps before
    it, its own points come first, all and in their order; the added ones are unlabelled, without
    those on the vehicle itself, and channel ``time`` has their seconds since the keyframe.

    The first time the tables are opened, an index of them is made, see ``TableIndex``.

    Args:
        root: the folder that holds ``v1.0-*``, ``samples`` and, for labels, ``lidarseg``.
        version: name of a folder of tables, such as ``v1.0-mini``; by default the split's, or the
            only one there.
        scenes: names such as ``scene-0061``; all that are there by default.
        split: the scenes of ``train``, ``val``, ``test``, ``mini_train`` or ``mini_val`` instead.
        cameras: channels such as ``CAM_FRONT``; all that are there by default.
        sweeps: the keyframe's sweep and how many of its scene before it, together; fewer where
            the scene starts.
        labels: read the lidarseg labels; otherwise their table and files are not opened.

    Raises:
        DatasetError: a table is missing or damaged, tables do not fit together, there are
            several versions to choose from, or options contradict each other.
    """

    def __init__(
        self,
        root: str | Path,
        version: str | None = None,
        scenes: list[str] | None = None,
        split: str | None = None,
        cameras: list[str] | None = None,
        sweeps: int = 1,
        labels: bool = True,
    ) -> None:
        if split is not None and scenes is not None:
            raise DatasetError(
                f"nuScenes: give 'split' or 'scenes', not both; got {split}, {scenes}"
            )
        if sweeps < 1:
            raise DatasetError(f"nuScenes: sweeps={sweeps}: 1 is the keyframe alone")
        self.ontology = load_ontology("nuscenes")
        self._root, self._sweeps = Path(root), sweeps
        folder = _choose_version(self._root, version, split)
        self._index = TableIndex(folder)
        if split is not None:
            scenes = _scenes_there(folder, split, self._index.scenes)
        chosen = self._index.scenes if scenes is None else list(dict.fromkeys(scenes))
        self._samples = self._index.samples_of(chosen)
        self._index.check_cameras(cameras or [], self._samples)
        self._cameras = self._index.cameras if cameras is None else cameras
        self._label_files = self._index.label_files() if labels else {}
        self.sample_ids = [
            f"{self._index.scene(sample)}/{Path(file).name.removesuffix('.pcd.bin')}"
            for sample, file in zip(
                self._samples, self._index.lidar_files(self._samples), strict=True
            )
        ]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        """Reads one keyframe.

        Raises:
            DatasetError: one of its files is missing, cut short or of another size.
        """
        sample = int(self._samples[index])
        readings = self._index.sweeps(sample, self._sweeps)
        cloud, T_world_lidar, labels = self._sweep(sample, readings[0])
        if self._sweeps > 1:
            added = [self._added_sweep(sample, reading) for reading in readings[1:]]
            cloud, labels = accumulate_sweeps([(cloud, T_world_lidar, labels), *added])
        files = [reading.filename for reading in readings]
        if sample in self._label_files:
            files.append(self._label_files[sample])
        images = self._index.images(sample, self._cameras)
        return Sample(
            self.sample_ids[index],
            self._index.scene(sample),
            cloud,
            tuple(self._image(reading, T_world_lidar) for reading in images),
            T_world_lidar,
            labels,
            files=(*(self._root / file for file in files), *self._index.files),
        )

    def _sweep(self, sample: int, reading: Reading) -> LabelledCloud:
        cloud = read_cloud(self._root / reading.filename, reading.stamp)
        return cloud, _pose(reading), self._labels(sample, cloud)

    def _added_sweep(self, sample: int, reading: Reading) -> LabelledCloud:
        path = self._root / reading.filename
        if not path.is_file():
            raise DatasetError(
                f"{path}: there is no such sweep; what lies between keyframes is in nuScenes' "
                f"'Lidar blobs' and not in its keyframe blobs: unpack those of "
                f"{self._index.scene(sample)}, or set sweeps=1"
            )
        return without_vehicle(read_cloud(path, reading.stamp)), _pose(reading), None

    def _image(self, reading: Reading, T_world_lidar: Matrix) -> ImageSource:
        path = self._root / reading.filename
        if not path.is_file():
            raise DatasetError(
                f"{path}: image cannot be read: there is none; unpack nuScenes' camera or keyframe "
                "blobs of its scene, or choose cameras that are there ([] for none)"
            )
        size = read_image_size(path)
        if size != reading.size:
            raise DatasetError(
                f"{path}: has {size[0]}x{size[1]} pixels, its intrinsics are for "
                f"{reading.size[0]}x{reading.size[1]}; take the image as it was published"
            )
        camera = Camera(*size, reading.intrinsics)
        T_camera_world = invert(reading.T_world_ego @ reading.T_ego_sensor)
        return ImageSource(
            reading.channel, path, camera, T_camera_world @ T_world_lidar, reading.stamp
        )

    def _labels(self, sample: int, cloud: PointCloud) -> NDArray[np.uint8] | None:
        if sample not in self._label_files:
            return None
        path = self._root / self._label_files[sample]
        return self.ontology.labels_from_raw(read_categories(path, len(cloud)), str(path))


def _pose(reading: Reading) -> Matrix:
    """T_world_lidar [4, 4] of a sweep, with x forward."""
    return reading.T_world_ego @ reading.T_ego_sensor @ invert(T_FORWARD_RIGHT)


def _choose_version(root: Path, version: str | None, split: str | None) -> Path:
    there = sorted(path.name for path in root.glob("v1.0-*") if path.is_dir())
    if split is not None:
        needed = version_of_split(split)
        if version is None and needed in there:
            version = needed
    if version is None and len(there) == 1:
        version = there[0]
    if not there:
        raise DatasetError(f"no folder of tables such as v1.0-mini in {root}")
    if version not in there:
        raise DatasetError(
            f"{root}: needs the name of one of its folders of tables in 'version', got "
            f"{version}; there are: {', '.join(there)}"
        )
    if split is not None and version != needed and is_official(version):
        raise DatasetError(f"{root / version}: split '{split}' is of {needed}: unpack that one")
    return root / version


def _scenes_there(folder: Path, split: str, there: list[str]) -> list[str]:
    """The scenes of a split that the tables have; says so if some are not there."""
    wanted = scenes_of_split(split)
    found = [name for name in wanted if name in set(there)]
    if not found:
        raise DatasetError(
            f"{folder / 'scene.json'}: has no scene of split '{split}', such as {wanted[0]}; "
            "choose 'scenes' by name"
        )
    if len(found) < len(wanted):
        _log.warning(
            "%s: has %d of the %d scenes of split '%s'", folder, len(found), len(wanted), split
        )
    return found
