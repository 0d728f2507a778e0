"""Times what the node adds around the segmenter, for clouds of 120,000 points over DDS.

Prints p50 and p95 in milliseconds: ``PYTHONPATH=src python benchmarks/node_overhead.py``. The
network is one that costs nothing; the time of the segmenter (voxels, network, back to points) is
taken off. "in the node" is from the callback of a cloud to the end of the publication of its
semantic cloud; "round trip" is what a process that publishes and subscribes sees. Runs in the
ROS domain of ROS_DOMAIN_ID, on this host alone.
"""

import argparse
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from sensor_msgs.msg import PointCloud2

from wsss_perception.bundle import ModelSpec, NetworkSpec
from wsss_perception.features import Feature
from wsss_perception.frame import Frame, PointCloud, SemanticCloud
from wsss_perception.geometry import Visible
from wsss_perception.memory import keep_freed
from wsss_perception.messages.point_cloud2 import encode_cloud
from wsss_perception.ontology import load_ontology
from wsss_perception.ros.model import Model
from wsss_perception.ros.pipeline import Pipeline
from wsss_perception.ros.segment_node import SegmentNode
from wsss_perception.ros.session import MESSAGE_TYPES
from wsss_perception.segmenter import Segmenter

POINTS = 120_000
SEGMENTER = ("voxelize", "network", "scatter")
FEATURES = (Feature("x"), Feature("y"), Feature("z"), Feature("intensity"))
WARM_UP = 5  # clouds that are not counted
TIMEOUT = 10.0  # seconds for an answer


class FreeEngine:
    """Labels voxels by their number, at once."""

    name = "free"

    def __init__(self, classes: int) -> None:
        self._rows = np.eye(classes, dtype=np.float32)

    def __call__(
        self, coords: NDArray[np.int32], features: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Returns logits [V, C]."""
        return self._rows[np.arange(len(coords)) % len(self._rows)]


class TimedSegmenter(Segmenter):
    """Notes the seconds of its thread's CPU that it took for the last cloud."""

    cpu = 0.0

    def __call__(self, frame: Frame, visible: tuple[Visible, ...] | None = None) -> SemanticCloud:
        """Segments a frame."""
        begin = time.thread_time()
        result = super().__call__(frame, visible)
        self.cpu = time.thread_time() - begin
        return result


class TimedNode(SegmentNode):
    """The node with an engine that costs nothing; notes the times of its clouds."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, float]] = []
        self.start()
        note_start, note_end = self._monitor.start, self._monitor.publish
        begun = [0.0, 0.0]

        def start(arrival: float) -> None:
            begun[:] = time.monotonic(), time.thread_time()
            note_start(arrival)

        def publish(arrival: float, stages: dict[str, float], *amiss: Any) -> None:
            latency, busy = time.monotonic() - arrival, time.thread_time() - begun[1]
            added = latency - sum(stages[name] for name in SEGMENTER)
            own = {name: value for name, value in stages.items() if name not in SEGMENTER}
            own = {"hand-over": begun[0] - arrival, **own}
            own["publish"] = added - sum(own.values())
            own["in the node"] = added
            own["in the node, CPU of the worker"] = busy - self._segmenter.cpu
            self.rows.append(own)
            note_end(arrival, stages, *amiss)

        self._monitor.start = start  # type: ignore[method-assign]
        self._monitor.publish = publish  # type: ignore[method-assign]

    def _load(self) -> Model:
        ontology = load_ontology("semantic_kitti")
        spec = ModelSpec(ontology, NetworkSpec("small"), FEATURES, voxel_size=0.2)
        engine = FreeEngine(len(ontology))
        self._segmenter = TimedSegmenter(spec, engine)
        return Model(Path("none"), spec, engine.name, Pipeline(self._segmenter))


def make_message() -> PointCloud2:
    """Makes rings of points on the ground and on walls, with 3 channels: 24 bytes a point."""
    rng = np.random.default_rng(0)
    azimuth = rng.uniform(-np.pi, np.pi, POINTS)
    distance = rng.gamma(2.0, 8.0, POINTS) + 2.0
    height = np.where(rng.random(POINTS) < 0.6, -1.7, rng.uniform(-1.7, 3.0, POINTS))
    xyz = np.stack([distance * np.cos(azimuth), distance * np.sin(azimuth), height], axis=1)
    names = ("intensity", "ring", "time")
    channels = {name: rng.random(POINTS, dtype=np.float32) for name in names}
    return encode_cloud(PointCloud(xyz.astype(np.float32), channels), MESSAGE_TYPES)


def publish_clouds(count: int, period: float) -> None:
    """Publishes clouds, each after the answer to the last, and prints the round trips' seconds."""
    rclpy.init()
    node = rclpy.create_node("publisher")
    answers: list[float] = []
    node.create_subscription(
        PointCloud2, "semantic_points", lambda _: answers.append(time.perf_counter()), 5
    )
    publisher = node.create_publisher(PointCloud2, "points", 5)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while not (publisher.get_subscription_count() and node.count_publishers("semantic_points")):
        executor.spin_once(timeout_sec=0.1)
    message = make_message()
    for number in range(count):
        message.header.stamp.sec = number + 1
        sent = time.perf_counter()
        publisher.publish(message)
        while len(answers) <= number:
            executor.spin_once(timeout_sec=0.1)
            if time.perf_counter() - sent > TIMEOUT:
                raise SystemExit(f"no answer to cloud {number} in {TIMEOUT:.0f} s")
        print(answers[number] - sent, flush=True)
        time.sleep(max(period - (time.perf_counter() - sent), 0.0))
    rclpy.shutdown()


def main() -> None:
    """Runs the node here and the publisher in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clouds", type=int, default=100)
    parser.add_argument("--period", type=float, default=0.1, help="seconds between two clouds")
    parser.add_argument("--publisher", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    count = arguments.clouds + WARM_UP
    if arguments.publisher:
        publish_clouds(count, arguments.period)
        return
    keep_freed()  # as the node's command does
    rclpy.init()
    node = TimedNode()
    executor = MultiThreadedExecutor(4)
    executor.add_node(node)
    threading.Thread(target=executor.spin, daemon=True).start()
    options = ("--clouds", str(arguments.clouds), "--period", str(arguments.period))
    words = [sys.executable, __file__, "--publisher", *options]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    node.close()
    executor.shutdown()
    rclpy.shutdown()
    table = {name: [row[name] for row in node.rows] for name in node.rows[0]}
    table["round trip, with the segmenter"] = [float(line) for line in done.stdout.split()]
    print(f"{arguments.clouds} clouds of {POINTS} points{'':<16}p50 ms  p95 ms")
    for name, values in table.items():
        p50, p95 = np.percentile(values[WARM_UP:], [50, 95]) * 1e3
        print(f"{name:<40}{p50:8.2f}{p95:8.2f}")


if __name__ == "__main__":
    main()
