"""The node as a process of its own, spoken to over DDS."""

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed: make install")

from builtin_interfaces.msg import Time  # noqa: E402
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue  # noqa: E402
from rcl_interfaces.srv import SetParameters  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.qos import QoSProfile, ReliabilityPolicy  # noqa: E402
from sensor_msgs.msg import PointCloud2, PointField  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from wsss_perception.bundle import Bundle, default_bundle, read_caution  # noqa: E402
from wsss_perception.engines import load_engine  # noqa: E402
from wsss_perception.frame import Frame, PointCloud  # noqa: E402
from wsss_perception.messages.point_cloud2 import decode, encode_cloud  # noqa: E402
from wsss_perception.segmenter import Segmenter  # noqa: E402

TYPES = {
    "builtin_interfaces/msg/Time": Time,
    "sensor_msgs/msg/PointCloud2": PointCloud2,
    "sensor_msgs/msg/PointField": PointField,
    "std_msgs/msg/Header": Header,
}
START_TIMEOUT = 60.0
ANSWER_TIMEOUT = 15.0
STAMPS = itertools.count(1_000_000_000, 100_000_000)
DOMAINS = itertools.count(1 + os.getpid() % 90)


class NodeProcess:
    """A running node and a client of it in this process, alone in their ROS domain."""

    def __init__(
        self,
        folder: Path,
        *parameters: str,
        reliability: ReliabilityPolicy = ReliabilityPolicy.RELIABLE,
    ) -> None:
        self._log = folder / "log.txt"
        domain = next(DOMAINS)
        environment = {**os.environ, "ROS_DOMAIN_ID": str(domain), "ROS_LOG_DIR": str(folder)}
        words = itertools.chain.from_iterable(("-p", parameter) for parameter in parameters)
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "wsss_perception", "segment", "--ros-args", *words],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.context = rclpy.Context()
        self.context.init(domain_id=domain)
        self.client = rclpy.create_node("client", context=self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.client)
        qos = QoSProfile(depth=40, reliability=reliability)
        self.answers: list[PointCloud2] = []
        self.client.create_subscription(PointCloud2, "semantic_points", self.answers.append, qos)
        self._publisher = self.client.create_publisher(PointCloud2, "points", qos)
        self.spin_until(
            lambda: (
                self._publisher.get_subscription_count()
                and self.client.count_publishers("semantic_points")
            ),
            START_TIMEOUT,
        )

    def log(self) -> str:
        return self._log.read_text()

    def publish(self, message: PointCloud2) -> None:
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(next(STAMPS), 10**9)
        self._publisher.publish(message)

    def segment(self, message: PointCloud2) -> PointCloud2:
        """Publishes a cloud and waits for its answer."""
        self.publish(message)
        answers: list[PointCloud2] = []

        def answered() -> bool:
            answers[:] = [answer for answer in self.answers if answer.header == message.header]
            return bool(answers)

        self.spin_until(answered, ANSWER_TIMEOUT)
        return answers[0]

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

    def set_parameter(self, name: str, **value: Any) -> str:
        """Sets a parameter; returns the reason for a refusal, empty if it was set."""
        service = self.client.create_client(SetParameters, "segment/set_parameters")
        self.spin_until(service.service_is_ready, ANSWER_TIMEOUT)
        request = SetParameters.Request()
        request.parameters = [Parameter(name=name, value=ParameterValue(**value))]
        future = service.call_async(request)
        self.spin_until(future.done, ANSWER_TIMEOUT)
        (result,) = future.result().results
        assert result.successful != bool(result.reason)
        return result.reason

    def stop(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(ANSWER_TIMEOUT)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._executor.shutdown()
        self.client.destroy_node()
        self.context.try_shutdown()


def counters(log: str) -> dict[str, int]:
    (line,) = re.findall(r"stopped: (.*)", log)
    return {name: int(number) for number, name in re.findall(r"(\d+) (\w+)", line)}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., NodeProcess]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        started: list[NodeProcess] = []

        def start(*parameters: str, **publisher: ReliabilityPolicy) -> NodeProcess:
            started.append(NodeProcess(tmp_path_factory.mktemp("node"), *parameters, **publisher))
            return started[-1]

        yield start
        for node in started:
            node.close()


@pytest.fixture(scope="module")
def node(nodes: Callable[..., NodeProcess], bundle: Bundle) -> NodeProcess:
    return nodes(f"model:={bundle.folder}", "device:=cpu")


@pytest.fixture(scope="module")
def segmenter(bundle: Bundle) -> Segmenter:
    return Segmenter(bundle.spec, load_engine("spconv", bundle, "cpu"))


def check_answer(answer: PointCloud2, message: PointCloud2, segmenter: Segmenter) -> None:
    """The input's points in order, its header and fields, and the labels of the segmenter."""
    before, after = decode(message), decode(answer)
    assert answer.header == message.header
    assert (answer.height, answer.width) == (message.height, message.width)
    np.testing.assert_array_equal(after.xyz, before.xyz)
    np.testing.assert_array_equal(after.channels["intensity"], before.channels["intensity"])
    expected = segmenter(Frame(before))
    agreement = np.count_nonzero(after.channels["label"] == expected.labels)
    assert agreement >= 0.999 * len(before)
    assert set(after.channels) == {"intensity", "label", "confidence", "seen", "rgb"}


