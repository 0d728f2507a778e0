"""The node ``segment`` as a process of its own, and a client of it, alone in their ROS domain."""

import itertools
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger

START_TIMEOUT = 180.0
ANSWER_TIMEOUT = 30.0
_STAMPS = itertools.count(1_000_000_000, 100_000_000)
_DOMAINS = itertools.count(1 + os.getpid() % 90)


class NodeProcess:
    """A running node and a client of it in this process.

    Args:
        folder: for the log.
        parameters: of the node, such as ``device:=cpu``.
        reliability: of the client's clouds, in and out.
        autostart: whether to wait until the node is active; otherwise until it can be asked for
            its state.
        domain: of ROS; one of its own by default.
        namespace: of the node and of the client.
        program: of Python, which starts the package's commands.
    """

    def __init__(
        self,
        folder: Path,
        *parameters: str,
        reliability: ReliabilityPolicy = ReliabilityPolicy.RELIABLE,
        autostart: bool = True,
        domain: int | None = None,
        namespace: str = "",
        program: Sequence[str] = ("-m", "wsss_perception"),
    ) -> None:
        self._log = folder / "log.txt"
        self.domain = next(_DOMAINS) if domain is None else domain
        self._environment = {
            **os.environ,
            "ROS_DOMAIN_ID": str(self.domain),
            "ROS_LOG_DIR": str(folder),
        }
        given = (*parameters, f"autostart:={str(autostart).lower()}")
        words = itertools.chain.from_iterable(("-p", parameter) for parameter in given)
        self._words = [*program, "segment", "--ros-args", *words, "-r", f"__ns:=/{namespace}"]
        self.process = self._start()
        self.context = rclpy.Context()
        self.context.init(domain_id=self.domain)
        self.client = rclpy.create_node("client", context=self.context, namespace=namespace)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.client)
        self._clients: dict[str, Any] = {}
        qos = QoSProfile(depth=40, reliability=reliability)
        self.answers: list[PointCloud2] = []
        self.client.create_subscription(PointCloud2, "semantic_points", self.answers.append, qos)
        self._publisher = self.client.create_publisher(PointCloud2, "points", qos)
        if autostart:
            self.wait_until_active()
        else:
            self.state()

    def _start(self) -> subprocess.Popen:
        with self._log.open("w") as log:
            return subprocess.Popen(
                [sys.executable, *self._words],
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def restart(self) -> None:
        """Starts the node anew, with a new log, when its process has ended; does not wait."""
        assert self.process.poll() is not None
        self.process = self._start()

    def wait_until_active(self) -> None:
        self.spin_until(
            lambda: (
                "publishing on" in self.log()
                and self._publisher.get_subscription_count()
                and self.client.count_publishers("semantic_points")
            ),
            START_TIMEOUT,
        )

    def log(self) -> str:
        return self._log.read_text()

    def counters(self) -> dict[str, int]:
        """What the node says of its clouds when it stops."""
        (line,) = re.findall(r"stopped: (.*)", self.log())
        return {name: int(number) for number, name in re.findall(r"(\d+) (\w+)", line)}

    def collect(self, message_class: type, topic: str, qos: QoSProfile | int = 10) -> list[Any]:
        """Subscribes; returns the list that the messages will be in."""
        messages: list[Any] = []
        self.client.create_subscription(message_class, topic, messages.append, qos)
        return messages

    def publish(self, message: PointCloud2) -> None:
        """Publishes a cloud with a stamp of its own."""
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(next(_STAMPS), 10**9)
        self.publish_as_is(message)

    def publish_as_is(self, message: PointCloud2) -> None:
        self._publisher.publish(message)

    def segment(self, message: PointCloud2) -> PointCloud2:
        """Publishes a cloud and waits for its answer."""
        self.publish(message)
        return self.answer_to(message)

    def answer_to(self, message: PointCloud2) -> PointCloud2:
        """Waits for the semantic cloud of a cloud."""
        answers: list[PointCloud2] = []

        def answered() -> bool:
            answers[:] = [answer for answer in self.answers if answer.header == message.header]
            return bool(answers)

        self.spin_until(answered, ANSWER_TIMEOUT)
        return answers[0]

    def segment_until(self, message: PointCloud2, done: Callable[[], Any]) -> list[PointCloud2]:
        """Publishes clouds, each when the last one is answered, so that no speed drops one.

        Returns:
            Their answers.
        """
        answers: list[PointCloud2] = []
        deadline = time.monotonic() + START_TIMEOUT
        while not done():
            assert time.monotonic() < deadline, self.log()
            answers.append(self.segment(message))
        return answers

    def publish_until_logged(self, message: PointCloud2, text: str) -> None:
        deadline = time.monotonic() + ANSWER_TIMEOUT
        while text not in self.log():
            assert time.monotonic() < deadline, f"'{text}' is not in the log:\n{self.log()}"
            self.publish(message)
            self.spin_until(lambda: text in self.log(), 1.0, fail=False)

    def spin_until(self, done: Callable[[], Any], timeout: float, fail: bool = True) -> bool:
        deadline = time.monotonic() + timeout
        while not done():
            if time.monotonic() > deadline or self.process.poll() is not None:
                assert not fail, f"not ready in {timeout} s; the node's log:\n{self.log()}"
                return False
            self._executor.spin_once(timeout_sec=0.02)
        return True

    def spin_once(self, seconds: float) -> None:
        """Handles one callback; waits for it up to some seconds."""
        self._executor.spin_once(timeout_sec=max(seconds, 0.0))

    def call(self, service_class: type, name: str, request: Any, timeout: float) -> Any:
        """Calls a service of the node and waits for the response."""
        if name not in self._clients:
            self._clients[name] = self.client.create_client(service_class, f"segment/{name}")
        self.spin_until(self._clients[name].service_is_ready, START_TIMEOUT)
        future = self._clients[name].call_async(request)
        self.spin_until(future.done, timeout)
        return future.result()

    def state(self) -> str:
        return self.call(
            GetState, "get_state", GetState.Request(), ANSWER_TIMEOUT
        ).current_state.label

    def change_state(self, transition: int) -> bool:
        """Makes a lifecycle transition; returns whether it succeeded."""
        request = ChangeState.Request(transition=Transition(id=transition))
        return self.call(ChangeState, "change_state", request, START_TIMEOUT).success

    def load_model(self) -> Trigger.Response:
        return self.call(Trigger, "load_model", Trigger.Request(), START_TIMEOUT)

    def set_parameter(self, name: str, value: str | float | bool | list[str]) -> str:
        """Sets a parameter; returns the reason for a refusal, empty if it was set."""
        kind, field = _FIELDS[type(value)]
        request = SetParameters.Request()
        request.parameters = [
            Parameter(name=name, value=ParameterValue(type=kind, **{field: value}))
        ]
        response = self.call(SetParameters, "set_parameters", request, ANSWER_TIMEOUT)
        (result,) = response.results
        assert result.successful != bool(result.reason)
        return result.reason

    def stop(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(START_TIMEOUT)

    def close(self) -> None:
        self.process.terminate()  # a killed one leaves its shared memory
        try:
            self.process.wait(ANSWER_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._executor.shutdown()
        self.client.destroy_node()
        self.context.try_shutdown()


_FIELDS = {
    str: (ParameterType.PARAMETER_STRING, "string_value"),
    float: (ParameterType.PARAMETER_DOUBLE, "double_value"),
    bool: (ParameterType.PARAMETER_BOOL, "bool_value"),
    list: (ParameterType.PARAMETER_STRING_ARRAY, "string_array_value"),
}
