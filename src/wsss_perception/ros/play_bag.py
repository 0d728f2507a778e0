"""Plays a rosbag2 on the ROS graph: serialized messages as they are, in real time."""

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import Connection, Qos, QosDurability, QosReliability
from rosgraph_msgs.msg import Clock

from wsss_perception.bag.pacing import Pacer, with_ticks
from wsss_perception.bag.reader import Bag, Message, open_bag
from wsss_perception.bag.segment import POINT_CLOUD
from wsss_perception.errors import BagError
from wsss_perception.progress import Progress
from wsss_perception.ros.session import import_message, ros_session

DISCOVERY_TIMEOUT = 5.0
"""Seconds to wait for the first subscription; Fast DDS repeats a lost announcement after 3 s."""

_DELIVERY_TIMEOUT = 5.0  # seconds to wait at the end; Fast DDS repeats what was lost after 3 s
_LATCHED_DEPTH = 1000  # at most so many messages of a latched topic are kept for late subscribers
_POLL_PERIOD = Duration(seconds=0.1)
_log = logging.getLogger(__name__)

Topic = tuple[str, str]
"""Name and message type."""


@dataclass
class Report:
    """What was played.

    Attributes:
        published: number of messages by topic.
        skipped: why a topic was not played, by topic.
        max_lag: longest time in nanoseconds by which a message was late.
    """

    published: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    max_lag: int = 0

    def __str__(self) -> str:
        lines = [f"{sum(self.published.values())} messages, late by {_ms(self.max_lag)} at most"]
        lines += [f"  {topic}: {count}" for topic, count in self.published.items()]
        lines += [f"  {topic}: skipped, {reason}" for topic, reason in self.skipped.items()]
        return "\n".join(lines)


def run_player(path: Path, rate: float, loop: bool, clock_rate: float | None) -> None:
    """Plays a bag to its end, or until SIGINT or SIGTERM, and prints what was played.

    Args:
        path: the bag.
        rate: seconds of the bag to play in a second.
        loop: begin anew at the end.
        clock_rate: messages on /clock in a second; None for no /clock.

    Raises:
        BagError: there is no such bag, nothing in it can be played, or it is damaged; what is
            before the damage was played.
        RosError: ROS 2 cannot start.
    """
    with open_bag(path) as bag, ros_session("play_bag") as (node, stopped):
        player = _Player(bag, node, stopped, Pacer(rate, stopped))
        clock = node.create_publisher(Clock, "/clock", 10) if clock_rate else None
        player.open(skipped_topics=("/clock",) if clock_rate else ())
        try:
            player.wait_for_subscribers()
            while player.play(clock, rate * 1e9 / clock_rate if clock_rate else None) and loop:
                pass
        finally:  # of a damaged bag too
            player.wait_for_delivery()
            print(f"{path}: {player.report}", flush=True)


