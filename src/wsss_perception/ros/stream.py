"""The work of the active node: clouds and images in, semantic clouds out."""

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from wsss_perception.diagnostics import OUT_OF_RANGE
from wsss_perception.errors import WsssError
from wsss_perception.frame import View
from wsss_perception.messages.common import stamp_to_ns
from wsss_perception.ros.cameras import LiveCameras
from wsss_perception.ros.diagnostics import Monitor
from wsss_perception.ros.extrinsics import Extrinsics, Jumps, Transforms, open_transforms
from wsss_perception.ros.model import Model
from wsss_perception.ros.motion import MotionCompensation
from wsss_perception.ros.outputs import Outputs
from wsss_perception.ros.parameters import read_parameter
from wsss_perception.ros.pipeline import Result
from wsss_perception.ros.status import REPORT_PERIOD, Status
from wsss_perception.ros.subscription import SensorSubscription
from wsss_perception.ros.worker import Counters, Intake, Worker
from wsss_perception.synchronizer import JUMP, Synchronized, Synchronizer

_CLOUD_DEPTH = 5  # clouds that may wait for their callback, which takes no time
_READY_DEPTH = 1  # clouds that may wait for the worker: the newest

_NO_TF = "there is no TF: neither tf2_ros nor tf2_msgs is installed"

