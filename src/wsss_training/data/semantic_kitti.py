"""KITTI odometry and SemanticKITTI: ``sequences/<nn>/{velodyne,labels,image_k,poses.txt,...}``."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError
from wsss_perception.geometry import Matrix, invert, make_transform
from wsss_perception.ontology import load_ontology
from wsss_training.data.kitti_files import (
    calibration_entry,
    read_calibration,
    read_raw_labels,
    read_sweep,
    rectified_image,
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

    Args:
        root: the folder that holds ``sequences``.
        sequences: names of sequences; all that are there by default.
        cameras: folders of images to use, such as ``image_2``; all that are there by default.

    Raises:
        DatasetError: a sequence, its sweeps or its calibration is missing or damaged.
    """

    def __init__(
        self,
        root: str | Path,
        sequences: list[str] | None = None,
        cameras: list[str] | None = None,
    ) -> None:
        self.ontology = load_ontology("semantic_kitti")
        folder = Path(root) / "sequences"
        if not folder.is_dir():
            raise DatasetError(f"{folder}: no such folder; root must hold 'sequences'")
        names = sorted(p.name for p in folder.iterdir()) if sequences is None else sequences
        self._cameras = cameras
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
            stamp = round(_row(sequence.times, number, sequence.folder / "times.txt") * 1e9)
        cloud = read_sweep(sequence.folder / "velodyne" / f"{stem}.bin", stamp)
        labels = None
        label_path = sequence.folder / "labels" / f"{stem}.label"
        if label_path.parent.is_dir():
            raw = read_raw_labels(label_path, len(cloud))
            labels = self.ontology.labels_from_raw(raw, str(label_path))
        pose = None
        if sequence.poses is not None:
            row = _row(sequence.poses, number, sequence.folder / "poses.txt").reshape(3, 4)
            T_lidar_reference = invert(sequence.T_reference_lidar)
            T_world_reference = make_transform(row[:, :3], row[:, 3])
            pose = T_lidar_reference @ T_world_reference @ sequence.T_reference_lidar
        return Sample(
            self.sample_ids[index],
            sequence.folder.name,
            cloud,
            self._images(sequence, stem, stamp),
            pose,
            labels,
        )

    def _open(self, folder: Path) -> _Sequence:
        stems = sorted(path.stem for path in (folder / "velodyne").glob("*.bin"))
        if not stems:
            raise DatasetError(f"{folder}: no sweeps in {folder / 'velodyne'}")
        path = folder / "calib.txt"
        entries = read_calibration(path)
        T_reference_lidar = np.vstack(
            [calibration_entry(entries, "Tr", (3, 4), path), [0.0, 0.0, 0.0, 1.0]]
        )
        names = self._cameras or [
            f"image_{k}" for k in range(4) if (folder / f"image_{k}").is_dir()
        ]
        projections = {
            name: calibration_entry(entries, f"P{name.removeprefix('image_')}", (3, 4), path)
            for name in names
        }
        return _Sequence(
            folder,
            stems,
            projections,
            T_reference_lidar,
            _read_table(folder / "poses.txt", 12),
            _read_table(folder / "times.txt", 1),
        )

    def _images(self, sequence: _Sequence, stem: str, stamp: int) -> tuple[ImageSource, ...]:
        images = []
        for name, projection in sequence.projections.items():
            path = sequence.folder / name / f"{stem}.png"
            transform = sequence.T_reference_lidar
            images.append(rectified_image(name, path, projection, transform, stamp))
        return tuple(images)


def _read_table(path: Path, columns: int) -> NDArray[np.float64] | None:
    if not path.exists():
        return None
    try:
        table = np.loadtxt(path, ndmin=2)
    except ValueError as error:
        raise DatasetError(f"{path}: not a table of numbers: {error}") from error
    if table.shape[1] != columns or not np.isfinite(table).all():
        raise DatasetError(f"{path}: expected {columns} finite numbers a line")
    return table if columns > 1 else table[:, 0]


def _row(table: NDArray[np.float64], number: int, path: Path) -> NDArray[np.float64]:
    if number >= len(table):
        raise DatasetError(f"{path}: has {len(table)} lines, none for sweep {number:06d}")
    return table[number]
