"""KITTI odometry and SemanticKITTI: ``sequences/<nn>/{velodyne,labels,image_k,poses.txt,...}``."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError
from wsss_perception.geometry import Matrix, invert
from wsss_perception.ontology import load_ontology
from wsss_training.data.kitti_files import (
    calibration_entry,
    numbered_stems,
    projection_entry,
    read_calibration,
    read_raw_labels,
    read_sweep,
    rectified_image,
    rigid_transform,
    subfolders,
)
from wsss_training.data.sample import ImageSource, Sample

SWEEP_PERIOD_NS = 100_000_000
"""Time between sweeps, used where a sequence has no times.txt."""


@dataclass(frozen=True)
class _Sequence:
    folder: Path
    stems: list[str]
    projections: dict[str, NDArray[np.float64]]
    T_reference_lidar: Matrix
    poses: NDArray[np.float64] | None
    times: NDArray[np.float64] | None


class SemanticKitti:
    """Sweeps of KITTI odometry sequences, with SemanticKITTI's labels where they are present.

    A sweep is corrected for the car's motion and belongs to the moment its images were taken.
    Poses map to the LiDAR's frame at the start of the sequence.

    Args:
        root: the folder that holds ``sequences``.
        sequences: names of sequences; all that are there by default.
        cameras: folders of images to use, such as ``image_2``; all that are there by default.
        labels: read the label files; otherwise they are not opened.

    Raises:
        DatasetError: a sequence, its sweeps or its calibration is missing or damaged.
    """

    def __init__(
        self,
        root: str | Path,
        sequences: list[str] | None = None,
        cameras: list[str] | None = None,
        labels: bool = True,
    ) -> None:
        self.ontology = load_ontology("semantic_kitti")
        folder = Path(root) / "sequences"
        if not folder.is_dir():
            raise DatasetError(f"{folder}: no such folder; root must hold 'sequences'")
        names = subfolders(folder) if sequences is None else sequences
        self._cameras, self._read_labels = cameras, labels
        self._sequences = [self._open(folder / name) for name in names]
        self._index = [(s, stem) for s in self._sequences for stem in s.stems]
        self.sample_ids = [f"{s.folder.name}/{stem}" for s, stem in self._index]

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int) -> Sample:
        """Reads one sweep.

        Raises:
            DatasetError: one of its files is missing, cut short or of another length.
        """
        sequence, stem = self._index[index]
        number = int(stem)
        stamp = number * SWEEP_PERIOD_NS
        if sequence.times is not None:
            stamp = round(
                float(_row(sequence.times, number, sequence.folder / "times.txt")[0]) * 1e9
            )
        cloud = read_sweep(sequence.folder / "velodyne" / f"{stem}.bin", stamp)
        return Sample(
            self.sample_ids[index],
            sequence.folder.name,
            cloud,
            _images(sequence, stem, stamp),
            _pose(sequence, number),
            self._labels(sequence, stem, len(cloud)),
        )

    def _labels(self, sequence: _Sequence, stem: str, points: int) -> NDArray[np.uint8] | None:
        path = sequence.folder / "labels" / f"{stem}.label"
        if not self._read_labels or not path.parent.is_dir():
            return None
        return self.ontology.labels_from_raw(read_raw_labels(path, points), str(path))

    def _open(self, folder: Path) -> _Sequence:
        if not folder.is_dir():
            there = ", ".join(subfolders(folder.parent)) or "none"
            raise DatasetError(f"{folder}: no such sequence; there are: {there}")
        path = folder / "calib.txt"
        entries = read_calibration(path)
        Tr = calibration_entry(entries, "Tr", (3, 4), path)
        names = subfolders(folder, "image_[0-3]") if self._cameras is None else self._cameras
        keys = {name: f"P{name.removeprefix('image_')}" for name in names}
        return _Sequence(
            folder,
            numbered_stems(folder / "velodyne", ".bin"),
            {name: projection_entry(entries, key, path) for name, key in keys.items()},
            rigid_transform(Tr[:, :3], Tr[:, 3], f"{path}: 'Tr'"),
            _read_table(folder / "poses.txt", 12),
            _read_table(folder / "times.txt", 1),
        )


def _images(sequence: _Sequence, stem: str, stamp: int) -> tuple[ImageSource, ...]:
    return tuple(
        rectified_image(
            name,
            sequence.folder / name / f"{stem}.png",
            projection,
            sequence.T_reference_lidar,
            stamp,
        )
        for name, projection in sequence.projections.items()
    )


def _pose(sequence: _Sequence, number: int) -> Matrix | None:
    if sequence.poses is None:
        return None
    path = sequence.folder / "poses.txt"
    row = _row(sequence.poses, number, path).reshape(3, 4)
    T_world_reference = rigid_transform(row[:, :3], row[:, 3], f"{path}: line {number + 1}")
    T_lidar_reference = invert(sequence.T_reference_lidar)
    return T_lidar_reference @ T_world_reference @ sequence.T_reference_lidar


def _read_table(path: Path, columns: int) -> NDArray[np.float64] | None:
    if not path.exists():
        return None
    try:
        table = np.loadtxt(path, ndmin=2)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: not a readable table of numbers: {error}") from error
    if table.shape[1] != columns or not np.isfinite(table).all():
        raise DatasetError(f"{path}: expected {columns} finite numbers a line")
    return table


def _row(table: NDArray[np.float64], number: int, path: Path) -> NDArray[np.float64]:
    if number >= len(table):
        raise DatasetError(f"{path}: has {len(table)} lines, none for sweep {number:06d}")
    return table[number]
