"""A stream of the node at a desk that keeps what it hands in, with a model that takes no time."""

import os
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter

from wsss_perception.calibration import CameraCalibration, write_calibration
from wsss_perception.errors import GeometryError
from wsss_perception.frame import Frame, PointCloud, SemanticCloud
from wsss_perception.geometry import Camera
from wsss_perception.messages import image
from wsss_perception.ros.cameras import LiveCameras
from wsss_perception.ros.parameters import declare_parameters
from wsss_perception.ros.pipeline import Result
from wsss_perception.ros.session import MESSAGE_TYPES as TYPES
from wsss_perception.ros.stream import Stream
from wsss_perception.ros.worker import Counters

CAMERA = Camera(16, 12, np.array([[8.0, 0, 8], [0, 8.0, 6], [0, 0, 1]]))
PIXELS = np.zeros((12, 16, 3), dtype=np.uint8)
PATIENCE = 10.0
"""Longest that an overlay waits for its image, in seconds: all that is allowed."""

_TIMEOUT = 30.0


class Desk:
    """Where a stream's results and reports go, in their order."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.drawn: list[int] = []
        self.unused: list[dict[str, str]] = []
        self.seconds: dict[str, float] = {}
        self.warnings: list[str] = []
        self.counters = Counters()
        self.is_heard = True
        self.amiss: list[tuple[bool, bool]] = []
        self.gives_labels = self.is_in_range = True
        self.pixels: list[list[int]] = []  # of each cloud's views, how many numbers
        self.is_query_heard = False
        self.is_broken = False  # what is published of a cloud
        self.queries: list[Any] = []

    def is_overlaid(self, _camera: str) -> bool:
        return self.is_heard

    def publish_semantic(self, message: Any) -> None:
        self.events.append("cloud")

    def publish_parts(self, result: Result, ontology: Any) -> None:
        self.events.append("parts")
        if self.is_broken:
            raise ValueError("no parts")

    def publish_query(self, message: Any, similarity: np.ndarray) -> None:
        self.events.append(f"query of {stamp_of(message)}")

    def publish_overlay(self, view: Any, frame_id: str, result: Result, ontology: Any) -> None:
        if self.is_broken and view.name == "front":
            raise GeometryError("front is lost")
        self.drawn.append(view.stamp)

    def start(self, arrival: float) -> None:
        pass

    def publish(
        self,
        arrival: float,
        seconds: dict[str, float],
        unused: dict[str, str],
        is_unlabelled: bool,
        is_out_of_range: bool,
    ) -> None:
        self.unused.append(dict(unused))
        self.amiss.append((is_unlabelled, is_out_of_range))

    def add(self, seconds: dict[str, float]) -> None:
        self.events.append("done")
        self.seconds |= seconds

    def fail(self, reason: str) -> None:
        self.events.append(reason)

    def pipeline(
        self, message: Any, _low: float, _scale: float, views: Any, _motion: Any, query: Any
    ) -> Result:
        cloud = PointCloud(np.zeros((0, 3), np.float32), {}, stamp_of(message), "lidar")
        self.queries.append(query)
        similarity = None if query is None else np.zeros(0, np.float32)
        semantic = SemanticCloud(*(np.zeros(0, np.uint8) for _ in range(3)), similarity)
        frame = Frame(cloud, views())
        self.pixels.append([view.image.size for view in frame.views])
        amiss = not self.gives_labels, not self.is_in_range
        return Result(message, frame, semantic, {}, [], ((),), *amiss)

    def wait_for(self, done: Callable[[], Any]) -> None:
        deadline = time.monotonic() + _TIMEOUT
        while not done():
            assert time.monotonic() < deadline, (self.events, self.warnings)
            time.sleep(0.002)


class Rig:
    """A stream at a desk, and messages for it."""

    def __init__(self, folder, cameras: tuple[str, ...] = ("front",), **parameters: Any) -> None:
        self.context = Context()
        self.context.init(domain_id=1 + os.getpid() % 90)
        parameters = {"camera_wait": PATIENCE, **parameters}
        self.node = Node(
            "stream",
            context=self.context,
            parameter_overrides=[Parameter(n, value=v) for n, v in parameters.items()],
        )
        declare_parameters(self.node)
        self.desk = Desk()
        path = folder / "calibration.yaml"
        placed = CameraCalibration(CAMERA, np.eye(4))
        write_calibration(path, dict.fromkeys(cameras, placed))
        topics = [f"/{camera}/image" for camera in cameras]
        self.cameras = LiveCameras(topics, path, self.desk.warnings.append)
        spec = SimpleNamespace(takes_images=False, ontology=None)
        self.model = SimpleNamespace(spec=spec, pipeline=self.desk.pipeline, query=None)
        self.stream: Stream | None = None

    def open(self) -> Stream:
        desk = self.desk
        self.stream = Stream(
            self.node, lambda: self.model, self.cameras, desk, desk, desk.warnings.append
        )
        return self.stream

    def send_image(self, stamp: int, pixels: np.ndarray = PIXELS, camera: str = "front") -> Any:
        message = image.encode_rgb8(pixels, stamp, f"{camera}_optical", TYPES)
        self.stream._add_image(camera, message)
        return message

    def send_cloud(self, stamp: int, frame: str = "lidar") -> None:
        header = SimpleNamespace(stamp=SimpleNamespace(sec=0, nanosec=0), frame_id=frame)
        header.stamp.sec, header.stamp.nanosec = divmod(stamp, 10**9)
        self.stream._add_cloud(SimpleNamespace(header=header, data=b""))

    def close(self) -> None:
        if self.stream is not None:
            self.stream.close()
        self.node.destroy_node()
        self.context.try_shutdown()


def stamp_of(message: Any) -> int:
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
