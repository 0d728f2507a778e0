"""The node's cameras: their images and calibration, and the views of a cloud they make."""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from wsss_perception.calibration import CameraCalibration, read_calibration
from wsss_perception.camera_topics import camera_namespace, is_compressed, is_named, is_rectified
from wsss_perception.errors import ConfigError, GeometryError, MessageError
from wsss_perception.frame import View
from wsss_perception.geometry import Camera, Matrix
from wsss_perception.messages import camera_info, image
from wsss_perception.ros.extrinsics import Extrinsics
from wsss_perception.ros.subscription import SensorSubscription

_DEPTH = 5  # images of a camera that may wait for their callback
_NO_PIXELS = np.zeros((0, 0, 3), dtype=np.uint8)


class LiveCamera:
    """What is known of a camera: from the calibration file, or from its latest CameraInfo.

    Args:
        image_topic: its full name.
        calibration: of the file; None to take CameraInfo and TF.

    Attributes:
        name: the namespace of its topics, without the leading slash.
        image_topic: its full name.
        info_topic: of its CameraInfo.
        calibrated: whether the calibration file says it all.
    """

    def __init__(self, image_topic: str, calibration: CameraCalibration | None) -> None:
        namespace = camera_namespace(image_topic)
        self.name = namespace.lstrip("/")
        self.image_topic = image_topic
        self.info_topic = f"{namespace}/camera_info"
        self.calibrated = calibration is not None
        self._calibration = calibration
        self._lock = threading.Lock()
        self._info: Any = None
        self._model: tuple[Camera, Matrix, str] | None = None
        self._problem = f"no message on {self.info_topic}, and no calibration file names it"

    def set_info(self, message: Any) -> None:
        """Takes over a CameraInfo; one that cannot be used is told by ``view``."""
        is_rectified_image = is_rectified(self.image_topic)
        with self._lock:
            if self._info is not None and _same_calibration(message, self._info):
                return
            self._info = message
            try:
                model = camera_info.decode(message, is_rectified_image)
                turn = camera_info.rectification(message) if is_rectified_image else np.eye(4)
            except MessageError as error:
                self._model, self._problem = None, str(error)
            else:
                self._model = model, turn, message.header.frame_id

    def view(
        self,
        stamp: int,
        message: Any,
        cloud_stamp: int,
        cloud_frame: str,
        extrinsics: Extrinsics | None,
        with_pixels: bool,
    ) -> View:
        """Makes the view of an image.

        Args:
            stamp: of the image, nanoseconds.
            message: the Image or CompressedImage.
            cloud_stamp: of the cloud, nanoseconds.
            cloud_frame: of the cloud.
            extrinsics: by TF; None where there is no TF.
            with_pixels: whether to decode the image; its pixels are [0, 0, 3] otherwise.

        Raises:
            MessageError: no CameraInfo that can be used, a damaged image, or one of another size.
            GeometryError: TF does not connect the camera to the LiDAR.
        """
        if self._calibration is not None:
            camera, pose = self._calibration.camera, self._calibration.T_camera_lidar
        else:
            with self._lock:
                model, problem = self._model, self._problem
            if model is None:
                raise MessageError(problem)
            if extrinsics is None:
                raise GeometryError("tf2_msgs is not installed; give a calibration file")
            camera, turn, frame = model
            pose = turn @ extrinsics.between(frame, stamp, cloud_frame, cloud_stamp)
        pixels = _NO_PIXELS
        if with_pixels:
            pixels = image.decode(message)
            _check_size(camera, pixels.shape[1], pixels.shape[0])
        elif hasattr(message, "width"):
            _check_size(camera, int(message.width), int(message.height))
        return View(self.name, camera, pose, pixels, stamp)


class LiveCameras:
    """The node's cameras.

    Args:
        image_topics: full name of each camera's image topic.
        calibration_file: path of a calibration file; empty for none.
        warn: told why a camera is left out of a cloud, and what the calibration file has in vain.

    Raises:
        ConfigError: two topics are of one camera, or the calibration file cannot be used.
    """

    def __init__(
        self,
        image_topics: Sequence[str],
        calibration_file: str | Path,
        warn: Callable[[str], None],
    ) -> None:
        given = read_calibration(calibration_file) if calibration_file else {}
        self._warn = warn
        self._cameras: dict[str, LiveCamera] = {}
        for topic in image_topics:
            name = camera_namespace(topic).lstrip("/")
            match = next((entry for key, entry in given.items() if is_named(name, key)), None)
            if not name or name in self._cameras:
                other = self._cameras[name].image_topic if name else "its namespace is empty"
                raise ConfigError(
                    f"parameter 'image_topics': {topic} needs a namespace of its own, which names "
                    f"the camera and holds its camera_info ({other})"
                )
            self._cameras[name] = LiveCamera(topic, match)
        for key in given:
            if image_topics and not any(is_named(name, key) for name in self._cameras):
                warn(
                    f"{calibration_file}: camera '{key}' is none of 'image_topics', which are of "
                    f"{', '.join(self._cameras)}"
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

            def arrive(message: Any, name: str = camera.name) -> None:
                on_image(name, message)

            images = SensorSubscription(node, cls, camera.image_topic, arrive, _DEPTH)
            undo.append(images.close)
            if not camera.calibrated:
                info = node.create_subscription(
                    CameraInfo,
                    camera.info_topic,
                    camera.set_info,
                    QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT),
                    callback_group=group,
                )
                undo.append(partial(node.destroy_subscription, info))
        return undo

    def views(
        self,
        images: Mapping[str, tuple[int, Any]],
        cloud_stamp: int,
        cloud_frame: str,
        extrinsics: Extrinsics | None,
        with_pixels: Collection[str],
    ) -> tuple[View, ...]:
        """Makes the views of a cloud; a camera that has none is left out, and warned of.

        Args:
            images: stamp in nanoseconds and message of each camera that has an image.
            cloud_stamp: of the cloud, nanoseconds.
            cloud_frame: of the cloud.
            extrinsics: by TF; None where there is no TF.
            with_pixels: names of the cameras whose images are to be decoded.
        """
        views = []
        for name, (stamp, message) in images.items():
            try:
                view = self._cameras[name].view(
                    stamp, message, cloud_stamp, cloud_frame, extrinsics, name in with_pixels
                )
            except (GeometryError, MessageError) as error:
                self._warn(f"camera '{name}' is left out: {error}")
            else:
                views.append(view)
        return tuple(views)


def _check_size(camera: Camera, width: int, height: int) -> None:
    if (width, height) != (camera.width, camera.height):
        raise MessageError(
            f"its images are {width} x {height}, its calibration is for "
            f"{camera.width} x {camera.height}"
        )


def _same_calibration(a: Any, b: Any) -> bool:
    """Whether two CameraInfos differ in their stamps alone."""
    numbers = [(*m.k, *m.d, *m.r, *m.p) for m in (a, b)]
    names = ("width", "height", "distortion_model", "binning_x", "binning_y", "roi")
    return (
        numbers[0] == numbers[1]
        and a.header.frame_id == b.header.frame_id
        and all(getattr(a, name) == getattr(b, name) for name in names)
    )
