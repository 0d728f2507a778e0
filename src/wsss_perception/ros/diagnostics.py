"""What the node tells on /diagnostics, once a second."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock as RosClock
from rclpy.clock import ClockType
from rclpy.node import Node

from wsss_perception.diagnostics import Limits, Snapshot, assess
from wsss_perception.messages import diagnostics
from wsss_perception.ros.parameters import read_parameter
from wsss_perception.ros.session import MESSAGE_TYPES
from wsss_perception.ros.status import Clock
from wsss_perception.ros.worker import Counters

PERIOD = 1.0
"""Seconds between two messages."""

WINDOW = 5.0
"""Seconds that a message is about."""


@dataclass(frozen=True)
class _Published:
    """A published cloud: when, seconds since its arrival, of each stage, what was amiss."""

    time: float
    latency: float
    stages: Mapping[str, float]
    unused: Mapping[str, str]
    is_unlabelled: bool
    is_out_of_range: bool


@dataclass
class Monitor:
    """Remembers what happened in the last seconds; safe to use from several threads.

    Attributes:
        counters: the node's counters.
        clock: seconds that only grow.
    """

    counters: Counters
    clock: Clock = time.monotonic
    _published: deque[_Published] = field(default_factory=deque)
    _counted: deque[tuple[float, Counters]] = field(default_factory=deque)
    _settled: float = 0.0  # from when on the rates say something
    _is_first: bool = True
    _in_work: tuple[float, float] | None = None
    _failure: tuple[float, str] = (float("-inf"), "")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forgets all: the node has just become active."""
        with self._lock:
            now = self.clock()
            self._published.clear()
            self._counted.clear()
            self._counted.append((now, replace(self.counters)))
            self._settled, self._is_first = now + WINDOW, True
            self._in_work, self._failure = None, (now, "")

    def start(self, arrival: float) -> None:
        """Notes that a cloud is in work, and when it arrived."""
        with self._lock:
            now = self.clock()
            self._in_work = arrival, now
            if self._is_first:
                self._settled, self._is_first = now + WINDOW, False

    def publish(
        self,
        arrival: float,
        stages: Mapping[str, float],
        unused: Mapping[str, str],
        is_unlabelled: bool = False,
        is_out_of_range: bool = False,
    ) -> None:
        """Notes that a cloud was published.

        Args:
            arrival: when it arrived.
            stages: seconds spent in each stage.
            unused: why, for each camera that was not used for it, and for ``fixed_frame`` and
                ``motion_compensation`` where they are set and were not used.
            is_unlabelled: whether none of its points got a label, though none was too weak.
            is_out_of_range: whether none of its points is valid and in range.
        """
        with self._lock:
            now, self._in_work = self.clock(), None
            amiss = dict(unused), is_unlabelled, is_out_of_range
            self._published.append(_Published(now, now - arrival, dict(stages), *amiss))

    def add(self, stages: Mapping[str, float]) -> None:
        """Adds seconds that the cloud published last spent in stages after that."""
        with self._lock:
            if self._published:
                last = self._published[-1]
                self._published[-1] = replace(last, stages={**last.stages, **stages})

    def fail(self, reason: str) -> None:
        """Notes that a cloud failed."""
        with self._lock:
            self._in_work = None
            self._failure = self.clock(), reason

    def snapshot(self, cameras: Iterable[str], model: str, engine: str, active: bool) -> Snapshot:
        """Sums up the last WINDOW seconds, or those since ``restart``; call it in equal periods.

        Args:
            cameras: their names.
            model: folder of the bundle.
            engine: name of the engine.
            active: whether the node is at work.
        """
        with self._lock:
            now, counters = self.clock(), replace(self.counters)
            self._counted.append((now, counters))
            while len(self._counted) > 2 and self._counted[1][0] <= now - WINDOW:
                self._counted.popleft()
            begin, before = self._counted[0]
            while self._published and self._published[0].time < begin:
                self._published.popleft()
            clouds, in_work, failure = list(self._published), self._in_work, self._failure
            is_starting = now < self._settled
        latencies = [cloud.latency for cloud in clouds]
        if in_work is not None:
            latencies.append(now - in_work[0])
        unused = Counter(dict.fromkeys(cameras, 0))
        unused.update(camera for cloud in clouds for camera in cloud.unused)
        return Snapshot(
            elapsed=now - begin,
            received=counters.received - before.received,
            published=counters.published - before.published,
            dropped=counters.dropped - before.dropped,
            failed=counters.failed - before.failed,
            duplicates=counters.duplicates - before.duplicates,
            lost=counters.lost - before.lost,
            latency=max(latencies, default=None),
            stages=_mean_stages(clouds),
            in_work=None if in_work is None else now - in_work[1],
            unused=unused,
            reasons={camera: why for cloud in clouds for camera, why in cloud.unused.items()},
            unlabelled=sum(cloud.is_unlabelled for cloud in clouds),
            out_of_range=sum(cloud.is_out_of_range for cloud in clouds),
            last_failure=failure[1] if failure[0] >= begin else "",
            model=model,
            engine=engine,
            active=active,
            starting=is_starting,
        )


def _mean_stages(clouds: list[_Published]) -> dict[str, float]:
    sums: Counter[str] = Counter()
    for cloud in clouds:
        sums.update(cloud.stages)
    return {stage: seconds / len(clouds) for stage, seconds in sums.items()}


class Diagnostics:
    """Publishes a node's diagnostics.

    Args:
        node: that publishes.
        group: callback group of the timer.
        snapshot: sums up what happened.
    """

    def __init__(self, node: Node, group: CallbackGroup, snapshot: Callable[[], Snapshot]) -> None:
        self._node = node
        self._snapshot = snapshot
        self._lock = threading.Lock()
        self._closed = False
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        steady = RosClock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(PERIOD, self._tell, group, clock=steady)

    def close(self) -> None:
        """Ends the topic; ``snapshot`` is not called any more."""
        with self._lock:  # the timer's callback may be under way
            self._closed = True
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)

    def _tell(self) -> None:
        with self._lock:
            if not self._closed:
                self._publisher.publish(self._message())

    def _message(self) -> DiagnosticArray:
        names = ("min_rate", "max_latency", "max_drop_share")
        limits = Limits(*(read_parameter(self._node, name) for name in names))
        name = self._node.get_fully_qualified_name()
        stamp = self._node.get_clock().now().nanoseconds
        status = assess(self._snapshot(), limits)
        return diagnostics.encode(status, name.lstrip("/"), name, stamp, MESSAGE_TYPES)
