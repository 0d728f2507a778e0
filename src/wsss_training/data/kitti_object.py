"""KITTI object detection: ``training/{velodyne,image_2,calib}``; its 3D boxes are not read."""

from pathlib import Path

import numpy as np

from wsss_perception.errors import DatasetError
from wsss_training.data.kitti_files import (
    calibration_entry,
    numbered_stems,
    projection_entry,
    read_calibration,
    read_sweep,
    rectified_image,
    rigid_transform,
)
from wsss_training.data.sample import ImageSource, Sample

CAMERA = "image_2"

STAMP_STEP_NS = 1_000_000_000
"""Between made-up stamps: the sweeps are of many drives and their times are not published."""


class KittiObject:
    """Sweeps of the object benchmark, each a scene of its own, without poses and point labels.

    Args:
        root: the folder that holds ``training``.
        cameras: ``["image_2"]``, the default, or ``[]`` for no images.

    Raises:
        DatasetError: there are no sweeps, or no such camera.
    """

    ontology = None

    def __init__(self, root: str | Path, cameras: list[str] | None = None) -> None:
        if cameras not in (None, [], [CAMERA]):
            raise DatasetError(f"{root}: no camera {cameras}; the one there is: {CAMERA}")
        self._has_images = cameras != []
        self._folder = Path(root) / "training"
        self.sample_ids = [
            f"{stem}/{stem}" for stem in numbered_stems(self._folder / "velodyne", ".bin")
        ]

    def __len__(self) -> int:
        return len(self.sample_ids)

    def __getitem__(self, index: int) -> Sample:
        """Reads one sweep.

        Raises:
            DatasetError: one of its files is missing, cut short or not what it should be.
        """
        stem = self.sample_ids[index].partition("/")[0]
        stamp = int(stem) * STAMP_STEP_NS
        path = self._folder / "velodyne" / f"{stem}.bin"
        images = (self._image(stem, stamp),) if self._has_images else ()
        files = (path, self._folder / "calib" / f"{stem}.txt")
        return Sample(self.sample_ids[index], stem, read_sweep(path, stamp), images, files=files)

    def _image(self, stem: str, stamp: int) -> ImageSource:
        path = self._folder / "calib" / f"{stem}.txt"
        entries = read_calibration(path)
        Tr = calibration_entry(entries, "Tr_velo_to_cam", (3, 4), path)
        T_camera_lidar = rigid_transform(Tr[:, :3], Tr[:, 3], f"{path}: 'Tr_velo_to_cam'")
        R_rect = calibration_entry(entries, "R0_rect", (3, 3), path)
        T_rectified_camera = rigid_transform(R_rect, np.zeros(3), f"{path}: 'R0_rect'")
        return rectified_image(
            CAMERA,
            self._folder / CAMERA / f"{stem}.png",
            projection_entry(entries, "P2", path),
            T_rectified_camera @ T_camera_lidar,
            stamp,
        )
