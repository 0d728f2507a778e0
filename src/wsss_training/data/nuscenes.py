"""nuScenes and nuScenes-lidarseg: ``v1.0-*`` tables, ``samples`` and ``lidarseg``."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError
from wsss_perception.geometry import Camera, Matrix, invert
from wsss_perception.ontology import load_ontology
from wsss_training.data.nuscenes_files import (
    T_FORWARD_RIGHT,
    Keyframe,
    Reading,
    read_categories,
    read_cloud,
    read_keyframes,
)
from wsss_training.data.sample import ImageSource, Sample, read_image_size


class NuScenes:
    """Keyframes of nuScenes scenes, with lidarseg's labels where they are present.

    nuScenes' LiDAR looks along its y axis, x to the right. Points, ``T_camera_lidar`` and
    ``T_world_lidar`` are given in a frame turned by 90 degrees at the same place: x forward, y
    left, as everywhere here. A camera's image is older or newer than the sweep; the vehicle's
    motion between the two is in ``T_camera_lidar``. Poses map to the map's frame.

    A keyframe is named by its scene and its sweep's file without ``.pcd.bin``.

    Args:
        root: the folder that holds ``v1.0-*``, ``samples`` and, for labels, ``lidarseg``.
        versions: name of one folder of tables, such as ``["v1.0-mini"]``; the only one there by
            default.
        scenes: names such as ``scene-0061``; all that are there by default.
        cameras: channels such as ``CAM_FRONT``; all that are there by default.
        labels: read the lidarseg labels; otherwise their table and files are not opened.

    Raises:
        DatasetError: a table is missing or damaged, tables do not fit together, or there are
            several versions to choose from.
    """

    def __init__(
        self,
        root: str | Path,
        versions: list[str] | None = None,
        scenes: list[str] | None = None,
        cameras: list[str] | None = None,
        labels: bool = True,
    ) -> None:
        self.ontology = load_ontology("nuscenes")
        self._root = Path(root)
        folder = _choose_version(self._root, versions)
        self._frames = read_keyframes(folder, scenes, cameras, labels)
        self.sample_ids = [_sample_id(frame) for frame in self._frames]

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> Sample:
        """Reads one keyframe.

        Raises:
            DatasetError: one of its files is missing, cut short or of another size.
        """
        frame = self._frames[index]
        cloud = read_cloud(self._root / frame.lidar.filename, frame.lidar.stamp)
        T_world_lidar = frame.lidar.T_world_ego @ frame.lidar.T_ego_sensor @ invert(T_FORWARD_RIGHT)
        return Sample(
            self.sample_ids[index],
            frame.scene,
            cloud,
            tuple(self._image(reading, T_world_lidar) for reading in frame.cameras.values()),
            T_world_lidar,
            self._labels(frame, len(cloud)),
        )

    def _image(self, reading: Reading, T_world_lidar: Matrix) -> ImageSource:
        path = self._root / reading.filename
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

    def _labels(self, frame: Keyframe, points: int) -> NDArray[np.uint8] | None:
        if frame.labels is None:
            return None
        path = self._root / frame.labels
        return self.ontology.labels_from_raw(read_categories(path, points), str(path))


def _choose_version(root: Path, versions: list[str] | None) -> Path:
    there = sorted(path.name for path in root.glob("v1.0-*") if path.is_dir())
    chosen = there if versions is None else versions
    if len(chosen) != 1 or chosen[0] not in there:
        raise DatasetError(
            f"{root}: needs the name of one of its folders of tables in 'versions', got "
            f"{versions}; there are: {', '.join(there) or 'none'}"
        )
    return root / chosen[0]


def _sample_id(frame: Keyframe) -> str:
    return f"{frame.scene}/{Path(frame.lidar.filename).name.removesuffix('.pcd.bin')}"
