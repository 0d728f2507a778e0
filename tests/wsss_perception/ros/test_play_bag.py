"""Player and recorder as processes of their own, spoken to over DDS."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed: make install")

from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from rclpy.serialization import deserialize_message  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from sensor_msgs.msg import Image, PointCloud2  # noqa: E402
from std_msgs.msg import String  # noqa: E402

from wsss_perception.bag import BagWriter, open_bag  # noqa: E402
from wsss_perception.bag.writer import reliable_qos  # noqa: E402
from wsss_perception.messages import image  # noqa: E402

STORE = get_typestore(Stores.ROS2_JAZZY)
STORE.register(get_types_from_msg("uint8 mood\n", "robot_msgs/msg/Chatter"))
CLOUD, IMAGE, TEXT = "sensor_msgs/msg/PointCloud2", "sensor_msgs/msg/Image", "std_msgs/msg/String"
PERIOD, START, FRAMES = 200_000_000, 1_700_000_000_000_000_000, 6
TIMEOUT = 180.0
DOMAINS = count(5 + os.getpid() % 80)
LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Graph:
    """A ROS domain of a test's own: commands as processes, and a node in this process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._domain = next(DOMAINS)
        self._started: list[subprocess.Popen] = []
        self._context = rclpy.Context()
        self._context.init(domain_id=self._domain)
        self.node = rclpy.create_node("client", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)

    def start(self, *words: Any) -> subprocess.Popen:
        environment = {
            **os.environ,
            "ROS_DOMAIN_ID": str(self._domain),
            "ROS_LOG_DIR": str(self._folder / "log"),
            "PYTHONUNBUFFERED": "1",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "wsss_perception", *map(str, words)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def listen(self, message_class: type, topic: str, qos: QoSProfile | int = 1000) -> list[bytes]:
        arrived: list[bytes] = []
        self.node.create_subscription(message_class, topic, arrived.append, qos, raw=True)
        return arrived

    def spin_until(self, done: Callable[[], Any], timeout: float = TIMEOUT) -> None:
        deadline = time.monotonic() + timeout
        while not done():
            assert time.monotonic() < deadline, f"not done in {timeout} s"
            self._executor.spin_once(timeout_sec=0.02)

    def finish(self, process: subprocess.Popen, number: int | None = None) -> tuple[str, str]:
        """Waits for the end, after a signal if one is given; returns what it printed."""
        if number is not None:
            process.send_signal(number)
        out, err = process.communicate(timeout=TIMEOUT)
        assert "Traceback" not in err
        return out, err

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.communicate()
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Graph]:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    graph = Graph(tmp_path)
    yield graph
    graph.close()


@pytest.fixture
def bag(tmp_path: Path, make_message: Callable[..., Any]) -> Path:
    """A bag of clouds, images and texts, some of which nobody can publish."""
    with BagWriter(tmp_path / "bag", "sqlite3", STORE) as writer:
        points, images = writer.add_topic("/points", CLOUD), writer.add_topic("/image", IMAGE)
        robot = writer.add_topic("/robot", TEXT, reliable_qos(1, latched=True))
        transforms = writer.add_topic("/tf", "tf2_msgs/msg/TFMessage")
        chatter = writer.add_topic("/chatter", "robot_msgs/msg/Chatter")
        for number in range(FRAMES):
            stamp = START + number * PERIOD
            writer.write(points, stamp, make_message(STORE.types, stamp))
            pixels = np.random.default_rng(number).integers(0, 256, (5, 7, 3), np.uint8)
            picture = image.encode_rgb8(pixels, stamp, "camera", STORE.types)
            writer.write(images, stamp + 1000, picture)
            writer.write(robot, stamp + 2000, STORE.types[TEXT](data="x" * number))
            writer.write(transforms, stamp, STORE.types["tf2_msgs/msg/TFMessage"](transforms=[]))
            writer.write(chatter, stamp, STORE.types["robot_msgs/msg/Chatter"](mood=number))
    return tmp_path / "bag"


