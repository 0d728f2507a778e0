"""The cameras of a bag: their nearest images to a cloud, and where they were."""

import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Connection

from wsss_perception.bag.reader import Bag, Message
from wsss_perception.calibration import CameraCalibration, read_calibration
from wsss_perception.errors import GeometryError, MessageError
from wsss_perception.frame import PointCloud, View
from wsss_perception.geometry import Camera, Matrix, TransformTree
from wsss_perception.messages import camera_info, image, transform
from wsss_perception.messages.common import stamp_to_ns

TOLERANCE_NS = 50_000_000
"""Farthest an image's stamp may be from the cloud's."""

_FIXED_FRAMES = ("odom", "map", "world")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Camera:
    """A camera of the bag.

    Attributes:
        name: the namespace of its topics.
        images: the topic of its images.
        camera: intrinsics of the images.
        frame_id: optical frame, to look up in TF.
        rectification: [4, 4], from the optical frame to that of the images.
        T_camera_lidar: extrinsics of the calibration file; None for those of TF.
        times: int64 [images, 2], stamp and receive time of each image in nanoseconds.
    """

    name: str
    images: Connection
    camera: Camera
    frame_id: str
    rectification: Matrix
    T_camera_lidar: Matrix | None
    times: NDArray[np.int64]


class BagCameras:
    """Finds, for a cloud of a bag, the views of the bag's cameras.

    A camera is a topic of Image or CompressedImage with a ``camera_info`` beside it, or one that
    the calibration file names by its namespace. Extrinsics are those of the calibration file,
    otherwise of /tf and /tf_static, with the ego-motion between image and cloud where a fixed
    frame (odom, map or world) is known. What cannot be placed is left out, with one warning.

    Args:
        bag: the open bag, which must stay open and be used for nothing else.
        calibration: path of a calibration file; None for TF alone.

    Raises:
        ConfigError: the calibration file cannot be used.
    """

    def __init__(self, bag: Bag, calibration: str | Path | None = None) -> None:
        self._bag = bag
        self._warned: set[str] = set()
        given = {} if calibration is None else read_calibration(calibration)
        found = [self._open(images, given) for images in _image_topics(bag).values()]
        self._cameras = [camera for camera in found if camera is not None]
        names = {camera.name for camera in self._cameras}
        for name in given:
            if not any(_is_named(camera, name) for camera in names):
                self._warn(name, "the calibration file names it, but the bag has no images of it")
        self._tree = _read_transforms(bag) if self._cameras else TransformTree()

    def views(self, cloud: PointCloud) -> tuple[View, ...]:
        """Returns the views of a cloud: of each camera the nearest image within TOLERANCE_NS."""
        found = (self._view(camera, cloud) for camera in self._cameras)
        return tuple(view for view in found if view is not None)

    def _open(self, images: Connection, given: dict[str, CameraCalibration]) -> _Camera | None:
        name = _namespace(images).lstrip("/")
        times = _image_times(self._bag, images)
        match = next((entry for key, entry in given.items() if _is_named(name, key)), None)
        if match is not None:
            place = match.T_camera_lidar
            return _Camera(name, images, match.camera, "", np.eye(4), place, times)
        infos = self._bag.on_topic(f"{_namespace(images)}/camera_info")
        message = next(self._bag.messages(infos), None)
        if message is None:
            self._warn(name, "no camera_info beside its images, and no calibration file names it")
            return None
        is_rectified = "/image_rect" in images.topic
        try:
            info = self._bag.deserialize(message)
            turn = camera_info.rectification(info) if is_rectified else np.eye(4)
            camera = camera_info.decode(info, is_rectified)
        except MessageError as error:
            self._warn(name, str(error))
            return None
        frame = info.header.frame_id.lstrip("/")
        return _Camera(name, images, camera, frame, turn, None, times)

    def _view(self, camera: _Camera, cloud: PointCloud) -> View | None:
        distances = np.abs(camera.times[:, 0] - cloud.stamp)
        if not distances.size or distances.min() > TOLERANCE_NS:
            return None
        stamp, received = camera.times[distances.argmin()].tolist()
        try:
            pose = self._pose(camera, stamp, cloud)
            pixels = self._pixels(camera.images, stamp, received)
        except (MessageError, GeometryError) as error:
            self._warn(camera.name, str(error))
            return None
        intrinsics = camera.camera
        if pixels.shape[:2] != (intrinsics.height, intrinsics.width):
            size = f"{pixels.shape[1]} x {pixels.shape[0]}"
            expected = f"{intrinsics.width} x {intrinsics.height}"
            self._warn(camera.name, f"its images are {size}, its calibration is for {expected}")
            return None
        return View(camera.name, intrinsics, pose, pixels, stamp)

    def _pixels(self, images: Connection, stamp: int, received: int) -> NDArray[np.uint8]:
        for message in self._bag.messages([images], received, received + 1):
            candidate = self._bag.deserialize(message)
            if stamp_to_ns(candidate.header.stamp) == stamp:
                return image.decode(candidate)
        raise MessageError(f"{images.topic}: the image of {stamp} ns cannot be read again")

    def _pose(self, camera: _Camera, stamp: int, cloud: PointCloud) -> Matrix:
        """Returns T_camera_lidar at the two stamps."""
        if camera.T_camera_lidar is not None:
            return camera.T_camera_lidar
        tree, lidar = self._tree, cloud.frame_id.lstrip("/")
        fixed = next((frame for frame in _FIXED_FRAMES if frame in tree.frames), None)
        pose = None
        with suppress(GeometryError):  # at the ends of a log the motion is not known
            if fixed is not None:
                pose = tree.lookup_between(camera.frame_id, stamp, lidar, cloud.stamp, fixed)
        if pose is None:
            pose = tree.lookup(camera.frame_id, lidar, cloud.stamp)
        return camera.rectification @ pose

    def _warn(self, camera: str, reason: str) -> None:
        if camera not in self._warned:
            self._warned.add(camera)
            _log.warning("camera '%s' is left out: %s", camera, reason)


