"""The node's cameras, without the node."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: make install")

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from wsss_perception.calibration import CameraCalibration, write_calibration
from wsss_perception.errors import ConfigError, GeometryError
from wsss_perception.geometry import Camera, make_transform
from wsss_perception.messages import camera_info, image
from wsss_perception.ros.cameras import LiveCameras
from wsss_perception.ros.session import MESSAGE_TYPES as TYPES

CAMERA = Camera(16, 12, np.array([[8.0, 0, 8], [0, 8.0, 6], [0, 0, 1]]))
POSE = make_transform(np.eye(3), [0.0, -0.1, 0.2])
MOTION = make_transform(np.eye(3), [1.5, 0, 0])
PIXELS = np.arange(12 * 16 * 3, dtype=np.uint8).reshape(12, 16, 3)
STAMP, CLOUD_STAMP = 30, 50
TIMEOUT = 30.0
RAW, RECTIFIED = "/car/front/image_raw", "/car/front/image_rect"


class FakeExtrinsics:
    """Knows one camera; notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple] = []

    def between(self, target, target_stamp, source, source_stamp):
        self.asked.append((target, target_stamp, source, source_stamp))
        if target != "front_optical":
            raise GeometryError(f"unknown frame '{target}'")
        return POSE

    def motion(self, frame, target_stamp, source_stamp):
        self.asked.append((frame, target_stamp, frame, source_stamp))
        return MOTION


class Rig:
    """Cameras, and the warnings they gave."""

    def __init__(self, topics=(RAW,), calibration="") -> None:
        self.warnings: list[str] = []
        self.extrinsics = FakeExtrinsics()
        self.cameras = LiveCameras(topics, calibration, self.warnings.append)

    def views(self, extrinsics=True, live=("car/front",), stamps=None):
        views, self.unused = self.cameras.views(
            {"car/front": STAMP} if stamps is None else stamps,
            live,
            CLOUD_STAMP,
            "lidar",
            self.extrinsics if extrinsics else None,
        )
        return views

    def set_info(self, frame="front_optical", **changes):
        info = camera_info.encode(CAMERA, STAMP, frame, TYPES)
        for name, value in changes.items():
            setattr(info, name, value)
        self.cameras.camera("car/front").set_info(info)


@pytest.fixture
def calibration(tmp_path):
    path = tmp_path / "calibration.yaml"
    write_calibration(path, {"front": CameraCalibration(CAMERA, POSE)})
    return path


def test_view_of_a_calibration_file_needs_no_graph(calibration):
    rig = Rig(calibration=calibration)
    (view,) = rig.views(extrinsics=False)
    assert (view.name, view.stamp) == ("car/front", STAMP)
    np.testing.assert_allclose(view.T_camera_lidar, POSE)
    np.testing.assert_allclose(view.camera.matrix, CAMERA.matrix)
    assert view.image.size == 0
    assert not rig.cameras.need_transforms


def test_view_of_camera_info_is_placed_by_transforms():
    rig = Rig()
    rig.set_info()
    (view,) = rig.views()
    assert rig.extrinsics.asked == [("front_optical", STAMP, "lidar", CLOUD_STAMP)]
    np.testing.assert_allclose(view.T_camera_lidar, POSE)
    assert rig.cameras.need_transforms


def test_rectified_images_are_those_of_p_and_r():
    rig = Rig(topics=[RECTIFIED])
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    p = np.hstack([CAMERA.matrix * [[2], [2], [1]], np.zeros((3, 1))])
    rig.set_info(r=turn.ravel(), p=p.ravel())
    (view,) = rig.views()
    np.testing.assert_allclose(view.camera.matrix, p[:, :3])
    np.testing.assert_allclose(view.T_camera_lidar, make_transform(turn, [0, 0, 0]) @ POSE)


def test_calibrated_camera_moves_with_the_robot_between_image_and_cloud(calibration):
    rig = Rig(calibration=calibration)
    (view,) = rig.views()
    assert rig.extrinsics.asked == [("lidar", STAMP, "lidar", CLOUD_STAMP)]
    np.testing.assert_allclose(view.T_camera_lidar, POSE @ MOTION)


def test_view_needs_no_image():
    rig = Rig()
    rig.set_info()
    (view,) = rig.views(stamps={}, live=())  # its CameraInfo comes
    assert view.stamp == CLOUD_STAMP


def test_camera_that_sends_nothing_any_more_is_left_out():
    rig = Rig()
    rig.set_info()
    camera = rig.cameras.camera("car/front")
    camera._clock = lambda: camera._infos.dead_at
    assert len(rig.views(live=["car/front"])) == 1
    assert rig.views(live=()) == ()
    assert rig.unused == {"car/front": f"no image on {RAW}"}


def test_pixels_are_decoded_when_asked_for():
    rig = Rig()
    rig.set_info()
    (view,) = rig.views()
    assert view.image.size == 0
    drawn = rig.cameras.with_pixels(view, image.encode_rgb8(PIXELS, STAMP, "any", TYPES))
    np.testing.assert_array_equal(drawn.image, PIXELS)
    assert drawn.camera is view.camera
    damaged = image.encode_jpeg(PIXELS, STAMP, "any", TYPES)
    damaged.data = damaged.data[:40]
    assert rig.cameras.with_pixels(view, damaged) is None
    assert "not a whole JPEG" in rig.warnings[0]
    other = image.encode_jpeg(PIXELS[:6], STAMP, "any", TYPES)
    assert rig.cameras.with_pixels(view, other) is None
    assert "its images are 16 x 6, its calibration is for 16 x 12" in rig.warnings[1]