_DUPLICATES = (
    "a cloud has the stamp, frame and size of one just before it: it is taken for the same, sent "
    "twice, and left out; more of them are only counted"
)


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
        self._unused: dict[str, str] = {}  # of the cloud in work: what was not used, and why
        self._undo: list[Callable[[], object]] = []
        self._transforms: Transforms | None = None
        self._motion: MotionCompensation | None = None
        self._extrinsics: Extrinsics | None = None
        self._jumps = Jumps(self._forget_motion)
        self._intake: Intake[_Arrival, Any] = Intake(
            self._synchronizer(), self._counters, self._jumps.note_clouds
        )
        self._patience: float = read_parameter(node, "camera_wait")
        self._fixed_frame: str = read_parameter(node, "fixed_frame")
        worker = Worker(self._intake, self._segment, self._fail, self._counters)
        self._undo.append(worker.close)
        try:
            self._listen_to_transforms()
            self.topic_name = self._subscribe()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Unsubscribes, then finishes and publishes the cloud in work."""
        undo, self._undo = self._undo, []
        for each in reversed(undo):
            each()

    def _subscribe(self) -> str:
        """Subscribes to images and clouds; returns the name of the clouds' topic."""
        infos = MutuallyExclusiveCallbackGroup()
        self._undo += self._cameras.subscribe(self._node, infos, self._add_image)
        clouds = SensorSubscription(
            self._node, PointCloud2, "points", self._add_cloud, _CLOUD_DEPTH, self._count_lost
        )
        self._undo.append(clouds.close)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        timer = self._node.create_timer(REPORT_PERIOD, self._report, clock=steady)
        self._undo.append(partial(self._node.destroy_timer, timer))
        return clouds.topic_name

    def _synchronizer(self) -> Synchronizer[_Arrival, Any]:
        tolerance, wait = (
            round(read_parameter(self._node, name) * 1e9)
            for name in ("camera_tolerance", "camera_wait")
        )
        return Synchronizer(self._cameras.names, tolerance, wait, time.monotonic_ns, _READY_DEPTH)

    def _listen_to_transforms(self) -> None:
        """Listens to TF if anything needs it, and is told of time that jumps back."""
        compensates = read_parameter(self._node, "motion_compensation")
        moves = bool(self._fixed_frame and self._cameras.names)
        if not (self._cameras.need_transforms or compensates or moves):
            return
        group = MutuallyExclusiveCallbackGroup()
        self._transforms = open_transforms(self._node, group, self._warn)
        if self._transforms is None:
            self._warn(_NO_TF)
            return
        self._undo.append(self._transforms.close)
        self._extrinsics = Extrinsics(
            self._transforms, self._fixed_frame, on_unfixed=partial(self._leave_out, "fixed_frame")
        )
        if compensates:
            self._motion = MotionCompensation(
                self._extrinsics, partial(self._leave_out, "motion_compensation")
            )
        jumps = self._node.get_clock().create_jump_callback(
            JumpThreshold(
                min_forward=None, min_backward=Duration(nanoseconds=-JUMP), on_clock_change=False
            ),
            post_callback=self._jump,
        )
        self._undo.append(jumps.unregister)

    def _jump(self, _jump: TimeJump) -> None:
        self._jumps.note_clock()

    def _leave_out(self, parameter: str, reason: str) -> None:
        """Notes that what a parameter asks for is not done for the cloud in work."""
        self._unused[parameter] = reason
        self._warn(f"parameter '{parameter}' has no effect on a cloud: {reason}")

    def _forget_motion(self) -> None:
        self._node.get_logger().info(
            "time went backwards: images and transforms from before are forgotten"
        )
        if self._transforms is not None:
            self._transforms.clear()

    def _add_cloud(self, message: PointCloud2) -> None:
        arrival = _Arrival(message, time.monotonic())
        waits = self._model().spec.takes_images  # asked anew: another model may come
        kind = message.header.frame_id, len(message.data)
        before = self._counters.duplicates
        self._intake.add_cloud(stamp_to_ns(message.header.stamp), arrival, waits, kind)
        if before == 0 < self._counters.duplicates:
            self._node.get_logger().warning(_DUPLICATES)
        self._jumps.note_cloud()

    def _add_image(self, camera: str, message: Any) -> None:
        is_needed = self._outputs.is_overlaid(camera) or self._model().spec.takes_images
        kept = message if is_needed else None  # raw images take much memory
        self._intake.add_image(camera, stamp_to_ns(message.header.stamp), kept)

    def _count_lost(self, count: int) -> None:
        self._counters.lost += count

    def _segment(self, frame: Synchronized[_Arrival, Any]) -> None:
        model, message, arrival = self._model(), frame.cloud.message, frame.cloud.time
        self._monitor.start(arrival)
        self._unused = {}
        result = model.pipeline(
            message,
            read_parameter(self._node, "min_confidence"),
            read_parameter(self._node, "intensity_scale"),
            partial(self._look, frame, model) if self._cameras.names else None,
            self._motion,
            model.query if self._outputs.is_query_heard else None,
        )
        self._outputs.publish_semantic(result.message)
        amiss = self._unused, result.is_unlabelled, result.is_out_of_range
        self._monitor.publish(arrival, result.seconds, *amiss)
        if result.is_unlabelled:
            self._warn(
                "no point of a cloud got a label: what the network computes is not finite; try "
                "another 'engine', or 'precision' fp32"
            )
        if result.is_out_of_range:
            self._warn(f"a cloud has {OUT_OF_RANGE}")
        for warning in result.warnings:
            self._node.get_logger().warning(warning)
        seconds = {"outputs": self._publish_others(message, result, model)}
        self._monitor.add(seconds)
        self._status.add({**result.seconds, **seconds})

    def _look(self, frame: Synchronized[_Arrival, Any], model: Model) -> tuple[View, ...]:
        """Makes the views of a cloud, with their pixels if the model takes images.

        It waits for TF, and not for images: the cloud has waited for them if it should, and that
        time is not taken off the wait for TF.
        """
        cloud_frame = frame.cloud.message.header.frame_id
        images = self._intake.latest_images((), 0.0)
        stamps = {name: stamp for name, (stamp, _) in images.items()}
        live = self._intake.live()
        if self._extrinsics is not None:
            newest = max(frame.stamp, *stamps.values(), 0)
            since = None if model.spec.takes_images else frame.cloud.time
            placed = self._cameras.lookups(stamps, live, frame.stamp, cloud_frame)
            self._extrinsics.wait_for(cloud_frame, newest, since, placed)
        elif self._fixed_frame:
            self._leave_out("fixed_frame", _NO_TF)
        views, unused = self._cameras.views(
            stamps, live, frame.stamp, cloud_frame, self._extrinsics
        )
        self._unused |= unused
        if not model.spec.takes_images:
            return views
        return tuple(self._with_pixels(view, images.get(view.name)) for view in views)

    def _with_pixels(self, view: View, found: tuple[int, Any] | None) -> View:
        """Adds the pixels of a camera's image, or notes that the labels go without them."""
        if found is not None and found[1] is not None:
            drawn = self._cameras.with_pixels(view, found[1])
            if drawn is not None:
                return drawn
            reason = "its image cannot be used; the log says why"
        else:
            reason = "no image within camera_tolerance"
            if found is not None:  # its pixels were not kept
                reason = "its image came before the model that takes images"
            self._warn(f"camera '{view.name}' is not used for the labels: {reason}")
        self._unused[view.name] = reason
        return view

    def _publish_others(self, message: PointCloud2, result: Result, model: Model) -> float:
        """Publishes what is made of a semantic cloud; returns the seconds of work."""
        begin = time.monotonic()
        waited = 0.0
        with self._warned("no filtered_points and ground_points"):
            self._outputs.publish_parts(result, model.spec.ontology)
        if result.semantic.similarity is not None:
            with self._warned("no query_points"):
                self._outputs.publish_query(message, result.semantic.similarity)
        overlaid = [v for v in result.frame.views if self._outputs.is_overlaid(v.name)]
        if overlaid:
            before = time.monotonic()
            images = self._intake.latest_images([view.name for view in overlaid], self._patience)
            waited = time.monotonic() - before
        for view in overlaid:
            with self._warned(f"camera '{view.name}' has no overlay"):
                self._publish_overlay(view, images.get(view.name), result, model)
        return time.monotonic() - begin - waited

    @contextmanager
    def _warned(self, what: str) -> Iterator[None]:
        """Warns of what fails where the cloud itself is published, and goes on."""
        try:
            yield
        except Exception as error:
            self._warn(f"{what}: {_describe(error)}")

    def _publish_overlay(
        self, view: View, found: tuple[int, Any] | None, result: Result, model: Model
    ) -> None:
        if found is None:
            self._warn(f"camera '{view.name}' has no overlay: no image within camera_tolerance")
            return
        stamp, message = found
        if message is None:  # it came before somebody listened
            return
        cloud = result.frame.cloud
        if stamp != view.stamp:
            view = self._cameras.camera(view.name).view(
                stamp, cloud.stamp, cloud.frame_id, self._extrinsics
            )
        drawn = view if view.image.size else self._cameras.with_pixels(view, message)
        if drawn is not None:
            frame_id = message.header.frame_id
            self._outputs.publish_overlay(drawn, frame_id, result, model.spec.ontology)

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
