"""A scene while the messages that belong to it pass by."""

from pathlib import Path
from typing import Any

from wsss_perception.bag import NearestImage
from wsss_perception.messages import point_cloud2
from wsss_perception.messages.common import stamp_to_ns
from wsss_training.recording.bag_plan import BagPlan, PlannedScene
from wsss_training.recording.files import SceneWriter
from wsss_training.recording.images import encode_image
from wsss_training.recording.scene import Scene, SceneImage, Sweep


class OpenScene:
    """Writes a scene, message by message, in any order.

    Args:
        planned: the scene.
        plan: of its bag.
        root: folder of the recording.

    Attributes:
        name: of the scene.
        writer: of its files.
        awaited: stamps of the messages still to come, by topic and receive time.
    """

    def __init__(self, planned: PlannedScene, plan: BagPlan, root: Path) -> None:
        self.name = planned.name
        self.writer = SceneWriter(root, planned.name)
        self._plan = plan
        self._sweeps = plan.sweeps(planned)
        self._images: dict[tuple[str, int], NearestImage] = {}
        self._files: dict[tuple[str, int], str] = {}
        self._clouds: set[int] = set()
        self.awaited: dict[tuple[str, int], set[int]] = {}
        for sweep in self._sweeps:
            self._await(plan.points, sweep.received, sweep.stamp)
            for image in sweep.images:
                self._await(image.topic, image.received, image.stamp)
                self._images[image.topic, image.stamp] = image

    def write_cloud(self, message: Any, scale: float) -> tuple[int, int]:
        """Writes a cloud; returns how many of its points are valid, and how many are not.

        Raises:
            OSError: it cannot be written.
        """
        cloud = point_cloud2.decode(message, self._plan.channels, scale)
        invalid = self.writer.write_points(cloud)
        self._clouds.add(cloud.stamp)
        return len(cloud) - invalid, invalid

    def write_image(self, message: Any, topic: str) -> str:
        """Writes an image; returns its camera's folder.

        Raises:
            MessageError: it is damaged, or of another size than its calibration.
            OSError: it cannot be written.
        """
        image = self._images[topic, stamp_to_ns(message.header.stamp)]
        content, suffix = encode_image(message, image.decode(message))
        folder, file = self._plan.folders[image.name], f"{image.stamp}{suffix}"
        self.writer.write_image(folder, file, content)
        self._files[topic, image.stamp] = file
        return folder

    def describe(self) -> Scene:
        """Describes what has been written."""
        sweeps = []
        cameras = {}
        for sweep in self._sweeps:
            if sweep.stamp not in self._clouds:
                continue
            images = {}
            for image in sweep.images:
                folder, file = self._plan.folders[image.name], (image.topic, image.stamp)
                if file in self._files:
                    pose = image.T_camera_lidar
                    images[folder] = SceneImage(self._files[file], image.stamp, pose)
                    cameras[folder] = image.camera
            sweeps.append(Sweep(sweep.stamp, sweep.T_world_lidar, images))
        return Scene(self._plan.frame_id, self._plan.channels, cameras, tuple(sweeps))

    def _await(self, topic: str, received: int, stamp: int) -> None:
        self.awaited.setdefault((topic, received), set()).add(stamp)
