"""The node ``segment``: clouds on ``points`` in, semantic clouds on ``semantic_points`` out."""

import signal
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps
from typing import Any

import rclpy
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.exceptions import InvalidHandle, InvalidTopicNameException
from rclpy.executors import Executor, MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import Trigger

from wsss_perception.bundle import choose_bundle
from wsss_perception.diagnostics import Snapshot
from wsss_perception.engines.building import build_engine
from wsss_perception.errors import ConfigError, RosError, WsssError
from wsss_perception.memory import keep_freed
from wsss_perception.ros.cameras import LiveCameras
from wsss_perception.ros.changes import check_changes, check_query, with_query
from wsss_perception.ros.diagnostics import Diagnostics, Monitor
from wsss_perception.ros.model import Model, load_model
from wsss_perception.ros.outputs import Outputs, Selection
from wsss_perception.ros.parameters import declare_parameters, read_parameter
from wsss_perception.ros.status import REPORT_PERIOD, Throttle
from wsss_perception.ros.stream import Stream
from wsss_perception.ros.worker import Counters
from wsss_perception.signals import ENDING, end_at_once

_POLL_PERIOD = 0.1
"""Seconds between two looks for a signal."""

_THREADS = 4
"""Of callbacks: clouds, images, transforms, and services that load a model or change the state."""

_MODEL = ("model", "engine", "device", "precision")  # parameters that say what to load

_NO_MOTION = (
    "the model takes images, and parameter 'fixed_frame' is not set: on a robot that moves, their "
    "colours fall beside the points; give it a TF frame such as odom"
)

Transition = Callable[[Any, LifecycleState], None]


def _transition(work: Transition) -> Callable[[Any, LifecycleState], TransitionCallbackReturn]:
    """Makes a lifecycle callback that fails, with the reason in the log, where its work raises."""

    @wraps(work)
    def run(node: Any, state: LifecycleState) -> TransitionCallbackReturn:
        node.error = None
        try:
            work(node, state)
        except WsssError as error:
            node.error = error
            node.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        except Exception:  # rclpy would say nothing of it
            node.get_logger().error(traceback.format_exc())
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    return run


