"""The work of the node, with a model that takes no time and without DDS."""

import gc
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: make install")

from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter

from wsss_perception.calibration import CameraCalibration, write_calibration
from wsss_perception.errors import GeometryError
from wsss_perception.frame import Frame, PointCloud, SemanticCloud
from wsss_perception.geometry import Camera
from wsss_perception.messages import camera_info, image
from wsss_perception.ros import stream as stream_module
from wsss_perception.ros.cameras import LiveCameras
from wsss_perception.ros.extrinsics import WAIT_TIME
from wsss_perception.ros.parameters import declare_parameters
from wsss_perception.ros.pipeline import Result
from wsss_perception.ros.session import MESSAGE_TYPES as TYPES
from wsss_perception.ros.stream import Stream
from wsss_perception.ros.worker import Counters

MS = 1_000_000
STAMP = 10_000 * MS
CAMERA = Camera(16, 12, np.array([[8.0, 0, 8], [0, 8.0, 6], [0, 0, 1]]))
PIXELS = np.zeros((12, 16, 3), dtype=np.uint8)
TIMEOUT = 30.0
PATIENCE = 8.0  # longest that an overlay waits for its image, here


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
        deadline = time.monotonic() + TIMEOUT
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


@pytest.fixture
def make_rig(tmp_path, monkeypatch) -> Iterator[Callable[..., Rig]]:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    rigs: list[Rig] = []

    def make(**parameters: Any) -> Rig:
        rigs.append(Rig(tmp_path, **parameters))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()


def test_overlay_is_drawn_of_an_image_that_comes_after_its_cloud(make_rig):
    rig = make_rig()
    rig.open()
    rig.send_image(STAMP - 90 * MS)
    rig.send_cloud(STAMP)
    rig.desk.wait_for(lambda: "parts" in rig.desk.events)
    assert rig.desk.events == ["cloud", "parts"]  # the cloud did not wait
    assert rig.desk.unused == [{}]  # nor does the camera count as missing
    rig.send_image(STAMP + 10 * MS)
    rig.desk.wait_for(lambda: "done" in rig.desk.events)
    assert rig.desk.drawn == [STAMP + 10 * MS]
    assert 0 <= rig.desk.seconds["outputs"] < PATIENCE / 2


def test_the_next_cloud_does_not_wait_for_the_overlay_of_the_last(make_rig):
    rig = make_rig()
    rig.open()
    rig.send_image(STAMP - 10 * MS)
    begin = time.monotonic()
    for number in range(3):
        rig.send_cloud(STAMP + number * MS)
        rig.desk.wait_for(lambda seen=number: rig.desk.events.count("cloud") > seen)
    assert time.monotonic() - begin < PATIENCE / 2
    rig.desk.wait_for(lambda: len(rig.desk.drawn) == 2)
    assert rig.desk.drawn == [STAMP - 10 * MS] * 2


@pytest.mark.parametrize("is_heard", [True, False])
def test_points_are_compared_to_a_phrase_only_while_somebody_listens(make_rig, is_heard):
    rig = make_rig()
    rig.model.query = np.ones((1, 3), np.float32)
    rig.desk.is_query_heard, rig.desk.is_heard = is_heard, False
    rig.open()
    rig.send_cloud(STAMP)
    rig.desk.wait_for(lambda: "done" in rig.desk.events)
    assert rig.desk.queries == [rig.model.query if is_heard else None]
    assert rig.desk.events == ["cloud", "parts", *[f"query of {STAMP}"] * is_heard, "done"]


def test_an_output_that_fails_takes_no_other_with_it(make_rig):
    """One camera's TF may be lost between its cloud and its overlay."""
    rig = make_rig(cameras=("front", "rear"), camera_wait=0.0)
    rig.desk.is_broken = rig.desk.is_query_heard = True
    rig.model.query = np.zeros((1, 3), np.float32)
    rig.open()
    for camera in ("front", "rear"):
        rig.send_image(STAMP, camera=camera)
    rig.send_cloud(STAMP)
    rig.desk.wait_for(lambda: "done" in rig.desk.events)
    assert rig.desk.drawn == [STAMP]
    assert f"query of {STAMP}" in rig.desk.events
    assert "camera 'front' has no overlay: front is lost" in rig.desk.warnings
    assert any("no filtered_points" in text for text in rig.desk.warnings)


def test_images_are_kept_only_while_somebody_listens(make_rig):
    rig = make_rig()
    rig.open()
    for is_heard in (True, False):
        rig.desk.is_heard = is_heard
        alive = weakref.ref(rig.send_image(STAMP).data)
        gc.collect()
        assert (alive() is not None) == is_heard
    rig.send_cloud(STAMP)
    rig.desk.wait_for(lambda: "done" in rig.desk.events)
    assert rig.desk.unused == [{}]
    assert rig.desk.drawn == []


def test_a_cloud_waits_for_its_images_while_the_model_takes_them(make_rig):
    """The model is changed under the stream's hands, as ``~/load_model`` does."""
    rig = make_rig()
    rig.desk.is_heard = False
    rig.open()
    for takes_images in (False, True, False):
        rig.model.spec.takes_images = takes_images
        rig.desk.pixels.clear()
        rig.send_image(STAMP - 90 * MS)
        begin = time.monotonic()
        rig.send_cloud(STAMP)
        if takes_images:
            time.sleep(0.1)
            assert rig.desk.pixels == []
            rig.send_image(STAMP + 10 * MS)
        rig.desk.wait_for(lambda: rig.desk.pixels)
        assert rig.desk.pixels == [[PIXELS.size if takes_images else 0]]
        assert time.monotonic() - begin < PATIENCE / 2
        rig.stream.close()
        rig.open()  # forgets the stamps
    assert rig.desk.unused == [{}, {}, {}]


