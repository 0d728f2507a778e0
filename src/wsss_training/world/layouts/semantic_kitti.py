"""Writes recordings in SemanticKITTI's layout: ``sequences/<name>/{velodyne,labels,...}``."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError
from wsss_perception.geometry import Matrix, invert
from wsss_perception.ontology import load_ontology
from wsss_training.world.layouts.files import (
    OnShot,
    encode_image,
    fresh_folder,
    move,
    numbered_sweeps,
    removed_at_exit,
    write_file,
)
from wsss_training.world.recording import Recording, Shot, Sweep

CAMERAS = ("2", "3", "0", "1")
"""Numbers that KITTI has for cameras, in the order a rig's cameras get them: colour first."""


@dataclass(frozen=True)
class _Calibration:
    """What ``calib.txt`` says.

    Attributes:
        T_reference_lidar: [4, 4]; the reference is the rig's first camera.
        projections: P [3, 4] of each camera, from the reference camera's frame to its pixels.
    """

    T_reference_lidar: Matrix
    projections: tuple[NDArray[np.float64], ...]

    def agrees_with(self, other: "_Calibration") -> bool:
        """Whether another is the same but for rounding."""
        matrices = (self.T_reference_lidar, *self.projections)
        others = (other.T_reference_lidar, *other.projections)
        return len(matrices) == len(others) and all(map(np.allclose, matrices, others))


class SemanticKittiWriter:
    """Writes one sequence a recording, to be read by ``data.semantic_kitti``.

    The layout has one stamp a sweep and one calibration a sequence: images must be taken at their
    sweep's stamp, by one to four cameras that look the same way (KITTI's are rectified), which
    become ``image_2``, ``image_3``, ``image_0`` and ``image_1``. Times and poses count from the
    first sweep. The channel ``ring`` has no place in it.

    A sequence is written in a hidden folder of ``root`` and renamed when it is whole. One that is
    there already stays as it is and its recording is not run, so that an interrupted generation
    goes on where it was when it is started again.

    Args:
        root: the folder that gets ``sequences``.
        on_shot: told of every image that is written.
    """

    def __init__(self, root: str | Path, on_shot: OnShot | None = None) -> None:
        self._root, self._on_shot = Path(root), on_shot
        self._ontology = load_ontology("semantic_kitti")

    def __enter__(self) -> "SemanticKittiWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing is left to do: every sequence is finished when ``add`` returns."""

    def add(self, recording: Recording) -> bool:
        """Writes a recording.

        Returns:
            Whether it was written; False where its sequence was there already.

        Raises:
            DatasetError: the layout cannot hold the recording, a sequence of its name has
                another length, or a file cannot be written. Then nothing of it is left.
        """
        folder = self._root / "sequences" / recording.name
        if folder.exists():
            there = len(list((folder / "velodyne").glob("*.bin")))
            if there != recording.count:
                raise DatasetError(
                    f"{folder}: holds {there} sweeps where the recording has {recording.count}; "
                    "remove it or choose another folder"
                )
            return False
        # not below sequences: readers take every folder there for a sequence
        scratch = self._root / f".{recording.name}.part"
        fresh_folder(scratch)
        with removed_at_exit(scratch):
            self._write(scratch, recording)
            move(scratch, folder)
        return True

    def _write(self, folder: Path, recording: Recording) -> None:
        calibration: _Calibration | None = None
        stamps, poses = [], []
        for number, sweep in numbered_sweeps(recording):
            where = f"recording '{recording.name}', sweep {number}"
            _check_layout(sweep, where)
            found = _calibrate(sweep.shots, sweep.T_ego_lidar, where)
            if not (calibration := calibration or found).agrees_with(found):
                raise DatasetError(
                    f"{where}: calibration differs from the first sweep's; SemanticKITTI has one "
                    "a sequence"
                )
            self._write_sweep(folder, recording.name, number, sweep)
            stamps.append(sweep.cloud.stamp)
            poses.append(sweep.T_world_ego @ sweep.T_ego_lidar)
        if calibration is None:
            raise DatasetError(f"recording '{recording.name}': has no sweeps")
        write_file(folder / "calib.txt", _calibration_text(calibration))
        write_file(folder / "poses.txt", _poses_text(poses, calibration.T_reference_lidar))
        write_file(folder / "times.txt", _times_text(stamps))

    def _write_sweep(self, folder: Path, name: str, number: int, sweep: Sweep) -> None:
        stem = f"{number:06d}"
        points = np.column_stack([sweep.cloud.xyz, sweep.cloud.channels["intensity"]])
        write_file(folder / "velodyne" / f"{stem}.bin", points.astype("<f4").tobytes())
        raw = self._ontology.raw_from_labels(sweep.labels).astype("<u4")
        raw |= sweep.instances.astype("<u4") << 16
        write_file(folder / "labels" / f"{stem}.label", raw.tobytes())
        for camera, shot in zip(CAMERAS, sweep.shots, strict=False):
            image = Path(f"image_{camera}") / f"{stem}.png"
            write_file(folder / image, encode_image(shot.pixels, "PNG"))
            if self._on_shot is not None:
                self._on_shot(shot, Path("sequences") / name / image, name, number)


