"""The node's cameras: their images and calibration, and the views of a cloud they make."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from wsss_perception.calibration import read_calibration
from wsss_perception.camera_topics import (
    camera_namespace,
    is_compressed,
    match_names,
    relative_names,
)
from wsss_perception.errors import ConfigError, GeometryError, MessageError
from wsss_perception.frame import View
from wsss_perception.messages import image
from wsss_perception.ros.extrinsics import Extrinsics, Lookup
from wsss_perception.ros.live_camera import LiveCamera, check_size
from wsss_perception.ros.subscription import SensorSubscription

_DEPTH = 5  # images of a camera that may wait for their callback


class LiveCameras:
    """The node's cameras.

    Args:
        image_topics: full name of each camera's image topic.
        calibration_file: path of a calibration file; empty for none.
        warn: told why a camera is left out of a cloud, and what the calibration file has in vain.
        namespace: of the node: the cameras' names are relative to it.

    Raises:
        ConfigError: two topics are of one camera, or the calibration file cannot be used.
    """

    def __init__(
        self,
        image_topics: Sequence[str],
        calibration_file: str | Path,
        warn: Callable[[str], None],
        namespace: str = "/",
    ) -> None:
        given = read_calibration(calibration_file) if calibration_file else {}
        self._warn = warn
        topics: dict[str, str] = {}
        for topic in image_topics:
            camera = camera_namespace(topic).lstrip("/")
            if not camera or camera in topics:
                other = topics.get(camera, "its namespace is empty")
                raise ConfigError(
                    f"parameter 'image_topics': {topic} needs a namespace of its own, which names "
                    f"the camera and holds its camera_info ({other})"
                )
            topics[camera] = topic
        matches, names = match_names(topics, given), relative_names(topics, namespace)
        self._cameras: dict[str, LiveCamera] = {}
        for camera, topic in topics.items():
            calibration = given[matches[camera]] if camera in matches else None
            self._cameras[names[camera]] = LiveCamera(topic, calibration, names[camera])
        for key in given:
            if topics and key not in matches.values():
                warn(
                    f"{calibration_file}: camera '{key}' is none of 'image_topics', which are of "
                    f"{', '.join(topics)}"
                )

    @property
    def names(self) -> list[str]:
        """Names of the cameras."""
        return list(self._cameras)

    @property
    def need_transforms(self) -> bool:
        """Whether a camera is placed by TF."""
        return not all(camera.calibrated for camera in self._cameras.values())

    def camera(self, name: str) -> LiveCamera:
        """Returns a camera by its name."""
        return self._cameras[name]

    def subscribe(
        self,
        node: Node,
        group: CallbackGroup,
        on_image: Callable[[str, Any], None],
    ) -> list[Callable[[], object]]:
        """Subscribes to all images and CameraInfos.

        Args:
            node: that subscribes.
            group: callback group of the CameraInfos.
            on_image: told the camera's name and each of its messages.

        Returns:
            What undoes it.
        """
        undo: list[Callable[[], object]] = []
        for camera in self._cameras.values():
            cls = CompressedImage if is_compressed(camera.image_topic) else Image

            def arrive(message: Any, camera: LiveCamera = camera) -> None:
                camera.note_image(message)
                on_image(camera.name, message)

            images = SensorSubscription(node, cls, camera.image_topic, arrive, _DEPTH)
            undo.append(images.close)
            if not camera.calibrated:
                undo += _subscribe_to_info(node, group, camera)
        return undo

    def lookups(
        self, stamps: Mapping[str, int], live: Collection[str], cloud_stamp: int, cloud_frame: str
    ) -> list[Lookup]:
        """Lists what ``views`` will ask TF for; see there."""
        return [
            (camera.frame, stamps.get(name, cloud_stamp), cloud_frame, cloud_stamp)
            for name, camera in self._cameras.items()
            if camera.frame is not None and (name in live or camera.sends_info)
        ]

    def views(
        self,
        stamps: Mapping[str, int],
        live: Collection[str],
        cloud_stamp: int,
        cloud_frame: str,
        extrinsics: Extrinsics | None,
    ) -> tuple[tuple[View, ...], dict[str, str]]:
        """Makes the views of a cloud; a camera that has none is left out, and warned of.

        Args:
            stamps: of the image of each camera that has one, nanoseconds; without one a camera is
                placed at the cloud's stamp.
            live: names of the cameras that send images.
            cloud_stamp: of the cloud, nanoseconds.
            cloud_frame: of the cloud.
            extrinsics: by TF; None where there is no TF.

        Returns:
            The views, without pixels, and why each of the other cameras has none.
        """
        views: list[View] = []
        unused: dict[str, str] = {}
        for name, camera in self._cameras.items():
            try:
                if name not in live and not camera.sends_info:
                    raise MessageError(f"no image on {camera.image_topic}")
                stamp = stamps.get(name, cloud_stamp)
                views.append(camera.view(stamp, cloud_stamp, cloud_frame, extrinsics))
            except (GeometryError, MessageError) as error:
                unused[name] = str(error)
                self._warn(f"camera '{name}' is left out: {error}")
        return tuple(views), unused

    def with_pixels(self, view: View, message: Any) -> View | None:
        """Adds the pixels of an Image or CompressedImage; None, and a warning, if damaged."""
        try:
            pixels = image.decode(message)
            check_size(view.camera, pixels.shape[1], pixels.shape[0])
        except MessageError as error:
            self._warn(f"camera '{view.name}': an image is left out: {error}")
            return None
        return replace(view, image=pixels)


def _subscribe_to_info(
    node: Node, group: CallbackGroup, camera: LiveCamera
) -> list[Callable[[], object]]:
    """Subscribes to CameraInfo that is sent again and again, and to that sent once and kept."""
    kept = DurabilityPolicy.TRANSIENT_LOCAL
    subscriptions = [
        node.create_subscription(
            CameraInfo,
            camera.info_topic,
            camera.set_info,
            qos,
            callback_group=group,
            # no warning of a publisher that one of the two cannot hear: the other one does
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        )
        for qos in (
            QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT),
            QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=kept),
        )
    ]
    return [partial(node.destroy_subscription, each) for each in subscriptions]
