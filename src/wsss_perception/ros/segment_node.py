"""The node ``segment``: clouds on ``points`` in, semantic clouds on ``semantic_points`` out."""

import signal
import traceback
from collections.abc import Sequence

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.event_handler import QoSMessageLostInfo, SubscriptionEventCallbacks
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import PointCloud2

from wsss_perception.bundle import choose_bundle
from wsss_perception.engines import load_engine
from wsss_perception.errors import ConfigError, WsssError
from wsss_perception.ros.parameters import declare_parameters
from wsss_perception.ros.pipeline import Pipeline
from wsss_perception.ros.status import REPORT_PERIOD, Status, Throttle
from wsss_perception.ros.worker import Worker
from wsss_perception.segmenter import Segmenter

_POLL_PERIOD = 0.1
"""Seconds between two looks for a signal."""


class SegmentNode(Node):
    """Segments the newest cloud in a thread of its own, so that no callback ever waits.

    Raises:
        ConfigError: a parameter has a wrong type or value.
        BundleError: the model bundle is refused.
        EngineError: the engine cannot run here.
    """

    def __init__(self) -> None:
        super().__init__("segment")
        declare_parameters(self)
        self._pipeline = Pipeline(self._load())
        self._worker: Worker[PointCloud2] = Worker(self._segment, self._warn)
        self._status = Status(self._worker.counters)
        self._may_warn = Throttle(REPORT_PERIOD)
        self._idle = False
        reliable = self._value("reliability") == "reliable"
        reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        self._publisher = self.create_publisher(
            PointCloud2, "semantic_points", QoSProfile(depth=5, reliability=reliability)
        )
        self._subscription = self._subscribe(ReliabilityPolicy.RELIABLE)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(REPORT_PERIOD, self._report, clock=steady)
        self.get_logger().info(
            f"listening on {self._subscription.topic_name}, "
            f"publishing on {self._publisher.topic_name}"
        )

    def close(self) -> None:
        """Finishes and publishes the cloud in work, then says what became of all clouds."""
        self._worker.close()
        self.get_logger().info(f"stopped: {self._worker.counters}")

    def _load(self) -> Segmenter:
        bundle = choose_bundle(self._value("model"), self.get_logger().info)
        engine = load_engine(self._value("engine"), bundle, self._value("device"))
        spec = bundle.spec
        self.get_logger().info(
            f"model {bundle.folder}: {len(spec.ontology)} classes of '{spec.ontology.name}', "
            f"voxels of {spec.voxel_size} m, engine {engine.name}"
        )
        return Segmenter(spec, engine)

    def _subscribe(self, reliability: ReliabilityPolicy) -> Subscription:
        """Subscribes to the newest cloud.

        A best-effort subscription takes clouds of any publisher, but Fast DDS loses more than half
        of the large ones (2 MB) even on one machine. So the first try is reliable, and the first
        best-effort publisher, which it cannot hear, makes the node subscribe anew.
        """
        events = SubscriptionEventCallbacks(
            incompatible_qos=self._subscribe_best_effort, message_lost=self._count_lost
        )
        return self.create_subscription(
            PointCloud2,
            "points",
            self._worker.submit,
            QoSProfile(depth=1, reliability=reliability),
            event_callbacks=events,
        )

    def _subscribe_best_effort(self, _event: object) -> None:
        self.get_logger().info(
            f"a publisher on {self._subscription.topic_name} is best-effort: so is the "
            "subscription now, and clouds may be lost on the way"
        )
        self.destroy_subscription(self._subscription)
        self._subscription = self._subscribe(ReliabilityPolicy.BEST_EFFORT)

    def _count_lost(self, event: QoSMessageLostInfo) -> None:
        self._worker.counters.lost += event.total_count_change

    def _segment(self, message: PointCloud2) -> None:
        result = self._pipeline(
            message, self._value("min_confidence"), self._value("intensity_scale")
        )
        self._publisher.publish(result.message)
        self._status.add(result.seconds)
        for warning in result.warnings:
            self.get_logger().warning(warning)

    def _warn(self, error: Exception) -> None:
        reason = str(error) if isinstance(error, WsssError) else traceback.format_exc()
        if self._may_warn(reason):
            failed = self._worker.counters.failed
            self.get_logger().warning(f"cloud left out ({failed} so far): {reason}")

    def _report(self) -> None:
        line = self._status.report()
        if line is not None:
            self.get_logger().info(line)
        elif not self._idle:
            self.get_logger().info(
                f"no cloud on {self._subscription.topic_name} in the last {REPORT_PERIOD:.0f} s"
            )
        self._idle = line is None

    def _value(self, name: str):  # type: ignore[no-untyped-def]  # str or float, as declared
        return self.get_parameter(name).value


def run_node(ros_arguments: Sequence[str]) -> None:
    """Runs the node until SIGINT or SIGTERM.

    Args:
        ros_arguments: ``--ros-args ...`` as given on the command line; may be empty.

    Raises:
        WsssError: the node cannot start; see ``SegmentNode``.
    """
    received: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: received.append(number))
    try:
        rclpy.init(args=list(ros_arguments), signal_handler_options=SignalHandlerOptions.NO)
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"ROS arguments {' '.join(ros_arguments)}: {error}") from error
    try:
        node = SegmentNode()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        while not received:
            executor.spin_once(timeout_sec=_POLL_PERIOD)
        node.close()
    finally:
        rclpy.shutdown()