def _check_layout(sweep: Sweep, where: str) -> None:
    if not 1 <= len(sweep.shots) <= len(CAMERAS):
        raise DatasetError(
            f"{where}: {len(sweep.shots)} cameras; SemanticKITTI has 1 to {len(CAMERAS)}: "
            "use the nuScenes layout or another rig"
        )
    for shot in sweep.shots:
        same_pose = np.allclose(shot.T_world_ego, sweep.T_world_ego, atol=1e-9)
        if shot.stamp != sweep.cloud.stamp or not same_pose:
            raise DatasetError(
                f"{where}: camera '{shot.name}' took its image at {shot.stamp} ns, the sweep is "
                f"of {sweep.cloud.stamp} ns; SemanticKITTI has one stamp and pose for both: "
                "record images at the sweep's stamp"
            )
    if len(sweep.instances) and not 0 <= sweep.instances.min() <= sweep.instances.max() < 65536:
        raise DatasetError(f"{where}: instance numbers must be in 0..65535, for 16 bits")


def _calibrate(shots: Iterable[Shot], T_ego_lidar: Matrix, where: str) -> _Calibration:
    """Places cameras relative to the first of them."""
    first, *_ = shots
    projections = []
    for shot in shots:
        T_camera_reference = invert(shot.T_ego_camera) @ first.T_ego_camera
        if not np.allclose(T_camera_reference[:3, :3], np.eye(3), atol=1e-9):
            raise DatasetError(
                f"{where}: camera '{shot.name}' looks another way than '{first.name}'; KITTI's "
                "cameras are parallel: use the nuScenes layout or another rig"
            )
        projections.append(shot.camera.matrix @ np.eye(3, 4) @ T_camera_reference)
    return _Calibration(invert(first.T_ego_camera) @ T_ego_lidar, tuple(projections))


def _calibration_text(calibration: _Calibration) -> str:
    rows = dict(zip([f"P{camera}" for camera in CAMERAS], calibration.projections, strict=False))
    rows["Tr"] = calibration.T_reference_lidar[:3]
    return "".join(f"{key}: {_numbers(rows[key])}\n" for key in sorted(rows))


def _poses_text(poses: list[Matrix], T_reference_lidar: Matrix) -> str:
    """Poses of the reference camera in its first frame, as KITTI has them."""
    T_start_world, T_lidar_reference = invert(poses[0]), invert(T_reference_lidar)
    lines = [
        _numbers((T_reference_lidar @ T_start_world @ pose @ T_lidar_reference)[:3])
        for pose in poses
    ]
    return "\n".join(lines) + "\n"


def _times_text(stamps: list[int]) -> str:
    """Seconds since the first sweep, to the nanosecond."""
    passed = [stamp - stamps[0] for stamp in stamps]
    return "".join(f"{time // 10**9}.{time % 10**9:09d}\n" for time in passed)


def _numbers(matrix: NDArray[np.float64]) -> str:
    return " ".join(f"{value:.17g}" for value in matrix.ravel())