@pytest.mark.parametrize("damage", ["no image", "cut short", "came before the model"])
def test_an_image_that_is_of_no_use_degrades_the_labels_only(make_rig, damage):
    rig = make_rig(camera_wait=0.05)
    rig.desk.is_heard = False
    rig.open()
    rig.model.spec.takes_images = damage != "came before the model"
    if damage == "cut short":
        message = image.encode_rgb8(PIXELS, STAMP, "front_optical", TYPES)
        message.data = message.data[:-7]
        rig.stream._add_image("front", message)
    else:
        rig.send_image(STAMP - 300 * MS if damage == "no image" else STAMP)
    rig.model.spec.takes_images = True
    rig.send_cloud(STAMP)
    rig.desk.wait_for(lambda: "done" in rig.desk.events)
    assert rig.desk.events == ["cloud", "parts", "done"]
    assert rig.desk.pixels == [[0]]  # the camera still counts as seeing points
    (unused,) = rig.desk.unused
    assert (
        unused["front"]
        == {
            "no image": "no image within camera_tolerance",
            "cut short": "its image cannot be used; the log says why",
            "came before the model": "its image came before the model that takes images",
        }[damage]
    )
    assert any("front" in text for text in rig.desk.warnings)


def test_a_fixed_frame_without_effect_is_told_of(make_rig, monkeypatch):
    monkeypatch.setattr(stream_module, "open_transforms", lambda *_: None)
    rig = make_rig(fixed_frame="odom")
    rig.open()
    rig.send_cloud(STAMP)
    rig.desk.wait_for(lambda: rig.desk.unused)
    (unused,) = rig.desk.unused
    assert set(unused) == {"fixed_frame", "front"}
    assert unused["front"] == "no image on /front/image"
    assert any("'fixed_frame' has no effect" in text for text in rig.desk.warnings)


class LateTransforms:
    """A robot whose motion is known 20 ms after somebody first asks for it."""

    def __init__(self) -> None:
        self.known_at: float | None = None

    def lookup(self, *_: Any) -> np.ndarray:
        now = time.monotonic()
        self.known_at = self.known_at or now + 0.02
        if now < self.known_at:
            raise GeometryError("not known yet")
        return np.eye(4)

    def close(self) -> None:
        pass


def test_a_cloud_that_has_waited_for_images_still_waits_for_the_motion(make_rig, monkeypatch):
    transforms = LateTransforms()
    monkeypatch.setattr(stream_module, "open_transforms", lambda *_: transforms)
    rig = make_rig(fixed_frame="odom", camera_wait=2 * WAIT_TIME)
    rig.desk.is_heard = False
    rig.model.spec.takes_images = True
    rig.open()
    rig.send_image(STAMP - 10 * MS)  # the next one may be nearer, and does not come
    rig.send_cloud(STAMP)
    rig.desk.wait_for(lambda: rig.desk.unused)
    assert rig.desk.unused == [{}]
    assert rig.desk.pixels == [[PIXELS.size]]


def test_a_cloud_waits_for_the_place_of_a_camera_on_a_moving_joint(make_rig, monkeypatch):
    monkeypatch.setattr(stream_module, "open_transforms", lambda *_: LateTransforms())
    rig = make_rig()
    rig.desk.is_heard = False
    rig.cameras = LiveCameras(["/front/image"], "", rig.desk.warnings.append)
    rig.cameras.camera("front").set_info(camera_info.encode(CAMERA, 0, "head", TYPES))
    rig.open()
    rig.send_image(STAMP)
    rig.send_cloud(STAMP)
    rig.desk.wait_for(lambda: rig.desk.unused)
    assert rig.desk.unused == [{}], rig.desk.warnings


def test_clouds_sent_twice_are_told_of_once_and_those_of_other_frames_taken(make_rig, capfd):
    rig = make_rig(camera_wait=0.0)
    rig.open()
    for frame in ("front", "rear", "front", "rear"):
        rig.send_cloud(STAMP, frame)
        rig.desk.wait_for(lambda: rig.desk.counters.pending == 0)
    counters = rig.desk.counters
    assert (counters.published, counters.duplicates, counters.dropped) == (2, 2, 0)
    assert "".join(capfd.readouterr()).count("sent twice") == 1


@pytest.mark.parametrize(
    ("what", "amiss", "told"),
    [
        ("gives_labels", (True, False), "no point of a cloud got a label"),
        ("is_in_range", (False, True), "no point in range"),
    ],
)
def test_a_cloud_without_a_label_or_a_point_in_range_is_told_of(make_rig, what, amiss, told):
    rig = make_rig(camera_wait=0.0)
    setattr(rig.desk, what, False)
    rig.open()
    rig.send_cloud(STAMP)
    rig.desk.wait_for(lambda: "done" in rig.desk.events)
    assert rig.desk.amiss == [amiss]
    assert any(told in text for text in rig.desk.warnings)


@pytest.mark.parametrize("fixed_frame", ["odom", ""])
def test_transforms_are_listened_to_for_the_motion_of_calibrated_cameras(
    make_rig, monkeypatch, fixed_frame
):
    opened: list[object] = []
    monkeypatch.setattr(stream_module, "open_transforms", lambda *given: opened.append(given))
    make_rig(fixed_frame=fixed_frame).open()
    assert len(opened) == (fixed_frame != "")


def test_activation_that_fails_leaves_nothing_behind(make_rig, monkeypatch):
    rig = make_rig()
    before = threading.active_count()
    monkeypatch.setattr(rig.node, "create_timer", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        rig.open()
    assert threading.active_count() == before
    assert rig.node.count_subscribers("points") == rig.node.count_subscribers("/front/image") == 0
