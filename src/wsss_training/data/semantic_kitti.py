"""KITTI odometry and SemanticKITTI: ``sequences/<nn>/{velodyne,labels,image_k,poses.txt,...}``."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError
from wsss_perception.frame import PointCloud
from wsss_perception.geometry import Matrix, invert
from wsss_perception.ontology import load_ontology
from wsss_training.data.accumulate import accumulate_sweeps
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

_VALIDATION = ("08",)
SPLITS = {
    "train": ("00", "01", "02", "03", "04", "05", "06", "07", "09", "10"),
    "validation": _VALIDATION,
    "val": _VALIDATION,
    "test": tuple(str(number) for number in range(11, 22)),
}
"""SemanticKITTI's official splits; the labels of ``test`` are not published."""


@dataclass(frozen=True)
class _Sequence:
    folder: Path
    stems: list[str]
    projections: dict[str, NDArray[np.float64]]
    T_reference_lidar: Matrix
    poses: NDArray[np.float64] | None
    times: NDArray[np.float64] | None
    labels: Path | None


class SemanticKitti:
    """Sweeps of KITTI odometry sequences, with SemanticKITTI's labels where they are present.

    A sweep is corrected for the car's motion and belongs to the moment its images were taken.
    Poses map to the LiDAR's frame at the start of the sequence.

    Args:
        root: the folder that holds ``sequences``.
        sequences: names of sequences; all that are there by default.
        cameras: folders of images to use, such as ``image_2``; all that are there by default.
        labels: read the label files; otherwise they are not opened.
        split: ``train``, ``validation`` (or ``val``) or ``test``, in place of ``sequences``.
        moving: labels of the 25 classes of the multi-scan task, which tells what moves from what
            stands, and not of the 19 of the single-scan task.
        sweeps: so many sweeps as one cloud, see ``accumulate_sweeps``: each with those before it
            in its sequence (fewer at the start), and their own labels; needs poses.
        scene_sweeps: so many successive sweeps are a scene, ``<sequence>_<000>`` and so on; by
            default a sequence is one.
        label_folder: each sequence's folder of labels, such as ScribbleKITTI's ``scribbles``; by
            default ``labels``, which may be missing.

    Raises:
        DatasetError: a sequence, its sweeps, calibration, poses or labels are missing or damaged,
            or options contradict each other.
    """

    def __init__(
        self,
        root: str | Path,
        sequences: list[str] | None = None,
        cameras: list[str] | None = None,
        labels: bool = True,
        split: str | None = None,
        moving: bool = False,
        sweeps: int = 1,
        scene_sweeps: int | None = None,
        label_folder: str | None = None,
    ) -> None:
        if sweeps < 1 or (scene_sweeps is not None and scene_sweeps < 1):
            raise DatasetError(f"{root}: 'sweeps' and 'scene_sweeps' must be at least 1")
        self.ontology = load_ontology("semantic_kitti_moving" if moving else "semantic_kitti")
        self._cameras, self._sweeps = cameras, sweeps
        self._read_labels, self._label_folder = labels, label_folder
        names = _choose_sequences(Path(root) / "sequences", sequences, split)
        self._index = []
        self.sample_ids = []
        for sequence in [self._open(Path(root) / "sequences" / name) for name in names]:
            for number, stem in enumerate(sequence.stems):
                scene = sequence.folder.name
                if scene_sweeps is not None:
                    scene = f"{scene}_{number // scene_sweeps:03d}"
                self._index.append((sequence, number, scene))
                self.sample_ids.append(f"{scene}/{stem}")

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int) -> Sample:
        """Reads one sample.

        Raises:
            DatasetError: one of its files is missing, cut short or of another length.
        """
        sequence, last, scene = self._index[index]
        first = max(0, last + 1 - self._sweeps)
        stems = sequence.stems[first : last + 1][::-1]
        sweeps = [self._read(sequence, stem) for stem in stems]
        cloud, labels, _ = sweeps[0]
        poses = [_pose(sequence, stem) for stem in stems]
        if self._sweeps > 1:
            parts = [
                (cloud, pose, labels)
                for (cloud, labels, _), pose in zip(sweeps, poses, strict=True)
                if pose is not None  # which no sequence lacks here
            ]
            cloud, labels = accumulate_sweeps(parts)
        files = [path for _, _, paths in sweeps for path in paths]
        files += [sequence.folder / name for name in ("calib.txt", "poses.txt", "times.txt")]
        return Sample(
            self.sample_ids[index],
            scene,
            cloud,
            _images(sequence, stems[0], cloud.stamp),
            poses[0],
            labels,
            files=tuple(files),
        )

    def _read(
        self, sequence: _Sequence, stem: str
    ) -> tuple[PointCloud, NDArray[np.uint8] | None, list[Path]]:
        """Reads one sweep and its labels, and tells the files that they are in."""
        path = sequence.folder / "velodyne" / f"{stem}.bin"
        cloud = read_sweep(path, _stamp(sequence, int(stem)))
        if sequence.labels is None:
            return cloud, None, [path]
        label_path = sequence.labels / f"{stem}.label"
        raw = read_raw_labels(label_path, len(cloud))
        return cloud, self.ontology.labels_from_raw(raw, str(label_path)), [path, label_path]

    def _open(self, folder: Path) -> _Sequence:
        if not folder.is_dir():
            there = ", ".join(subfolders(folder.parent)) or "none"
            raise DatasetError(f"{folder}: no such sequence; there are: {there}")
        path = folder / "calib.txt"
        entries = read_calibration(path)
        Tr = calibration_entry(entries, "Tr", (3, 4), path)
        names = subfolders(folder, "image_[0-3]") if self._cameras is None else self._cameras
        keys = {name: f"P{name.removeprefix('image_')}" for name in names}
        poses = _read_table(folder / "poses.txt", 12)
        if poses is None and self._sweeps > 1:
            raise DatasetError(
                f"{folder / 'poses.txt'}: no such file, which 'sweeps={self._sweeps}' joins sweeps "
                "by; copy it there, leave the sequence out, or use 'sweeps=1'"
            )
        return _Sequence(
            folder,
            numbered_stems(folder / "velodyne", ".bin"),
            {name: projection_entry(entries, key, path) for name, key in keys.items()},
            rigid_transform(Tr[:, :3], Tr[:, 3], f"{path}: 'Tr'"),
            poses,
            _read_table(folder / "times.txt", 1),
            self._find_labels(folder),
        )

    def _find_labels(self, sequence: Path) -> Path | None:
        if not self._read_labels:
            return None
        folder = sequence / (self._label_folder or "labels")
        if folder.is_dir():
            return folder
        if self._label_folder is None:
            return None
        raise DatasetError(
            f"{folder}: no such folder of labels; correct 'label_folder', or leave the sequence out"
        )


def _choose_sequences(folder: Path, sequences: list[str] | None, split: str | None) -> list[str]:
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder; root must hold 'sequences'")
    if split is None:
        return subfolders(folder) if sequences is None else list(dict.fromkeys(sequences))
    if sequences is not None:
        raise DatasetError(f"{folder}: give either 'split' or 'sequences', not both")
    if split not in SPLITS:
        raise DatasetError(f"{folder}: no split '{split}'; known: {', '.join(SPLITS)}")
    missing = [name for name in SPLITS[split] if not (folder / name).is_dir()]
    if missing:
        raise DatasetError(
            f"{folder}: split '{split}' lacks {', '.join(missing)}; copy them there, or name those "
            "to use with 'sequences'"
        )
    return list(SPLITS[split])


def _stamp(sequence: _Sequence, number: int) -> int:
    if sequence.times is None:
        return number * SWEEP_PERIOD_NS
    return round(float(_row(sequence.times, number, sequence.folder / "times.txt")[0]) * 1e9)


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


def _pose(sequence: _Sequence, stem: str) -> Matrix | None:
    number = int(stem)
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