def stored(path: Path, topic: str) -> list[bytes]:
    """The messages of a topic as they arrive: DDS pads them to a multiple of 4 bytes."""
    with open_bag(path) as bag:
        messages = [bytes(message.data) for message in bag.messages(bag.on_topic(topic))]
    return [data + bytes(-len(data) % 4) for data in messages]


def test_a_bag_is_played_byte_for_byte_in_order_and_at_its_rate(graph, bag):
    pictures, texts = graph.listen(Image, "/image"), graph.listen(String, "/robot", LATCHED)
    clouds, times = [], []  # the player waits for who listens to clouds, and so for the others

    def arrive(data: bytes, info: dict[str, int]) -> None:
        clouds.append(data)
        times.append(info["source_timestamp"])

    graph.node.create_subscription(PointCloud2, "/points", arrive, 1000, raw=True)
    player = graph.start("play-bag", bag, "--rate", 0.5)
    graph.spin_until(lambda: player.poll() is not None)
    graph.spin_until(lambda: len(clouds) == len(pictures) == len(texts) == FRAMES)
    assert clouds == stored(bag, "/points")
    assert pictures == stored(bag, "/image")
    assert texts == stored(bag, "/robot")
    assert times[-1] - times[0] > 0.6 * (FRAMES - 1) * PERIOD / 0.5  # the first may be late
    out, err = graph.finish(player)
    assert player.returncode == 0
    assert all(f"{topic}: {FRAMES}\n" in out for topic in ("/points", "/image", "/robot"))
    reason = "the message type robot_msgs/msg/Chatter is not installed"
    assert f"/chatter: skipped, {reason}" in out
    assert err.count(f"/chatter is skipped: {reason}") == 1
    assert ("/tf: skipped" in out) == (find_spec("tf2_msgs") is None)


def test_a_loop_begins_anew_with_its_clock_until_sigint(graph, bag):
    clock, clouds = graph.listen(Clock, "/clock"), graph.listen(PointCloud2, "/points")
    player = graph.start("play-bag", bag, "--rate", 4, "--loop", "--clock", 100)
    graph.spin_until(lambda: len(clouds) >= 3 * FRAMES)
    (info,) = graph.node.get_publishers_info_by_topic("/robot")
    assert info.qos_profile.durability is DurabilityPolicy.TRANSIENT_LOCAL
    out, _ = graph.finish(player, signal.SIGINT)
    assert player.returncode == 0
    assert "/robot: " in out
    assert clouds[: 3 * FRAMES] == 3 * stored(bag, "/points")
    messages = [deserialize_message(data, Clock).clock for data in clock]
    times = [message.sec * 10**9 + message.nanosec - START for message in messages]
    tick = 4 * 10_000_000  # nanoseconds of the bag between two of 100 Hz, at rate 4
    assert {time % tick for time in times} == {0}
    assert max(times) == (FRAMES - 1) * PERIOD
    assert sum(after < before for before, after in pairwise(times)) >= 2
    assert len(times) > 2 * FRAMES * PERIOD / tick


def test_a_type_that_is_another_one_here_is_skipped(graph, tmp_path):
    other = get_typestore(Stores.EMPTY)
    other.register(get_types_from_msg("string[] words\n", TEXT))
    with BagWriter(tmp_path / "other", "mcap", other) as writer:
        text = writer.add_topic("/text", TEXT)
        writer.write(text, START, other.types[TEXT](words=["a"]))
    player = graph.start("play-bag", tmp_path / "other")
    _, err = graph.finish(player)
    assert player.returncode == 2
    assert "has no message that can be played; /text: the message type" in err
    assert "is another one than is installed" in err