class SegmentNode(LifecycleNode):
    """A lifecycle node: configured it has its model, active it segments.

    Attributes:
        error: why the last transition failed; None if it did not.

    Raises:
        ConfigError: a parameter has a wrong type or value.
    """

    def __init__(self) -> None:
        super().__init__("segment")
        self.error: WsssError | None = None
        declare_parameters(self)
        self._counters = Counters()
        self._may_warn = Throttle(REPORT_PERIOD)
        self._model: Model | None = None
        self._lock = threading.Lock()  # on changes of the model, and what is published of it
        self._release: list[Callable[[], Any]] = []
        self._stream: Stream | None = None
        group = MutuallyExclusiveCallbackGroup()
        self.create_service(Trigger, "~/load_model", self._load_model, callback_group=group)
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._announce_change)

    def start(self) -> None:
        """Configures and activates the node.

        Raises:
            WsssError: a parameter, the calibration file, the bundle or the engine is refused.
        """
        for trigger in (self.trigger_configure, self.trigger_activate):
            if trigger() != TransitionCallbackReturn.SUCCESS:
                raise self.error or RosError("the node cannot start; the log says why")

    def build(self) -> None:
        """Builds the engine for this GPU, and logs where it lies.

        Raises:
            WsssError: the bundle or the engine is refused.
        """
        folder, engine, device, precision = (read_parameter(self, name) for name in _MODEL)
        tell = self.get_logger().info
        build_engine(choose_bundle(folder, tell), engine, device, precision, tell)

    def close(self) -> None:
        """Finishes and publishes the cloud in work, then says what became of all clouds."""
        self._deactivate()
        self._clean_up()
        self.get_logger().info(f"stopped: {self._counters}")

    def tell(self, error: Exception) -> None:
        """Logs an exception that a callback has raised, if it did not lately."""
        text = "".join(traceback.format_exception(error))
        if self._may_warn(text):
            self.get_logger().error(text)

    @_transition
    def on_configure(self, _state: LifecycleState) -> None:
        """Loads the model and opens the topics."""
        if read_parameter(self, "motion_compensation") and not read_parameter(self, "fixed_frame"):
            raise ConfigError("parameter 'motion_compensation' needs 'fixed_frame', such as odom")
        self._cameras = LiveCameras(
            self._image_topics(),
            read_parameter(self, "calibration_file"),
            self._warn,
            self.get_namespace(),
        )
        self._monitor = Monitor(self._counters)
        self._model = with_query(self, self._load())
        reliable = read_parameter(self, "reliability") == "reliable"
        self._outputs = Outputs(self, reliable, self._cameras.names)
        diagnostics = Diagnostics(self, MutuallyExclusiveCallbackGroup(), self._snapshot)
        self._release = [diagnostics.close, self._outputs.close]

    @_transition
    def on_activate(self, _state: LifecycleState) -> None:
        """Subscribes and starts to work."""
        self._monitor.restart()
        self._outputs.announce(self._current_model().spec.ontology)
        self._stream = Stream(
            self, self._current_model, self._cameras, self._outputs, self._monitor, self._warn
        )
        self.get_logger().info(
            f"listening on {self._stream.topic_name}, publishing on {self._outputs.topic_name}"
        )

    @_transition
    def on_deactivate(self, _state: LifecycleState) -> None:
        """Unsubscribes, and publishes the cloud in work."""
        self._deactivate()

    @_transition
    def on_cleanup(self, _state: LifecycleState) -> None:
        """Closes the topics and lets go of the model."""
        self._clean_up()

    @_transition
    def on_shutdown(self, _state: LifecycleState) -> None:
        """Ends the work, from any state."""
        self._deactivate()
        self._clean_up()

    @_transition
    def on_error(self, _state: LifecycleState) -> None:
        """Goes back to the unconfigured state."""
        self._deactivate()
        self._clean_up()

    def _deactivate(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _clean_up(self) -> None:
        with self._lock:
            release, self._release = self._release, []
            for each in release:
                each()
            self._model = None

    def _image_topics(self) -> list[str]:
        topics = read_parameter(self, "image_topics")
        try:
            return [self.resolve_topic_name(topic) for topic in topics]
        except (InvalidTopicNameException, RuntimeError) as error:
            raise ConfigError(f"parameter 'image_topics': {error}") from error

    def _current_model(self) -> Model:
        assert self._model is not None, "the node is not configured"
        return self._model

    def _load(self) -> Model:
        folder, engine, device, precision = (read_parameter(self, name) for name in _MODEL)
        model = load_model(folder, engine, device, precision, self.get_logger().info)
        Selection.of(self).check(model.spec.ontology)
        check_query(self, model.spec, read_parameter(self, "query"))
        self.get_logger().info(str(model))
        paints = model.spec.takes_images and self._cameras.names
        if paints and not read_parameter(self, "fixed_frame"):
            self.get_logger().warning(_NO_MOTION)
        return model

    def _load_model(
        self, _request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        """Swaps the model between two clouds; one that is refused leaves the old one at work."""
        if self._model is None:
            response.message = "the node is not configured, which loads the model"
            return response
        try:
            model = self._load()
        except Exception as error:  # whatever it is, the old model goes on
            response.message = str(error) if isinstance(error, WsssError) else repr(error)
            self.get_logger().error(f"the model stays as it was: {response.message}")
            return response
        with self._lock:
            if self._model is None:
                response.message = "the node was cleaned up in the meantime"
                return response
            self._model = with_query(self, model)
            self._outputs.announce(model.spec.ontology)
        response.success, response.message = True, str(model)
        return response

    def _snapshot(self) -> Snapshot:
        model = self._current_model()
        active = self._stream is not None
        return self._monitor.snapshot(self._cameras.names, str(model.folder), model.engine, active)

    def _warn(self, text: str) -> None:
        if self._may_warn(text):
            self.get_logger().warning(text)

    def _check_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        """Refuses what does not fit the model: names that are no classes, phrases."""
        model = self._model
        try:
            if model is not None:
                check_changes(self, model.spec, parameters)
        except WsssError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _announce_change(self, parameters: list[Parameter]) -> None:
        """Asks for a new ``query``; tells of a new ``min_confidence``, a part of the label info."""
        names = {parameter.name for parameter in parameters}
        with self._lock:
            if self._model is not None and "query" in names:
                self._model = with_query(self, self._model)
            if self._model is not None and "min_confidence" in names:
                self._outputs.announce(self._model.spec.ontology)


def run_node(ros_arguments: Sequence[str]) -> None:
    """Runs the node until SIGINT or SIGTERM; with ``build_only`` it builds its engine alone.

    While it starts or builds, these signals end the process at once; so does a second one later,
    where a model that is being loaded would hold the process for minutes.

    Args:
        ros_arguments: ``--ros-args ...`` as given on the command line; may be empty.

    Raises:
        WsssError: the node cannot start; see ``SegmentNode``.
    """
    keep_freed()
    try:
        rclpy.init(args=list(ros_arguments), signal_handler_options=SignalHandlerOptions.NO)
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"ROS arguments {' '.join(ros_arguments)}: {error}") from error
    try:
        node = SegmentNode()
        with end_at_once():
            if read_parameter(node, "build_only"):
                node.build()
                node.destroy_node()
                return
            if read_parameter(node, "autostart"):
                node.start()
        received = _note_first_signal()
        executor = MultiThreadedExecutor(_THREADS)
        executor.add_node(node)
        try:
            while not received:
                _spin_once(executor, node)
        finally:
            executor.shutdown()
            node.close()
            node.destroy_node()  # others see it go now; the process takes a second to unload torch
    finally:
        rclpy.shutdown()


def _note_first_signal() -> list[int]:
    """Returns the list that the first ending signal will be in; the next one ends the process."""
    received: list[int] = []

    def note(number: int, _frame: object) -> None:
        received.append(number)
        for each in ENDING:
            signal.signal(each, signal.SIG_DFL)

    for number in ENDING:
        signal.signal(number, note)
    return received


def _spin_once(executor: Executor, node: SegmentNode) -> None:
    """Starts the callbacks that are due; one that fails does not end the node."""
    try:
        # rclpy raises it for what a transition has closed while the executor waited for it
        with suppress(InvalidHandle):
            executor.spin_once(timeout_sec=_POLL_PERIOD)
    except Exception as error:
        node.tell(error)