class _Player:
    """Publishes the messages of a bag and counts them in ``report``."""

    def __init__(self, bag: Bag, node: Node, stopped: Callable[[], bool], pacer: Pacer) -> None:
        self.report = Report()
        self._bag = bag
        self._node = node
        self._stopped = stopped
        self._pacer = pacer
        self._publishers: dict[Topic, Publisher] = {}

    def open(self, skipped_topics: Collection[str] = ()) -> None:
        """Makes a publisher for every topic that can be played; the others are warned of."""
        for topic, parts in _by_topic(self._bag).items():
            name = topic[0]
            if name in skipped_topics:
                reason: str | None = "the player publishes it itself"
            else:
                reason = self._open_topic(topic, parts)
            if reason is None:
                self.report.published[name] = 0
            else:
                self.report.skipped[name] = reason
                _log.warning("%s is skipped: %s", name, reason)
        if not sum(c.msgcount for c in self._connections()):
            reasons = "".join(f"; {t}: {reason}" for t, reason in self.report.skipped.items())
            raise BagError(f"{self._bag.path}: has no message that can be played{reasons}")

    def wait_for_subscribers(self) -> None:
        """Waits until somebody listens to clouds (to anything where there are none), or in vain."""
        clouds = [p for (_, kind), p in self._publishers.items() if kind == POINT_CLOUD]
        watched = clouds or list(self._publishers.values())
        deadline = time.monotonic() + DISCOVERY_TIMEOUT
        while not (self._stopped() or any(p.get_subscription_count() for p in watched)):
            if time.monotonic() > deadline:
                _log.warning(
                    "nobody has subscribed in %.0f s; playing all the same", DISCOVERY_TIMEOUT
                )
                break
            time.sleep(0.01)

    def play(self, clock: Publisher | None, period: float | None) -> bool:
        """Plays the bag once.

        Args:
            clock: publisher of the bag's time.
            period: nanoseconds of the bag between two messages of the clock.

        Returns:
            Whether it came to the end, unstopped.
        """
        connections = self._connections()
        timed = ((m.received, m) for m in self._bag.messages(connections))
        first = None
        with Progress("messages", sum(c.msgcount for c in connections)) as progress:
            for stamp, message in self._pacer.paced(with_ticks(timed, period)):
                first = stamp if first is None else first
                self.report.max_lag = self._pacer.max_lag
                if message is not None:
                    self._publish(message)
                    progress.step(f"{(stamp - first) / 1e9:.1f} s, {_ms(self._pacer.lag)} late")
                elif clock is not None:
                    clock.publish(_clock_message(stamp))
        return first is not None and not self._stopped()

    def wait_for_delivery(self) -> None:
        """Waits until reliable subscribers have everything, unless stopped or they are too slow."""
        deadline = time.monotonic() + _DELIVERY_TIMEOUT
        for publisher in self._publishers.values():
            while not (self._stopped() or time.monotonic() > deadline):
                if publisher.wait_for_all_acked(_POLL_PERIOD):
                    break

    def _open_topic(self, topic: Topic, parts: list[Connection]) -> str | None:
        """Makes a topic's publisher, or returns why there is none."""
        name, msgtype = topic
        encoding = parts[0].ext.serialization_format  # type: ignore[union-attr]
        if encoding != "cdr":
            return f"its messages are serialized as '{encoding}', not as CDR"
        message_class = import_message(msgtype)
        if message_class is None:
            return f"the message type {msgtype} is not installed"
        publisher = self._node.create_publisher(message_class, name, _qos(parts))
        if not self._is_installed_as(publisher, parts):
            self._node.destroy_publisher(publisher)
            return f"the message type {msgtype} is another one than is installed"
        self._publishers[topic] = publisher
        return None

    def _is_installed_as(self, publisher: Publisher, parts: list[Connection]) -> bool:
        """Compares the bag's hashes of a type, where it has any, with that of the publisher."""
        ours = {
            str(info.topic_type_hash)
            for info in self._node.get_publishers_info_by_topic(publisher.topic_name)
            if info.node_name == self._node.get_name() and info.topic_type == parts[0].msgtype
        }
        return all(part.digest in ours for part in parts if part.digest)

    def _publish(self, message: Message) -> None:
        connection = message.connection
        self._publishers[connection.topic, connection.msgtype].publish(bytes(message.data))
        self.report.published[connection.topic] += 1

    def _connections(self) -> list[Connection]:
        return [c for c in self._bag.connections if (c.topic, c.msgtype) in self._publishers]


def _by_topic(bag: Bag) -> dict[Topic, list[Connection]]:
    """Groups the connections: parts of a split bag repeat them."""
    topics: dict[Topic, list[Connection]] = {}
    for connection in bag.connections:
        topics.setdefault((connection.topic, connection.msgtype), []).append(connection)
    return topics


def _qos(parts: list[Connection]) -> QoSProfile:
    """Returns what a topic's publishers offered, the stronger of several; reliable by default."""
    offered: list[Qos] = [
        qos
        for part in parts
        for qos in part.ext.offered_qos_profiles  # type: ignore[union-attr]
    ]
    best_effort = [qos.reliability is QosReliability.BEST_EFFORT for qos in offered]
    latched = [qos.durability is QosDurability.TRANSIENT_LOCAL for qos in offered]
    is_latched = any(latched) or parts[0].topic == "/tf_static"
    depth = max([10, *(qos.depth for qos in offered)])
    if is_latched:  # what several publishers kept, one has to keep
        depth = max(depth, min(sum(part.msgcount for part in parts), _LATCHED_DEPTH))
    is_best_effort = bool(offered) and all(best_effort) and not is_latched
    return QoSProfile(
        depth=depth,
        reliability=(
            ReliabilityPolicy.BEST_EFFORT if is_best_effort else ReliabilityPolicy.RELIABLE
        ),
        durability=(DurabilityPolicy.TRANSIENT_LOCAL if is_latched else DurabilityPolicy.VOLATILE),
    )


def _clock_message(stamp: int) -> Clock:
    message = Clock()
    message.clock.sec, message.clock.nanosec = divmod(stamp, 1_000_000_000)
    return message


def _ms(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:.0f} ms"
