"""The work of the active node: clouds and images in, semantic clouds out."""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from wsss_perception.errors import WsssError
from wsss_perception.messages.common import stamp_to_ns
from wsss_perception.ros.cameras import LiveCameras
from wsss_perception.ros.diagnostics import Monitor
from wsss_perception.ros.extrinsics import Extrinsics, Transforms, open_transforms
from wsss_perception.ros.model import Model
from wsss_perception.ros.motion import MotionCompensation
from wsss_perception.ros.outputs import Outputs
from wsss_perception.ros.parameters import read_parameter
from wsss_perception.ros.status import REPORT_PERIOD, Status
from wsss_perception.ros.subscription import SensorSubscription
from wsss_perception.ros.worker import Counters, Intake, Worker
from wsss_perception.synchronizer import JUMP, Synchronized, Synchronizer

_CLOUD_DEPTH = 5  # clouds that may wait for their callback, which takes no time
_READY_DEPTH = 1  # clouds that may wait for the worker: the newest


@dataclass(frozen=True)
class _Arrival:
    """A cloud and when it arrived, in seconds of the monotonic clock."""

    message: PointCloud2
    time: float


class Stream:
    """Segments the newest cloud in a thread of its own, so that no callback ever waits.

    Args:
        node: whose subscriptions, parameters and log it uses.
        model: returns the model to use now; asked once a cloud.
        cameras: the node's cameras.
        outputs: the node's publishers.
        monitor: told of every cloud.
        warn: logs a warning, if it did not lately.
    """

    def __init__(
        self,
        node: Node,
        model: Callable[[], Model],
        cameras: LiveCameras,
        outputs: Outputs,
        monitor: Monitor,
        warn: Callable[[str], None],
    ) -> None:
        self._node = node
        self._model = model
        self._cameras = cameras
        self._outputs = outputs
        self._monitor = monitor
        self._counters: Counters = monitor.counters
        self._status = Status(self._counters)
        self._warn = warn
        self._idle = False
        self._undo: list[Callable[[], object]] = []
        self._transforms: Transforms | None = None
        self._motion: MotionCompensation | None = None
        self._extrinsics: Extrinsics | None = None
        self._listen_to_transforms()
        self._intake: Intake[_Arrival, Any] = Intake(
            self._synchronizer(), self._counters, self._forget_motion
        )
        self._worker = Worker(self._intake, self._segment, self._fail, self._counters)
        infos = MutuallyExclusiveCallbackGroup()
        self._undo += cameras.subscribe(node, infos, self._add_image)
        clouds = SensorSubscription(
            node, PointCloud2, "points", self._add_cloud, _CLOUD_DEPTH, self._count_lost
        )
        self._undo.append(clouds.close)
        self.topic_name = clouds.topic_name
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        timer = node.create_timer(REPORT_PERIOD, self._report, clock=steady)
        self._undo.append(partial(node.destroy_timer, timer))

    def close(self) -> None:
        """Unsubscribes, then finishes and publishes the cloud in work."""
        for undo in reversed(self._undo):
            undo()
        self._worker.close()

    def _synchronizer(self) -> Synchronizer[_Arrival, Any]:
        tolerance, wait = (
            round(read_parameter(self._node, name) * 1e9)
            for name in ("camera_tolerance", "camera_wait")
        )
        takes_images = self._model().spec.cameras != "none"
        return Synchronizer(
            self._cameras.names,
            tolerance,
            wait if takes_images else 0,
            time.monotonic_ns,
            _READY_DEPTH,
        )

    def _listen_to_transforms(self) -> None:
        """Listens to TF if anything needs it, and is told of time that jumps back."""
        compensates = read_parameter(self._node, "motion_compensation")
        if not (self._cameras.need_transforms or compensates):
            return
        group = MutuallyExclusiveCallbackGroup()
        self._transforms = open_transforms(self._node, group, self._warn)
        if self._transforms is None:
            self._warn("there is no TF: neither tf2_ros nor tf2_msgs is installed")
            return
        self._undo.append(self._transforms.close)
        fixed_frame = read_parameter(self._node, "fixed_frame")
        self._extrinsics = Extrinsics(self._transforms, fixed_frame)
        if compensates:
            self._motion = MotionCompensation(self._extrinsics, self._warn)
        jumps = self._node.get_clock().create_jump_callback(
            JumpThreshold(
                min_forward=None, min_backward=Duration(nanoseconds=-JUMP), on_clock_change=False
            ),
            post_callback=self._jump,
        )
        self._undo.append(jumps.unregister)

    def _jump(self, _jump: TimeJump) -> None:
        self._forget_motion()

    def _forget_motion(self) -> None:
        self._node.get_logger().info(
            "time went backwards: images and transforms from before are forgotten"
        )
        if self._transforms is not None:
            self._transforms.clear()

    def _add_cloud(self, message: PointCloud2) -> None:
        arrival = _Arrival(message, time.monotonic())
        self._intake.add_cloud(stamp_to_ns(message.header.stamp), arrival)

    def _add_image(self, camera: str, message: Any) -> None:
        self._intake.add_image(camera, stamp_to_ns(message.header.stamp), message)

    def _count_lost(self, count: int) -> None:
        self._counters.lost += count

    def _segment(self, frame: Synchronized[_Arrival, Any]) -> None:
        model, message, arrival = self._model(), frame.cloud.message, frame.cloud.time
        self._monitor.start(arrival)
        if self._extrinsics is not None and frame.images:
            newest = max(frame.stamp, *(stamp for stamp, _ in frame.images.values()))
            self._extrinsics.wait_for(message.header.frame_id, newest)
        takes_images = model.spec.cameras != "none"
        views = self._cameras.views(
            frame.images,
            frame.stamp,
            message.header.frame_id,
            self._extrinsics,
            self._cameras.names if takes_images else self._outputs.overlaid,
        )
        result = model.pipeline(
            message,
            read_parameter(self._node, "min_confidence"),
            read_parameter(self._node, "intensity_scale"),
            views,
            self._motion,
        )
        self._outputs.publish_semantic(result.message)
        seen = {view.name for view in views}
        missing = [name for name in self._cameras.names if name not in seen]
        self._monitor.publish(arrival, result.seconds, missing)
        self._status.add(result.seconds)
        for warning in result.warnings:
            self._node.get_logger().warning(warning)
        try:
            self._outputs.publish_parts(result, model.spec.ontology, frame.images)
        except Exception as error:  # the cloud itself is published
            self._warn(_describe(error))

    def _fail(self, error: Exception) -> None:
        reason = _describe(error)
        self._monitor.fail(reason)
        self._warn(f"cloud left out ({self._counters.failed} so far): {reason}")

    def _report(self) -> None:
        line = self._status.report()
        if line is not None:
            self._node.get_logger().info(line)
        elif not self._idle:
            self._node.get_logger().info(
                f"no cloud on {self.topic_name} in the last {REPORT_PERIOD:.0f} s"
            )
        self._idle = line is None


def _describe(error: Exception) -> str:
    return str(error) if isinstance(error, WsssError) else traceback.format_exc()
