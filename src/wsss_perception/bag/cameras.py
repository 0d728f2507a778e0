"""The cameras of a bag: their nearest images to a cloud, and where they were."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Connection

from wsss_perception.bag.reader import Bag
from wsss_perception.bag.transforms import BagTransforms
from wsss_perception.calibration import CameraCalibration, read_calibration
from wsss_perception.camera_topics import camera_namespace, is_rectified, match_names
from wsss_perception.errors import GeometryError, MessageError
from wsss_perception.frame import PointCloud, View
from wsss_perception.geometry import Camera, Matrix
from wsss_perception.messages import camera_info, image
from wsss_perception.messages.common import stamp_to_ns
from wsss_perception.progress import tracked

TOLERANCE_NS = 50_000_000
"""Farthest an image's stamp may be from the cloud's."""

_MAX_WARNINGS = 5
_NO_PIXELS = np.zeros((0, 0, 3), dtype=np.uint8)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NearestImage:
    """The image of a camera that goes with a cloud, before it is read.

    Attributes:
        name: of the camera: the namespace of its topics.
        topic: it is on.
        camera: its intrinsics.
        T_camera_lidar: [4, 4], maps points of the cloud to the camera at the image's stamp.
        stamp: nanoseconds.
        received: its receive time, nanoseconds.
    """

    name: str
    topic: str
    camera: Camera
    T_camera_lidar: Matrix
    stamp: int
    received: int

    def decode(self, message: Any) -> NDArray[np.uint8]:
        """Decodes its message to RGB, uint8 [H, W, 3].

        Raises:
            MessageError: it cannot be decoded, or has another size than its calibration.
        """
        pixels = image.decode(message)
        self.check_size(pixels.shape[1], pixels.shape[0])
        return pixels

    def check_size(self, width: int, height: int) -> None:
        """Raises MessageError where its image is not of its calibration's size."""
        if (width, height) != (self.camera.width, self.camera.height):
            expected = f"{self.camera.width} x {self.camera.height}"
            raise MessageError(
                f"its images are {width} x {height}, its calibration is for {expected}"
            )


@dataclass(frozen=True)
class _Camera:
    """A camera of the bag.

    Attributes:
        name: the namespace of its topics.
        topic: of its images.
        camera: intrinsics of the images.
        frame_id: optical frame, to look up in TF.
        rectification: [4, 4], from the optical frame to that of the images.
        T_camera_lidar: extrinsics of the calibration file; None for those of TF.
        times: int64 [images, 2], stamp and receive time of each image in nanoseconds, by stamp.
    """

    name: str
    topic: str
    camera: Camera
    frame_id: str
    rectification: Matrix
    T_camera_lidar: Matrix | None
    times: NDArray[np.int64]