def test_camera_without_info_is_left_out_until_it_comes():
    rig = Rig()
    assert rig.views() == ()
    reason = "no message on /car/front/camera_info, and no calibration file names it"
    assert rig.warnings == [f"camera 'car/front' is left out: {reason}"]
    assert rig.unused == {"car/front": reason}
    rig.set_info()
    assert len(rig.views()) == 1
    assert rig.unused == {}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"frame": "elsewhere"}, "unknown frame 'elsewhere'"),
        ({"distortion_model": "mystery"}, "unknown distortion model"),
        ({"width": 32}, "its images are 16 x 12, its calibration is for 32 x 12"),
    ],
)
def test_camera_that_cannot_be_placed_is_left_out_with_the_reason(changes, reason):
    rig = Rig()
    rig.set_info(**changes)
    rig.cameras.camera("car/front").note_image(image.encode_rgb8(PIXELS, STAMP, "any", TYPES))
    assert rig.views() == ()
    assert reason in rig.warnings[0]
    assert reason in rig.unused["car/front"]


def test_new_calibration_replaces_the_old_one():
    rig = Rig()
    rig.set_info(distortion_model="mystery")
    assert rig.views() == ()
    rig.set_info()
    assert len(rig.views()) == 1
    k = (CAMERA.matrix * [[3], [3], [1]]).ravel()
    rig.set_info(k=k)
    np.testing.assert_allclose(rig.views()[0].camera.matrix.ravel(), k)


def test_without_transforms_a_calibration_file_is_asked_for():
    rig = Rig()
    rig.set_info()
    assert rig.views(extrinsics=False) == ()
    assert "give a calibration file" in rig.warnings[0]


@pytest.mark.parametrize(
    ("topics", "reason"),
    [
        (["/front/image_raw", "/front/image_rect"], "a namespace of its own"),
        (["/image"], "its namespace is empty"),
    ],
)
def test_topics_that_do_not_name_cameras_are_refused(topics, reason):
    with pytest.raises(ConfigError, match=reason):
        Rig(topics=topics)


def test_names_are_relative_to_the_node_and_the_file_may_say_all():
    cameras = LiveCameras(["/car/front/image_raw", "/rear/image"], "", print, "/car")
    assert cameras.names == ["front", "rear"]
    assert cameras.camera("front").info_topic == "/car/front/camera_info"


def test_calibration_that_may_mean_two_cameras_is_refused(calibration):
    with pytest.raises(ConfigError, match="'front' may mean each of"):
        Rig(topics=[RAW, "/bus/front/image_raw"], calibration=calibration)


def test_calibration_of_a_camera_that_is_not_used_is_warned_of(calibration):
    rig = Rig(topics=["/rear/image_raw"], calibration=calibration)
    assert "camera 'front' is none of 'image_topics', which are of rear" in rig.warnings[0]
    assert rig.cameras.need_transforms


@pytest.mark.parametrize("reliability", ["RELIABLE", "BEST_EFFORT"])
def test_images_and_camera_info_arrive_over_dds(reliability, monkeypatch):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    rig = Rig()
    arrived: list[tuple] = []
    with run_node("cameras") as (node, spin_until):
        undo = rig.cameras.subscribe(
            node, MutuallyExclusiveCallbackGroup(), lambda *entry: arrived.append(entry)
        )
        qos = QoSProfile(depth=5, reliability=ReliabilityPolicy[reliability])
        images = node.create_publisher(TYPES["sensor_msgs/msg/Image"], RAW, qos)
        infos = node.create_publisher(
            TYPES["sensor_msgs/msg/CameraInfo"], "/car/front/camera_info", qos
        )

        def seen() -> bool:
            infos.publish(camera_info.encode(CAMERA, STAMP, "front_optical", TYPES))
            images.publish(image.encode_rgb8(PIXELS, STAMP, "any", TYPES))
            return bool(arrived) and bool(rig.views(live=()))

        spin_until(seen)
        for each in undo:
            each()
        assert node.count_subscribers(RAW) == 0
    assert arrived[0][0] == "car/front"


def test_camera_info_that_was_sent_once_before_is_heard(monkeypatch):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    rig = Rig()
    with run_node("cameras") as (node, spin_until):
        kept = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        infos = node.create_publisher(
            TYPES["sensor_msgs/msg/CameraInfo"], "/car/front/camera_info", kept
        )
        infos.publish(camera_info.encode(CAMERA, STAMP, "front_optical", TYPES))
        undo = rig.cameras.subscribe(node, MutuallyExclusiveCallbackGroup(), lambda *_: None)
        spin_until(rig.views)
        for each in undo:
            each()
        assert node.count_subscribers("/car/front/camera_info") == 0


@contextmanager
def run_node(name: str) -> Iterator[tuple[Node, Callable[[Callable[[], object]], None]]]:
    """Yields a node in this process, alone in its domain, and what spins it."""
    context = Context()
    context.init(domain_id=1 + os.getpid() % 90)
    node = Node(name, context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def spin_until(done: Callable[[], object]) -> None:
        deadline = time.monotonic() + TIMEOUT
        while not done():
            assert time.monotonic() < deadline
            executor.spin_once(timeout_sec=0.05)

    try:
        yield node, spin_until
    finally:
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()
