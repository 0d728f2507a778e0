"""Where the frames of a bag are over time: by /tf and /tf_static, or by its odometry."""

import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import numpy as np

from wsss_perception.bag.reader import Bag
from wsss_perception.errors import GeometryError, MessageError
from wsss_perception.geometry import Matrix, TransformTree
from wsss_perception.messages import transform
from wsss_perception.messages.common import stamp_to_ns
from wsss_perception.progress import tracked

ODOMETRY = "nav_msgs/msg/Odometry"

FIXED_FRAMES = ("odom", "map", "world")
_log = logging.getLogger(__name__)


class BagTransforms:
    """The transforms of a bag, read whole.

    Args:
        bag: the open bag; its /tf and /tf_static are read at once.

    Attributes:
        tree: the transforms.
        fixed: the frame that does not move: odom, map or world; None if there is none of them.
    """

    def __init__(self, bag: Bag) -> None:
        self.tree = TransformTree()
        self._warned: set[str] = set()
        for topic, is_static in (("/tf_static", True), ("/tf", False)):
            connections = bag.on_topic(topic)
            total = sum(connection.msgcount for connection in connections)
            for message in tracked(bag.messages(connections), f"messages of {topic}", total):
                try:
                    transform.add_to_tree(self.tree, bag.deserialize(message), is_static)
                except (GeometryError, MessageError) as error:
                    self._warn(topic, str(error))
        known = self.tree.frames
        self.fixed = next((frame for frame in FIXED_FRAMES if frame in known), None)

    def pose(self, frame: str, stamp: int) -> Matrix | None:
        """Returns T_fixed_frame at a stamp in nanoseconds; None where it is not known."""
        if self.fixed is not None:
            with suppress(GeometryError):
                return self.tree.lookup(self.fixed, frame.lstrip("/"), stamp)
        return None

    def between(self, target: str, target_stamp: int, source: str, source_stamp: int) -> Matrix:
        """Maps a frame at its stamp into another at another, with the motion where it is known.

        At the ends of a log it is not; the transform is then that at the source's stamp.

        Raises:
            GeometryError: the two are not connected, or not at that stamp.
        """
        source = source.lstrip("/")
        if self.fixed is not None:
            with suppress(GeometryError):
                return self.tree.lookup_between(
                    target, target_stamp, source, source_stamp, self.fixed
                )
        return self.tree.lookup(target, source, source_stamp)

    def add_odometry(self, bag: Bag, lidar: str, stamps: Iterable[int]) -> str | None:
        """Takes the poses of the bag's odometry, where TF has not one of the LiDAR.

        There must be one topic of Odometry, and TF must connect its child frame to the LiDAR's.

        Args:
            bag: the open bag.
            lidar: frame of the clouds.
            stamps: of the clouds, nanoseconds.

        Returns:
            The topic; None if it is not needed, or cannot be used, which is then warned of.
        """
        topics = sorted({connection.topic for connection in bag.of_type(ODOMETRY)})
        if not topics or any(self.pose(lidar, stamp) is not None for stamp in stamps):
            return None
        if len(topics) > 1:
            self._warn(ODOMETRY, f"not used, since it is on several topics: {', '.join(topics)}")
            return None
        vehicle = self.tree.root(lidar.lstrip("/"))
        fixed = None
        for message in bag.messages(bag.on_topic(topics[0])):
            try:
                fixed = self._add_odometry(bag.deserialize(message), vehicle)
            except (GeometryError, MessageError) as error:
                self._warn(topics[0], str(error))
        self.fixed = fixed or self.fixed
        return topics[0] if fixed else None

    def _add_odometry(self, message: Any, vehicle: str) -> str:
        """Adds a pose of the vehicle's topmost frame; returns the frame that it is in."""
        parent = message.header.frame_id.lstrip("/") or FIXED_FRAMES[0]
        child = message.child_frame_id.lstrip("/")
        stamp = stamp_to_ns(message.header.stamp)
        T_child_vehicle = np.eye(4)
        if child != vehicle:
            T_child_vehicle = self.tree.lookup(child, vehicle, stamp)
        pose = transform.decode_pose(message.pose.pose) @ T_child_vehicle
        self.tree.set_moving(parent, vehicle, pose, stamp)
        return parent

    def _warn(self, topic: str, reason: str) -> None:
        if topic not in self._warned:
            self._warned.add(topic)
            _log.warning("%s: %s", topic, reason)
