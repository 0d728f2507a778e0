"""What to import of a bag: its sweeps, where they were, which images go with them, its scenes."""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsss_perception.bag import Bag, BagCameras, BagTransforms, NearestImage
from wsss_perception.bag.segment import choose_points
from wsss_perception.bag.transforms import FIXED_FRAMES
from wsss_perception.errors import BagError, ConfigError
from wsss_perception.geometry import Matrix
from wsss_training.recording.clouds import scan_clouds
from wsss_training.recording.plan import cut, keep_apart, travelled
from wsss_training.recording.scene import POINTS_FOLDER

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImportSettings:
    """How bags become a recording.

    Attributes:
        points: topic of the clouds; the only one there is if None.
        calibration: calibration file of the cameras; TF if None.
        intensity_scale: factor that brings the intensities to 0..1.
        scene_seconds: scenes are shorter than this.
        scene_metres: if not None, scenes are cut by the distance travelled instead.
        min_interval: seconds between kept sweeps at least; 0 keeps all.
    """

    points: str | None = None
    calibration: str | Path | None = None
    intensity_scale: float = 1.0
    scene_seconds: float = 20.0
    scene_metres: float | None = None
    min_interval: float = 0.0


@dataclass(frozen=True)
class PlannedSweep:
    """A sweep to import; times are in nanoseconds.

    Attributes:
        stamp: of its cloud.
        received: receive time of its cloud.
        T_world_lidar: pose; None if unknown.
        images: that go with it.
    """

    stamp: int
    received: int
    T_world_lidar: Matrix | None
    images: tuple[NearestImage, ...]


@dataclass(frozen=True)
class PlannedScene:
    """A scene to import.

    Attributes:
        name: of its folder.
        clouds: int64 [N, 2], stamp and receive time of its clouds, by stamp.
        first: earliest receive time of its messages.
    """

    name: str
    clouds: NDArray[np.int64]
    first: int


class BagPlan:
    """What is to be imported of a bag. It keeps stamps and transforms, no points or pixels.

    Args:
        bag: the open bag, which is read through for stamps and transforms.
        name: of the bag, from which its scenes have theirs.
        settings: how to import.

    Attributes:
        points: topic of the clouds.
        frame_id: LiDAR frame.
        channels: of the clouds, with their numbers of columns.
        damaged_clouds: clouds that cannot be used.
        empty_clouds: others that have no finite point.
        damaged_images: images that cannot even be deserialized.
        scenes: to import.
        folders: of the cameras' images, by camera.

    Raises:
        BagError: the bag has no usable cloud, or no poses to cut it by.
        ConfigError: the calibration file cannot be used.
    """

    def __init__(self, bag: Bag, name: str, settings: ImportSettings) -> None:
        self.points = choose_points(bag, settings.points).topic
        clouds = scan_clouds(bag, self.points)
        self.frame_id, self.channels = clouds.frame_id, clouds.channels
        self.damaged_clouds, self.empty_clouds = clouds.damaged, clouds.empty
        self._transforms = BagTransforms(bag)
        stamps = clouds.times[:, 0]
        self._odometry = self._transforms.add_odometry(bag, self.frame_id, stamps.tolist())
        self._calibration_file = settings.calibration
        self._calibration = calibration_digest(settings.calibration)
        self._cameras = BagCameras(bag, settings.calibration, self._transforms)
        self.damaged_images = self._cameras.damaged
        self.folders = _camera_folders(bag, self._cameras.names)
        self._warn_of_missing_poses(bag, stamps)
        kept = clouds.times[keep_apart(stamps, round(settings.min_interval * 1e9))]
        parts = self._cut(bag, kept, settings)
        self.scenes = [self._scene(f"{name}_{k:03d}", kept[part]) for k, part in enumerate(parts)]
        self._cameras.warn_of_far_images(kept[:, 0])
        if not self.folders:
            _log.warning("%s: no camera can be used, so no 2D teacher can label it", bag.path)

    def sweeps(self, scene: PlannedScene) -> list[PlannedSweep]:
        """Returns the sweeps of a scene, by stamp."""
        return [
            PlannedSweep(
                stamp,
                received,
                self._transforms.pose(self.frame_id, stamp),
                self._cameras.nearest(stamp, self.frame_id),
            )
            for stamp, received in scene.clouds.tolist()
        ]

    def topics(self) -> list[str]:
        """Returns the topics to read."""
        return [self.points, *self._cameras.topics]

    def description(self) -> dict[str, Any]:
        """Returns what recording.yaml says of the bag."""
        fixed, file = self._transforms.fixed, self._calibration_file
        return {
            "points": self.points,
            "calibration": self._calibration,
            "calibration_file": file and str(Path(file).absolute()),
            "channels": self.channels,
            "cameras": dict(zip(self.folders.values(), self._cameras.topics, strict=True)),
            "poses": self._odometry or (fixed and f"/tf, in '{fixed}'"),
        }

    def _warn_of_missing_poses(self, bag: Bag, stamps: NDArray[np.int64]) -> None:
        if any(self._transforms.pose(self.frame_id, stamp) is not None for stamp in stamps):
            return
        _log.warning(
            "%s: no poses, nor the motion between cloud and image: TF does not place '%s' in %s "
            "at the clouds' stamps; its frames: %s",
            bag.path,
            self.frame_id,
            " or ".join(FIXED_FRAMES),
            ", ".join(sorted(self._transforms.tree.frames)) or "none",
        )

    def _cut(self, bag: Bag, clouds: NDArray[np.int64], settings: ImportSettings) -> list[slice]:
        if settings.scene_metres is None:
            return cut(clouds[:, 0], round(settings.scene_seconds * 1e9))
        poses = (self._transforms.pose(self.frame_id, stamp) for stamp in clouds[:, 0].tolist())
        distances = travelled([None if pose is None else pose[:3, 3] for pose in poses])
        if distances is None:
            raise BagError(
                f"{bag.path}: no poses of '{self.frame_id}' to cut scenes by distance with: /tf "
                "does not connect it to odom, map or world, and no Odometry helps; cut by time "
                "with --scene-seconds"
            )
        return cut(distances, settings.scene_metres)

    def _scene(self, name: str, clouds: NDArray[np.int64]) -> PlannedScene:
        scene = PlannedScene(name, clouds, int(clouds[:, 1].min()))
        images = [image for sweep in self.sweeps(scene) for image in sweep.images]
        return PlannedScene(name, clouds, min([scene.first, *(i.received for i in images)]))


def calibration_digest(path: str | Path | None) -> str | None:
    """Returns what tells a calibration file from others.

    Raises:
        ConfigError: it cannot be read.
    """
    if path is None:
        return None
    try:
        return f"sha256 {hashlib.sha256(Path(path).read_bytes()).hexdigest()}"
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def _camera_folders(bag: Bag, cameras: list[str]) -> dict[str, str]:
    """Returns a folder's name for each camera; ROS names have no '-'."""
    folders = {name: name.replace("/", "-") or "camera" for name in cameras}
    names = list(folders.values())
    if len(set(names)) < len(names) or POINTS_FOLDER in names:
        raise BagError(
            f"{bag.path}: cameras {', '.join(names)} need folders of different names, and not "
            f"'{POINTS_FOLDER}'; remap a topic"
        )
    return folders
