"""Where the frames of the graph are over time: by tf2_ros, or by a listener of our own."""

import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from rclpy.callback_groups import CallbackGroup
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time

from wsss_perception.errors import GeometryError, MessageError
from wsss_perception.geometry import Matrix, TransformTree
from wsss_perception.messages import transform
from wsss_perception.ros.session import import_message

CACHE_TIME = 10.0
"""Seconds of /tf that are kept, as tf2 does."""

WAIT_TIME = 0.05
"""Longest time in seconds that a cloud waits for the transforms of its time."""

_RETRY_PERIOD = 1.0  # seconds between two waits in vain
_POLL_PERIOD = 0.005  # seconds
_SAME_JUMP = 1.0  # seconds within which the clock shows a jump after the clouds did
_TF_DEPTH = 100  # messages that may wait, as tf2_ros has it


Lookup = tuple[str, int, str, int]
"""A frame and a stamp in nanoseconds to map into, and a frame and a stamp to map from."""


class Transforms(Protocol):
    """Transforms of the graph; safe to use from several threads."""

    def lookup(
        self, target: str, target_stamp: int, source: str, source_stamp: int, fixed: str
    ) -> Matrix:
        """Maps a frame at its stamp (nanoseconds) into another at another, by a fixed frame.

        Raises:
            GeometryError: they are not connected, or not known at these stamps.
        """
        ...

    def clear(self) -> None:
        """Forgets what moves, as after a jump of time backwards."""
        ...

    def close(self) -> None:
        """Unsubscribes."""
        ...


def open_transforms(
    node: Node, group: CallbackGroup, warn: Callable[[str], None]
) -> Transforms | None:
    """Listens to /tf and /tf_static; None where neither tf2_ros nor tf2_msgs is installed."""
    try:
        return Tf2Transforms(node, import_module("tf2_ros"))
    except ImportError:
        message_class = import_message("tf2_msgs/msg/TFMessage")
        return None if message_class is None else TreeTransforms(node, message_class, group, warn)


class Tf2Transforms:
    """The buffer of tf2_ros.

    Args:
        node: that listens.
        tf2_ros: the module.
    """

    def __init__(self, node: Node, tf2_ros: Any) -> None:
        self._error = tf2_ros.TransformException
        self._buffer = tf2_ros.Buffer(cache_time=Duration(seconds=CACHE_TIME))
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def lookup(
        self, target: str, target_stamp: int, source: str, source_stamp: int, fixed: str
    ) -> Matrix:
        """See ``Transforms``."""
        times = Time(nanoseconds=target_stamp), Time(nanoseconds=source_stamp)
        try:
            found = self._buffer.lookup_transform_full(target, times[0], source, times[1], fixed)
        except self._error as error:
            raise GeometryError(f"no transform from '{source}' to '{target}': {error}") from error
        return transform.decode(found.transform)

    def clear(self) -> None:
        """See ``Transforms``."""
        self._buffer.clear()

    def close(self) -> None:
        """See ``Transforms``."""
        self._listener.unregister()