def _image_topics(bag: Bag) -> dict[str, Connection]:
    """Returns one topic of images for each namespace, raw ones before compressed ones."""
    connections = [
        *sorted(bag.of_type("sensor_msgs/msg/Image"), key=lambda c: c.topic),
        *sorted(bag.of_type("sensor_msgs/msg/CompressedImage"), key=lambda c: c.topic),
    ]
    topics: dict[str, Connection] = {}
    for connection in connections:
        if "depth" not in connection.topic.lower():
            topics.setdefault(_namespace(connection), connection)
    return topics


def _namespace(images: Connection) -> str:
    parent, _, name = images.topic.rpartition("/")
    if name == "compressed" and parent.rpartition("/")[2].startswith("image"):
        return parent.rpartition("/")[0]  # image_transport publishes <image topic>/compressed
    return parent


def _is_named(camera: str, name: str) -> bool:
    """Whether a calibration file's name means a camera: all of its namespace, or the last part."""
    return name.strip("/") in (camera, camera.rpartition("/")[2])


def _image_times(bag: Bag, images: Connection) -> NDArray[np.int64]:
    """Returns stamp and receive time of all images of a topic, int64 [images, 2]."""
    times = []
    for message in bag.messages([images]):
        with suppress(MessageError):  # a damaged image is one image less
            times.append((stamp_to_ns(bag.deserialize(message).header.stamp), message.received))
    return np.array(times, dtype=np.int64).reshape(-1, 2)


def _read_transforms(bag: Bag) -> TransformTree:
    tree = TransformTree()
    for topic, is_static in (("/tf_static", True), ("/tf", False)):
        for message in bag.messages(bag.on_topic(topic)):
            _add(tree, bag, message, is_static)
    return tree


def _add(tree: TransformTree, bag: Bag, message: Message, is_static: bool) -> None:
    try:
        transform.add_to_tree(tree, bag.deserialize(message), is_static)
    except (GeometryError, MessageError) as error:
        _log.warning("%s: %s", message.connection.topic, error)