class BagCameras:
    """Finds, for a cloud of a bag, the views of the bag's cameras.

    A camera is a topic of Image or CompressedImage with a ``camera_info`` beside it, or one that
    the calibration file names by its namespace. Extrinsics are those of the calibration file,
    as they are, otherwise of /tf and /tf_static, with the ego-motion between image and cloud where
    a fixed frame is known. What cannot be placed is left out, with one warning.

    Args:
        bag: the open bag, which must stay open and be used for nothing else.
        calibration: path of a calibration file; None for TF alone.
        transforms: of the bag; by default its TF, read only if there is a camera.

    Attributes:
        damaged: images whose bytes are no message of their type.

    Raises:
        ConfigError: the calibration file cannot be used.
    """

    def __init__(
        self,
        bag: Bag,
        calibration: str | Path | None = None,
        transforms: BagTransforms | None = None,
    ) -> None:
        self._bag = bag
        self.damaged = 0
        self._warned: set[str] = set()
        self._sizes: dict[tuple[str, int], tuple[int, int]] = {}  # of raw images: topic, stamp
        given = {} if calibration is None else read_calibration(calibration)
        topics = list(_image_topics(bag).values())
        times = self._image_times([images.topic for images in topics])
        known = [camera_namespace(each.topic).lstrip("/") for each in topics]
        names = match_names(known, given)
        placed = {camera: given[name] for camera, name in names.items()}
        found = [self._open(images, placed, times[images.topic]) for images in topics]
        self._cameras = [camera for camera in found if camera is not None]
        if absent := [name for name in given if name not in names.values()]:
            _log.warning(
                "calibration names '%s', the bag's cameras are %s (a camera is named by its "
                "topic's namespace)",
                "', '".join(absent),
                ", ".join(known) or "none",
            )
        self._transforms = transforms
        if transforms is None and self._cameras:
            self._transforms = BagTransforms(bag)

    @property
    def names(self) -> list[str]:
        """Names of the cameras: the namespaces of their topics."""
        return [camera.name for camera in self._cameras]

    @property
    def topics(self) -> list[str]:
        """Topic of each camera's images."""
        return [camera.topic for camera in self._cameras]

    def nearest(self, stamp: int, frame_id: str) -> tuple[NearestImage, ...]:
        """Finds, of each camera, the image nearest to a cloud, within TOLERANCE_NS.

        Args:
            stamp: of the cloud, nanoseconds.
            frame_id: of the cloud.
        """
        found = (self._nearest(camera, stamp, frame_id) for camera in self._cameras)
        return tuple(entry for entry in found if entry is not None)

    def warn_of_far_images(self, stamps: NDArray[np.int64]) -> None:
        """Warns of each camera that has no image within TOLERANCE_NS of any cloud.

        Args:
            stamps: of the clouds, nanoseconds; at least one.
        """
        for camera in self._cameras:
            if not len(camera.times):
                _log.warning("camera '%s': none of its images can be read", camera.name)
                continue
            distance = _distance(camera.times[:, 0], stamps)
            if distance > TOLERANCE_NS:
                _log.warning(
                    "camera '%s': no image is near enough to a cloud: nearest is %.10g s away, "
                    "limit %d ms; are the clocks the same?",
                    camera.name,
                    round(distance / 1e9, 3),
                    TOLERANCE_NS // 1_000_000,
                )

    def views(self, cloud: PointCloud, pixels: bool = True) -> tuple[View, ...]:
        """Returns the views of a cloud: of each camera the nearest image within TOLERANCE_NS.

        Args:
            cloud: the cloud.
            pixels: whether to decode the images; without, and where one is damaged, a view has no
                pixels ([0, 0, 3]), as the node's.
        """
        found = self.nearest(cloud.stamp, cloud.frame_id)
        views = (self._view(entry, pixels) for entry in found)
        return tuple(view for view in views if view is not None)

    def _open(
        self,
        images: Connection,
        placed: dict[str, CameraCalibration],
        times: NDArray[np.int64],
    ) -> _Camera | None:
        name = camera_namespace(images.topic).lstrip("/")
        match = placed.get(name)
        if match is not None:
            place = match.T_camera_lidar
            return _Camera(name, images.topic, match.camera, "", np.eye(4), place, times)
        return self._of_info(images, name, times)

    def _of_info(self, images: Connection, name: str, times: NDArray[np.int64]) -> _Camera | None:
        """Describes a camera by the first camera_info that can be used."""
        infos = self._bag.on_topic(f"{camera_namespace(images.topic)}/camera_info")
        rectified = is_rectified(images.topic)
        reason = "no camera_info beside its images, and no calibration file names it"
        for number, message in enumerate(self._bag.messages(infos)):
            try:
                info = self._bag.deserialize(message)
                turn = camera_info.rectification(info) if rectified else np.eye(4)
                camera = camera_info.decode(info, rectified)
            except MessageError as error:
                reason = reason if number else str(error)
                continue
            frame = info.header.frame_id.lstrip("/")
            return _Camera(name, images.topic, camera, frame, turn, None, times)
        self._warn(name, reason)
        return None

    def _nearest(self, camera: _Camera, stamp: int, frame_id: str) -> NearestImage | None:
        after = int(np.searchsorted(camera.times[:, 0], stamp))
        around = camera.times[max(after - 1, 0) : after + 1].tolist()
        if not around:
            return None
        taken, received = min(around, key=lambda time: abs(time[0] - stamp))
        if abs(taken - stamp) > TOLERANCE_NS:
            return None
        pose = camera.T_camera_lidar
        if pose is None:
            assert self._transforms is not None
            try:
                motion = self._transforms.between(camera.frame_id, taken, frame_id, stamp)
            except GeometryError as error:
                self._warn(camera.name, str(error))
                return None
            pose = camera.rectification @ motion
        return NearestImage(camera.name, camera.topic, camera.camera, pose, taken, received)

    def _view(self, entry: NearestImage, pixels: bool) -> View | None:
        size = self._sizes.get((entry.topic, entry.stamp))
        try:
            if size is not None:
                entry.check_size(*size)
        except MessageError as error:
            self._warn(entry.name, str(error))
            return None
        view = View(entry.name, entry.camera, entry.T_camera_lidar, _NO_PIXELS, entry.stamp)
        if not pixels:
            return view
        try:
            return replace(view, image=self._pixels(entry))
        except MessageError as error:
            if self._is_new(f"{entry.name}: pixels"):
                _log.warning("camera '%s': an image is left out: %s", entry.name, error)
            return view

    def _pixels(self, entry: NearestImage) -> NDArray[np.uint8]:
        topic, received = self._bag.on_topic(entry.topic), entry.received
        for message in self._bag.messages(topic, received, received + 1):
            candidate = self._bag.deserialize(message)
            if stamp_to_ns(candidate.header.stamp) == entry.stamp:
                return entry.decode(candidate)
        raise MessageError(f"{entry.topic}: the image of {entry.stamp} ns cannot be read again")

    def _image_times(self, topics: Sequence[str]) -> dict[str, NDArray[np.int64]]:
        """Returns stamp and receive time of all images of each topic, int64 [images, 2]."""
        times: dict[str, list[tuple[int, int]]] = {topic: [] for topic in topics}
        connections = [c for topic in topics for c in self._bag.on_topic(topic)]
        total = sum(connection.msgcount for connection in connections)
        for message in tracked(self._bag.messages(connections), "images looked at", total):
            try:
                image_message = self._bag.deserialize(message)
                stamp = stamp_to_ns(image_message.header.stamp)
            except MessageError as error:
                self.damaged += 1
                if self.damaged <= _MAX_WARNINGS:
                    _log.warning("image left out: %s", error)
            else:
                topic = message.connection.topic
                times[topic].append((stamp, message.received))
                if hasattr(image_message, "width"):
                    self._sizes[topic, stamp] = image_message.width, image_message.height
        return {
            topic: np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
            for topic, pairs in times.items()
        }

    def _warn(self, camera: str, reason: str) -> None:
        if self._is_new(camera):
            _log.warning("camera '%s' is left out: %s", camera, reason)

    def _is_new(self, warning: str) -> bool:
        is_new = warning not in self._warned
        self._warned.add(warning)
        return is_new


def _distance(times: NDArray[np.int64], stamps: NDArray[np.int64]) -> int:
    """Returns the least distance between times, sorted, and stamps."""
    after = np.searchsorted(times, stamps)
    around = times[np.clip([after - 1, after], 0, len(times) - 1)]
    return int(np.abs(around - stamps).min())


def _image_topics(bag: Bag) -> dict[str, Connection]:
    """Returns one topic of images for each namespace: with messages, rather raw than compressed."""
    connections = [
        *sorted(bag.of_type("sensor_msgs/msg/Image"), key=lambda c: c.topic),
        *sorted(bag.of_type("sensor_msgs/msg/CompressedImage"), key=lambda c: c.topic),
    ]
    found: dict[str, dict[str, Connection]] = {}
    for connection in connections:
        if connection.msgcount and "depth" not in connection.topic.lower():
            found.setdefault(camera_namespace(connection.topic), {})[connection.topic] = connection
    for name, (chosen, *others) in found.items():
        if others:
            _log.warning(
                "camera '%s': its images are those of %s, not of %s",
                name.lstrip("/"),
                chosen,
                ", ".join(others),
            )
    return {name: next(iter(topics.values())) for name, topics in found.items()}