class TreeTransforms:
    """Listens with the messages alone, for an installation without tf2_ros.

    Args:
        node: that listens.
        message_class: tf2_msgs/TFMessage.
        group: callback group of the subscriptions.
        warn: told of transforms that cannot be used.
    """

    def __init__(
        self,
        node: Node,
        message_class: type,
        group: CallbackGroup,
        warn: Callable[[str], None],
    ) -> None:
        self._node = node
        self._warn = warn
        self._tree = TransformTree(round(CACHE_TIME * 1e9))
        self._lock = threading.Lock()
        latched = DurabilityPolicy.TRANSIENT_LOCAL
        self._subscriptions = [
            node.create_subscription(
                message_class,
                topic,
                callback,
                QoSProfile(
                    depth=_TF_DEPTH, durability=durability, reliability=ReliabilityPolicy.RELIABLE
                ),
                callback_group=group,
            )
            for topic, callback, durability in (
                ("/tf", self._add_moving, DurabilityPolicy.VOLATILE),
                ("/tf_static", self._add_static, latched),
            )
        ]

    def lookup(
        self, target: str, target_stamp: int, source: str, source_stamp: int, fixed: str
    ) -> Matrix:
        """See ``Transforms``."""
        with self._lock:
            return self._tree.lookup_between(target, target_stamp, source, source_stamp, fixed)

    def clear(self) -> None:
        """See ``Transforms``."""
        with self._lock:
            self._tree.clear_moving()

    def close(self) -> None:
        """See ``Transforms``."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _add_moving(self, message: Any) -> None:
        self._add(message, is_static=False)

    def _add_static(self, message: Any) -> None:
        self._add(message, is_static=True)

    def _add(self, message: Any, is_static: bool) -> None:
        try:
            with self._lock:
                transform.add_to_tree(self._tree, message, is_static)
        except (GeometryError, MessageError) as error:
            self._warn(f"/tf: {error}")


class Extrinsics:
    """Looks up transforms for clouds, with the motion through the fixed frame where it is known.

    Args:
        transforms: of the graph.
        fixed_frame: a frame that does not move; empty for none.
        clock: seconds that only grow.
        sleep: waits for some seconds.
        on_unfixed: told why a motion is not accounted for although there is a fixed frame.
    """

    def __init__(
        self,
        transforms: Transforms,
        fixed_frame: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        on_unfixed: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._transforms = transforms
        self._fixed = fixed_frame.lstrip("/")
        self._clock = clock
        self._sleep = sleep
        self._on_unfixed = on_unfixed
        self._in_vain: dict[str, float] = {}  # when a frame was waited for last

    def wait_for(
        self,
        frame: str,
        stamp: int,
        since: float | None = None,
        cameras: Iterable[Lookup] = (),
    ) -> bool:
        """Waits until a frame's pose and the places of cameras are known; returns whether all are.

        What was waited for in vain is not waited for again for a second, so that a localisation
        that has ended does not slow down the clouds.

        Args:
            frame: its name; without a fixed frame no pose is waited for.
            stamp: of the pose, nanoseconds.
            since: clock time from which on it waits up to WAIT_TIME; now by default.
            cameras: what ``between`` will be asked for.
        """
        begin = self._clock()
        deadline = (begin if since is None else since) + WAIT_TIME
        hopeless = {n for n, at in self._in_vain.items() if begin - at < _RETRY_PERIOD}
        place = self._lookup_unfixed if frame in hopeless else self._lookup
        asked = {each[0]: partial(place, *each) for each in cameras}
        if self._fixed:
            asked[frame] = partial(self.pose, frame, stamp)
        while (missing := {n for n, ask in asked.items() if not _is_known(ask)}) - hopeless:
            if self._clock() >= deadline:
                blamed = missing - hopeless
                if frame in blamed:  # without whose pose no camera is placed
                    blamed = {frame}
                self._in_vain.update(dict.fromkeys(blamed, self._clock()))
                return False
            self._sleep(_POLL_PERIOD)
        return bool(asked) and not missing

    def pose(self, frame: str, stamp: int) -> Matrix:
        """Returns T_fixed_frame at a stamp in nanoseconds.

        Raises:
            GeometryError: it is not known, or there is no fixed frame.
        """
        if not self._fixed:
            raise GeometryError("no fixed frame; set the parameter 'fixed_frame'")
        return self._transforms.lookup(self._fixed, stamp, frame.lstrip("/"), stamp, self._fixed)

    def between(self, target: str, target_stamp: int, source: str, source_stamp: int) -> Matrix:
        """Maps a frame at its stamp into another at another, with the motion where it is known.

        Where it is not, the transform is that at the source's stamp.

        Raises:
            GeometryError: the two are not connected, or not at that stamp.
        """
        if self._fixed:
            try:
                return self._lookup(target, target_stamp, source, source_stamp)
            except GeometryError as error:  # not known at both stamps; the sensors may be
                self._on_unfixed(str(error))
        return self._lookup_unfixed(target, target_stamp, source, source_stamp)

    def _lookup(self, target: str, target_stamp: int, source: str, source_stamp: int) -> Matrix:
        """Maps a frame into another, through the fixed frame where there is one."""
        if not self._fixed:
            return self._lookup_unfixed(target, target_stamp, source, source_stamp)
        target, source = target.lstrip("/"), source.lstrip("/")
        return self._transforms.lookup(target, target_stamp, source, source_stamp, self._fixed)

    def _lookup_unfixed(self, target: str, _: int, source: str, source_stamp: int) -> Matrix:
        """Maps a frame into another, both at the source's stamp."""
        target, source = target.lstrip("/"), source.lstrip("/")
        return self._transforms.lookup(target, source_stamp, source, source_stamp, source)

    def motion(self, frame: str, target_stamp: int, source_stamp: int) -> Matrix:
        """Maps a frame at a stamp into itself at another; the identity where it is not known."""
        if not self._fixed:
            return np.eye(4)
        frame = frame.lstrip("/")
        try:
            return self._transforms.lookup(frame, target_stamp, frame, source_stamp, self._fixed)
        except GeometryError as error:
            self._on_unfixed(str(error))
            return np.eye(4)


def _is_known(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except GeometryError:
        return False
    return True


class Jumps:
    """Tells once of a jump of time backwards that both the clock and the clouds show.

    What came between the two is of the new time already, and must stay.

    Args:
        forget: lets go of what is of the time before.
        clock: seconds that only grow.
    """

    def __init__(
        self, forget: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._forget = forget
        self._clock = clock
        self._clock_is_ahead = False  # the clock jumped, and no cloud came since
        self._clouds_jumped = -_SAME_JUMP + clock()

    def note_clock(self) -> None:
        """The clock went backwards."""
        if self._clock() - self._clouds_jumped >= _SAME_JUMP:
            self._clock_is_ahead = True
            self._forget()

    def note_clouds(self) -> None:
        """The stamps of the clouds went backwards."""
        if not self._clock_is_ahead:
            self._clouds_jumped = self._clock()
            self._forget()

    def note_cloud(self) -> None:
        """A cloud came; after ``note_clouds`` for the first one of another time."""
        self._clock_is_ahead = False