def test_node_answers_a_cloud_point_by_point(node, make_message, segmenter):
    message = make_message(TYPES)
    check_answer(node.segment(message), message, segmenter)


def test_node_answers_odd_clouds(node, make_message, odd_cloud, segmenter):
    message = make_message(TYPES)
    odd_cloud(message)
    check_answer(node.segment(message), message, segmenter)


def test_node_names_what_is_wrong_with_bad_clouds_and_goes_on(node, make_message, bad_clouds):
    for damage, reason in bad_clouds.values():
        message = make_message(TYPES)
        damage(message)
        node.publish_until_logged(message, reason)
    node.segment(make_message(TYPES))


def test_node_changes_min_confidence_while_it_runs(node, make_message):
    real = {"type": ParameterType.PARAMETER_DOUBLE}
    assert node.set_parameter("min_confidence", double_value=1.0, **real) == ""
    labels = decode(node.segment(make_message(TYPES))).channels["label"]
    assert (labels == 255).all()
    assert "out of range" in node.set_parameter("min_confidence", double_value=1.5, **real)
    assert node.set_parameter("min_confidence", double_value=0.0, **real) == ""


def test_node_refuses_another_model_while_it_runs(node):
    text = {"type": ParameterType.PARAMETER_STRING, "string_value": "/other"}
    assert "read-only" in node.set_parameter("model", **text)


def test_node_warns_once_of_a_foreign_intensity_scale(node, make_message):
    assert "intensity_scale" not in node.log()
    for _ in range(2):
        message = make_message(TYPES)
        np.frombuffer(message.data, np.float32).reshape(-1, 4)[:, 3] *= 255
        node.segment(message)
    assert node.log().count("set the parameter 'intensity_scale'") == 1


@pytest.mark.real_data
def test_node_answers_real_sweeps(node, data_root, segmenter):
    folder = data_root / "kitti_raw" / "2011_09_26"
    for path in sorted(folder.glob("*/velodyne_points/data/*.bin"))[:2]:
        points = np.fromfile(path, np.float32).reshape(-1, 4)
        cloud = PointCloud(points[:, :3], {"intensity": points[:, 3]}, 0, "velodyne")
        message = encode_cloud(cloud, TYPES)
        check_answer(node.segment(message), message, segmenter)


def test_node_takes_the_newest_of_a_burst(node, make_message):
    node.segment(make_message(TYPES))
    node.answers.clear()
    messages = [make_message(TYPES) for _ in range(30)]
    for message in messages:
        node.publish(message)
    node.segment(make_message(TYPES))
    stamps = [(m.header.stamp.sec, m.header.stamp.nanosec) for m in node.answers]
    assert stamps == sorted(stamps)
    assert len(stamps) <= len(messages) + 1


def test_node_stops_on_sigterm_with_every_cloud_accounted_for(node):
    assert node.stop(signal.SIGTERM) == 0
    assert "Traceback" not in node.log()
    counts = counters(node.log())
    assert counts["received"] == counts["published"] + counts["dropped"] + counts["failed"]
    assert counts["published"] > 0
    assert counts["failed"] > 0


def test_node_hears_best_effort_publishers_and_stops_on_sigint(nodes, bundle, make_message):
    node = nodes(
        f"model:={bundle.folder}",
        "device:=cpu",
        "reliability:=best_effort",
        reliability=ReliabilityPolicy.BEST_EFFORT,
    )
    node.segment(make_message(TYPES))
    assert "is best-effort: so is the subscription now" in node.log()
    for _ in range(10):
        node.publish(make_message(TYPES))
    assert node.stop(signal.SIGINT) == 0
    counts = counters(node.log())
    assert counts["published"] >= 1
    assert counts["received"] == counts["published"] + counts["dropped"] + counts["failed"]
    assert "Traceback" not in node.log()


def test_node_without_a_model_runs_the_default_one_and_logs_its_caution(nodes, make_message):
    folder = default_bundle()
    node = nodes("device:=cpu")
    message = make_message(TYPES)
    assert len(decode(node.segment(message))) == len(decode(message))
    (line,) = re.findall(r"default model .*", node.log())
    assert str(folder) in line
    assert read_caution(folder) in line
    assert node.stop(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--ros-args", "-p", "model:=/nowhere"], "/nowhere: not a model bundle"),
        (["--ros-args", "-p", "min_confidence:=2.0"], "parameter 'min_confidence'"),
        (["--ros-args", "-p", "min_confidence:=1"], "write a DOUBLE with its point"),
        (["--ros-args", "-p", "reliability:=maybe"], "not one of reliable, best_effort"),
        (["--ros-args", "-p", "model"], "ROS arguments --ros-args -p model"),
    ],
)
def test_node_that_cannot_start_says_why(words, reason, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "wsss_perception", "segment", *words],
        env={**os.environ, "ROS_LOG_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT,
    )
    assert done.returncode == 2
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