def test_what_is_before_the_damage_is_played(graph, tmp_path):
    writer = Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.SQLITE3)
    writer.set_compression(CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    with writer:
        text = writer.add_connection("/robot", TEXT, typestore=STORE)
        for number in range(FRAMES):
            data = STORE.serialize_cdr(STORE.types[TEXT](data=f"text {number}"), TEXT)
            writer.write(text, START + number, data)
    path = next((tmp_path / "bag").glob("*.db3"))
    frame, rest = b"\x28\xb5\x2f\xfd", path.read_bytes()
    position = rest.index(frame)  # of the last message: SQLite fills its pages from the end
    path.write_bytes(rest[:position] + b"####" + rest[position + 4 :])
    texts = graph.listen(String, "/robot")
    player = graph.start("play-bag", tmp_path / "bag")
    graph.spin_until(lambda: player.poll() is not None and len(texts) == FRAMES - 1)
    out, err = graph.finish(player)
    assert player.returncode == 2
    assert f"damaged after {FRAMES - 1} messages" in err
    assert f"/robot: {FRAMES - 1}\n" in out


@pytest.mark.parametrize("words", [["--rate", "0"], ["--rate", "nan"], ["--clock", "-1"]])
def test_rates_that_are_not_positive_are_refused(graph, bag, words):
    player = graph.start("play-bag", bag, *words)
    _, err = graph.finish(player)
    assert player.returncode == 2
    assert "is not a positive number" in err


def record(graph: Graph, publish: int, bag: Path, *words: Any) -> tuple[subprocess.Popen, list]:
    """Starts a recorder and publishes texts and a cloud to it; returns it and the publishers."""
    texts = graph.node.create_publisher(String, "/robot", LATCHED)
    clouds = graph.node.create_publisher(PointCloud2, "/points", 10)
    texts.publish(stored(bag, "/robot")[0])
    recorder = graph.start("record-bag", *words)
    graph.spin_until(lambda: texts.get_subscription_count() and clouds.get_subscription_count())
    for data in stored(bag, "/robot")[1:publish]:
        texts.publish(data)
    clouds.publish(stored(bag, "/points")[0])
    return recorder, [texts, clouds]


def test_a_recording_ends_with_its_publishers_and_is_byte_for_byte(graph, bag, tmp_path):
    words = (tmp_path / "new", "/points", "robot")
    before = time.time_ns()
    recorder, publishers = record(graph, FRAMES, bag, *words)
    for publisher in publishers:
        assert publisher.wait_for_all_acked()
        graph.node.destroy_publisher(publisher)
    out, _ = graph.finish(recorder)
    assert recorder.returncode == 0
    assert f"1 of /points, {FRAMES} of /robot" in out
    assert stored(tmp_path / "new", "/robot") == stored(bag, "/robot")
    assert stored(tmp_path / "new", "/points") == stored(bag, "/points")[:1]
    with open_bag(tmp_path / "new") as new:
        qos = {c.topic: c.ext.offered_qos_profiles[0] for c in new.connections}
        assert qos == {"/points": reliable_qos(), "/robot": reliable_qos(latched=True)}
        assert all(before < message.received < time.time_ns() for message in new.messages())


def test_a_recording_ends_at_its_count(graph, bag, tmp_path):
    recorder, _ = record(graph, FRAMES, bag, tmp_path / "new", "/robot", "/points", "--count", 3)
    graph.finish(recorder)
    assert recorder.returncode == 0
    with open_bag(tmp_path / "new") as new:
        assert len(list(new.messages())) == 3


def test_a_recording_ends_on_sigterm_and_names_what_never_appeared(graph, bag, tmp_path):
    words = (tmp_path / "new", "/robot", "/points", "/absent")
    recorder, publishers = record(graph, FRAMES, bag, *words)
    assert all(publisher.wait_for_all_acked() for publisher in publishers)
    out, _ = graph.finish(recorder, signal.SIGTERM)
    assert recorder.returncode == 0
    assert "/absent never appeared" in out
    assert stored(tmp_path / "new", "/robot") == stored(bag, "/robot")
    assert stored(tmp_path / "new", "/points") == stored(bag, "/points")[:1]


def test_a_recording_of_nothing_leaves_no_bag(graph, tmp_path):
    publisher = graph.node.create_publisher(String, "/robot", 1)
    recorder = graph.start("record-bag", tmp_path / "new", "/robot")
    graph.spin_until(publisher.get_subscription_count)
    _, err = graph.finish(recorder, signal.SIGINT)
    assert recorder.returncode == 2
    assert "nothing was recorded, so there is no bag: 0 of /robot" in err
    assert [path.name for path in tmp_path.iterdir() if path.name != "log"] == []
