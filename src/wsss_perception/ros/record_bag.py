"""Records topics of the ROS graph into a rosbag2: serialized messages as they arrive."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rclpy.event_handler import QoSMessageLostInfo, SubscriptionEventCallbacks
from rclpy.exceptions import InvalidTopicNameException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import Connection, QosReliability
from rosbags.typesys import Stores, get_typestore

from wsss_perception.bag.writer import BagWriter, reliable_qos
from wsss_perception.errors import BagError, RosError
from wsss_perception.ros.session import import_message, ros_session

_STORAGE = "mcap"
_DEPTH = 100  # messages that may wait for the disk
_POLL_PERIOD = 0.1  # seconds
_QUIET_ROUNDS = 3  # polls without a message after which nothing is on its way any more
_log = logging.getLogger(__name__)


def run_recorder(target: Path, topics: Sequence[str], count: int | None) -> None:
    """Records until SIGINT or SIGTERM, until the topics' publishers have gone, or enough is there.

    A topic whose type cannot be recorded is warned of and skipped.

    Args:
        target: folder of the new bag, written whole or not at all.
        topics: their names.
        count: number of messages after which to stop; None for any number.

    Raises:
        BagError: the bag exists or cannot be written, or not one message arrived.
        RosError: ROS 2 cannot start, a name is not one of a topic, or no topic can be recorded.
    """
    with (  # signals are caught until the bag is closed
        ros_session("record_bag") as (node, stopped),
        BagWriter(target, _STORAGE, get_typestore(Stores.ROS2_JAZZY)) as writer,
    ):
        recorder = _Recorder(node, writer, topics)
        executor = SingleThreadedExecutor(context=node.context)
        executor.add_node(node)
        try:
            quiet = 0
            while not (stopped() or recorder.is_full(count) or quiet == _QUIET_ROUNDS):
                recorder.subscribe()
                executor.spin_once(timeout_sec=_POLL_PERIOD)
                arrived = recorder.write(count)
                quiet = quiet + 1 if not arrived and recorder.is_abandoned() else 0
            recorder.drain(lambda: executor.spin_once(timeout_sec=0.0), count)
        finally:
            executor.shutdown()
        recorder.check()
    print(f"{target}: {recorder}", flush=True)


@dataclass
class _Topic:
    """A topic that is being recorded: where to, how many messages so far, how many were lost."""

    connection: Connection
    count: int = 0
    lost: int = 0


class _Recorder:
    """Subscribes to topics as they appear and writes what arrives."""

    def __init__(self, node: Node, writer: BagWriter, topics: Sequence[str]) -> None:
        self._node = node
        self._writer = writer
        self._arrived: deque[tuple[_Topic, int, bytes]] = deque()
        self._topics: dict[str, _Topic | None] = {}
        self._skipped: dict[str, str] = {}  # why, by topic
        for topic in topics:
            try:
                self._topics[node.resolve_topic_name(topic)] = None
            except (InvalidTopicNameException, RuntimeError) as error:
                raise RosError(f"'{topic}' is not the name of a topic: {error}") from error

    def __str__(self) -> str:
        parts = []
        for name, topic in self._topics.items():
            lost = f" ({topic.lost} lost on the way)" if topic and topic.lost else ""
            parts.append(f"{topic.count} of {name}{lost}" if topic else f"{name} never appeared")
        parts += [f"{name} skipped, {reason}" for name, reason in self._skipped.items()]
        return ", ".join(parts)

    def subscribe(self) -> None:
        """Subscribes to those of the topics that have a publisher now.

        Raises:
            RosError: none of the topics can be recorded.
        """
        for name in [name for name, topic in self._topics.items() if topic is None]:
            publishers = self._node.get_publishers_info_by_topic(name)
            if publishers:
                profiles = [info.qos_profile for info in publishers]
                try:
                    self._topics[name] = self._open(name, publishers[0].topic_type, profiles)
                except RosError as error:
                    self._skip(name, str(error))

    def write(self, limit: int | None) -> bool:
        """Writes what has arrived, up to the limit; returns whether there was anything."""
        anything = bool(self._arrived)
        while self._arrived and not self.is_full(limit):
            topic, received, data = self._arrived.popleft()
            self._writer.write_raw(topic.connection, received, data)
            topic.count += 1
        return anything

    def drain(self, spin: Callable[[], object], limit: int | None) -> None:
        """Writes what is here but not read yet: its publishers take it for delivered.

        Args:
            spin: handles one callback, if one is ready.
            limit: as of ``write``.
        """
        quiet = 0
        for _ in range(_DEPTH * len(self._topics)):  # more is of publishers that go on
            if quiet == _QUIET_ROUNDS or self.is_full(limit):
                return
            spin()
            quiet = 0 if self.write(limit) else quiet + 1

    def is_full(self, limit: int | None) -> bool:
        """Whether so many messages are written."""
        return limit is not None and self._count() >= limit

    def is_abandoned(self) -> bool:
        """Whether all topics (but skipped ones) have been there and none has a publisher now."""
        return all(self._topics.values()) and not any(
            map(self._node.count_publishers, self._topics)
        )

    def check(self) -> None:
        """Raises BagError where nothing was recorded."""
        if not self._count():
            raise BagError(
                f"{self._writer.path}: nothing was recorded, so there is no bag: {self}; "
                "check the names and ROS_DOMAIN_ID"
            )

    def _count(self) -> int:
        return sum(topic.count for topic in self._topics.values() if topic)

    def _skip(self, name: str, reason: str) -> None:
        """Goes on without a topic, unless it was the last.

        Raises:
            RosError: no topic is left.
        """
        del self._topics[name]
        self._skipped[name] = reason
        if not self._topics:
            raise RosError(f"none of the topics can be recorded: {self}")
        _log.warning("%s is skipped: %s", name, reason)

    def _open(self, name: str, msgtype: str, profiles: list[QoSProfile]) -> _Topic:
        """Subscribes with a QoS that hears all the publishers there are, and adds the topic.

        Raises:
            RosError: messages of its type cannot be recorded.
        """
        message_class = import_message(msgtype)
        if message_class is None:
            raise RosError(f"its message type {msgtype} is not installed")
        if msgtype not in get_typestore(Stores.ROS2_JAZZY).fielddefs:
            raise RosError(
                f"its message type {msgtype} is none of ROS 2 itself, whose definitions "
                "are all that is known here; use 'ros2 bag record'"
            )
        reliable = all(p.reliability is ReliabilityPolicy.RELIABLE for p in profiles)
        latched = all(p.durability is DurabilityPolicy.TRANSIENT_LOCAL for p in profiles)
        stored = reliable_qos(latched=latched)
        if not reliable:
            stored = stored._replace(reliability=QosReliability.BEST_EFFORT)
        topic = _Topic(self._writer.add_topic(name, msgtype, stored))

        def arrive(data: bytes, info: dict[str, int]) -> None:
            self._arrived.append((topic, info["received_timestamp"], data))

        def lose(event: QoSMessageLostInfo) -> None:
            topic.lost += event.total_count_change

        reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
        self._node.create_subscription(
            message_class,
            name,
            arrive,  # type: ignore[arg-type]  # rclpy gives the info to whoever takes it
            QoSProfile(depth=_DEPTH, reliability=reliability, durability=durability),
            event_callbacks=SubscriptionEventCallbacks(message_lost=lose),
            raw=True,
        )
        print(f"recording {name} ({msgtype})", flush=True)
        return topic
