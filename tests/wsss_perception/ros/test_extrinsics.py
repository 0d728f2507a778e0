"""Transforms of tf2_ros and of our own listener: alike, and with motion where it is known.

Neither tf2_ros nor tf2_msgs comes with the pip wheels; their interfaces are imitated.
"""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: make install")

from rosbags.typesys import Stores, get_typestore

from wsss_perception.errors import GeometryError
from wsss_perception.frame import PointCloud
from wsss_perception.geometry import TransformTree, invert, make_transform
from wsss_perception.messages import transform
from wsss_perception.messages.point_cloud2 import encode_cloud
from wsss_perception.ros import extrinsics
from wsss_perception.ros.extrinsics import (
    WAIT_TIME,
    Extrinsics,
    Jumps,
    Tf2Transforms,
    TreeTransforms,
    open_transforms,
)
from wsss_perception.ros.motion import MotionCompensation

TYPES = get_typestore(Stores.ROS2_JAZZY).types
SECOND = 1_000_000_000
T_LIDAR_CAMERA = make_transform(np.eye(3), [0.5, 0.0, -0.2])


class FakeNode:
    """Keeps the callbacks of its subscriptions."""

    def __init__(self) -> None:
        self.callbacks: dict[str, object] = {}

    def create_subscription(self, _cls, topic, callback, qos, callback_group):
        self.callbacks[topic] = callback
        return topic

    def destroy_subscription(self, topic):
        del self.callbacks[topic]


class FakeBuffer:
    """tf2_ros.Buffer over our own tree."""

    def __init__(self, cache_time) -> None:
        self.tree = TransformTree(cache_time.nanoseconds)

    def lookup_transform_full(self, target, target_time, source, source_time, fixed):
        times = target_time.nanoseconds, source_time.nanoseconds
        try:
            matrix = self.tree.lookup_between(target, times[0], source, times[1], fixed)
        except GeometryError as error:
            raise FakeError(str(error)) from error
        return SimpleNamespace(transform=transform.encode(matrix, TYPES))

    def clear(self):
        self.tree.clear_moving()


class FakeError(Exception):
    pass


class FakeListener:
    def __init__(self, buffer, node) -> None:
        self._node = node
        for topic, static in (("/tf", False), ("/tf_static", True)):

            def add(message, static=static):
                transform.add_to_tree(buffer.tree, message, static)

            node.create_subscription(None, topic, add, None, None)

    def unregister(self):
        self._node.callbacks.clear()


@pytest.fixture
def tf2_ros() -> ModuleType:
    module = ModuleType("tf2_ros")
    module.Buffer, module.TransformListener = FakeBuffer, FakeListener
    module.TransformException = FakeError
    return module


class Graph:
    """Transforms of either kind, and what feeds them."""

    def __init__(self, kind: str, tf2_ros: ModuleType) -> None:
        self.node = FakeNode()
        self.warnings: list[str] = []
        if kind == "tf2_ros":
            self.transforms = Tf2Transforms(self.node, tf2_ros)
        else:
            self.transforms = TreeTransforms(self.node, object, None, self.warnings.append)
        self.send("/tf_static", "lidar", "camera", T_LIDAR_CAMERA, 0)

    def send(self, topic, parent, child, matrix, stamp):
        entry = transform.encode_stamped(matrix, parent, child, stamp, TYPES)
        self.node.callbacks[topic](SimpleNamespace(transforms=[entry]))

    def drive(self, seconds):
        """The LiDAR moves along x, 10 m a second."""
        for second in seconds:
            pose = make_transform(np.eye(3), [10.0 * second, 0, 0])
            self.send("/tf", "odom", "lidar", pose, round(second * SECOND))


@pytest.fixture(params=["tf2_ros", "our own"])
def graph(request, tf2_ros) -> Graph:
    return Graph(request.param, tf2_ros)


def test_static_extrinsics_need_no_fixed_frame(graph):
    found = Extrinsics(graph.transforms, "").between("/camera", SECOND, "/lidar", 2 * SECOND)
    np.testing.assert_allclose(found, invert(T_LIDAR_CAMERA))


def test_motion_between_image_and_cloud_is_accounted_for(graph):
    graph.drive([0.0, 1.0, 2.0])
    placed = Extrinsics(graph.transforms, "odom")
    found = placed.between("camera", SECOND, "lidar", SECOND + SECOND // 10)
    moved = make_transform(np.eye(3), [1.0, 0, 0])
    np.testing.assert_allclose(found, invert(T_LIDAR_CAMERA) @ moved, atol=1e-9)


def test_where_the_motion_is_not_known_the_sensors_are_placed_all_the_same(graph):
    graph.drive([0.0, 1.0])
    found = Extrinsics(graph.transforms, "odom").between("camera", 5 * SECOND, "lidar", SECOND)
    np.testing.assert_allclose(found, invert(T_LIDAR_CAMERA))


def test_unconnected_frames_are_refused(graph):
    with pytest.raises(GeometryError, match="rear"):
        Extrinsics(graph.transforms, "odom").between("rear", 0, "lidar", 0)


def test_clear_forgets_what_moves_alone(graph):
    graph.drive([100.0])
    graph.transforms.clear()
    graph.drive([1.0, 2.0])
    placed = Extrinsics(graph.transforms, "odom")
    assert placed.pose("lidar", SECOND)[0, 3] == pytest.approx(10.0)
    with pytest.raises(GeometryError):
        placed.pose("lidar", 100 * SECOND)
    placed.between("camera", 0, "lidar", 0)


def test_close_unsubscribes(graph):
    graph.transforms.close()
    assert graph.node.callbacks == {}


def test_a_transform_that_is_none_is_warned_of(tf2_ros):
    graph = Graph("our own", tf2_ros)
    graph.send("/tf_static", "camera", "lidar", np.eye(4), 0)
    assert "would close a loop" in graph.warnings[0]


class Waiting:
    """A clock that transforms arrive by while somebody sleeps."""

    def __init__(self, graph: Graph, fixed_frame: str = "odom") -> None:
        self.now = 0.0
        self.coming: list[tuple[float, float]] = []
        self.turning: list[tuple[float, float]] = []
        self._graph = graph
        self.extrinsics = Extrinsics(graph.transforms, fixed_frame, lambda: self.now, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        due = [second for at, second in self.coming if at <= self.now]
        self.coming = [entry for entry in self.coming if entry[0] > self.now]
        self._graph.drive(due)
        for at, second in list(self.turning):
            if at <= self.now:
                self.turning.remove((at, second))
                self._graph.send("/tf", "lidar", "head", np.eye(4), round(second * SECOND))


def test_a_pose_that_is_late_is_waited_for(graph):
    graph.drive([0.0])
    waiting = Waiting(graph)
    waiting.coming = [(0.02, 1.0)]
    assert waiting.extrinsics.wait_for("lidar", SECOND)
    assert waiting.now < WAIT_TIME


def test_poses_that_do_not_come_are_waited_for_once_a_second(graph):
    waiting = Waiting(graph)
    for _ in range(10):
        assert not waiting.extrinsics.wait_for("lidar", SECOND)
    assert WAIT_TIME <= waiting.now < 1.5 * WAIT_TIME
    waiting.now += 1.0
    waiting.coming = [(waiting.now + 0.01, 1.0)]
    assert waiting.extrinsics.wait_for("lidar", SECOND)


def test_nothing_is_waited_for_without_a_fixed_frame(graph):
    placed = Extrinsics(graph.transforms, "", sleep=pytest.fail)
    assert not placed.wait_for("lidar", SECOND)


@pytest.mark.parametrize("fixed_frame", ["", "odom"])
def test_cameras_on_a_moving_joint_are_waited_for(graph, fixed_frame):
    """The joint's state comes at 30 Hz, later than the motion of the robot."""
    graph.drive([0.0])
    waiting = Waiting(graph, fixed_frame)
    waiting.coming, waiting.turning = [(0.005, 1.0)], [(0.0, 0.0), (0.03, 1.0)]
    camera = ("/head", SECOND, "lidar", SECOND)
    assert waiting.extrinsics.wait_for("lidar", SECOND, cameras=[camera])
    assert 0.03 <= waiting.now < WAIT_TIME
    waiting.extrinsics.between(*camera)


def test_a_camera_that_tf_never_places_does_not_end_the_wait_for_others(graph):
    graph.drive([0.0])
    waiting = Waiting(graph)
    lost = ("nowhere", SECOND, "lidar", SECOND)
    waiting.coming = [(0.01, 1.0)]
    assert not waiting.extrinsics.wait_for("lidar", SECOND, cameras=[lost])
    assert waiting.now >= WAIT_TIME
    waiting.coming = [(waiting.now + 0.02, 2.0)]
    assert not waiting.extrinsics.wait_for("lidar", 2 * SECOND, cameras=[lost])
    waiting.extrinsics.pose("lidar", 2 * SECOND)  # which came late too
    assert waiting.now < 2 * WAIT_TIME


def test_cameras_on_a_moving_joint_are_waited_for_while_no_pose_comes(graph):
    """As where the localisation has ended; they are placed without the motion of the robot."""
    waiting = Waiting(graph)
    camera = ("/head", SECOND, "lidar", SECOND)
    waiting.turning = [(0.0, 0.0)]
    assert not waiting.extrinsics.wait_for("lidar", SECOND, cameras=[camera])
    begin = waiting.now
    waiting.turning = [(begin + 0.03, 1.0)]
    assert not waiting.extrinsics.wait_for("lidar", SECOND, cameras=[camera])
    assert begin + 0.03 <= waiting.now < begin + WAIT_TIME
    waiting.extrinsics.between(*camera)


def test_a_wait_may_have_begun_before(graph):
    waiting = Waiting(graph)
    waiting.now += 10.0
    assert not waiting.extrinsics.wait_for("lidar", SECOND, since=waiting.now - 0.04)
    assert 10.0 < waiting.now < 10.0 + 0.5 * WAIT_TIME


def test_a_fixed_frame_that_is_not_used_is_told_of(graph):
    graph.drive([0.0, 1.0])
    told: list[str] = []
    placed = Extrinsics(graph.transforms, "odom", on_unfixed=told.append)
    placed.between("camera", 0, "lidar", SECOND)
    np.testing.assert_allclose(placed.motion("lidar", 0, SECOND)[0, 3], 10.0)
    assert told == []
    placed.between("camera", 5 * SECOND, "lidar", SECOND)
    np.testing.assert_array_equal(placed.motion("lidar", 5 * SECOND, SECOND), np.eye(4))
    assert len(told) == 2
    wrong = Extrinsics(graph.transforms, "odometry", on_unfixed=told.append)
    np.testing.assert_allclose(wrong.between("camera", 0, "lidar", 0), invert(T_LIDAR_CAMERA))
    assert "odometry" in told[2]


def test_without_a_fixed_frame_no_motion_is_known_and_none_missed(graph):
    placed = Extrinsics(graph.transforms, "", on_unfixed=pytest.fail)
    np.testing.assert_array_equal(placed.motion("lidar", 0, SECOND), np.eye(4))
    placed.between("camera", 0, "lidar", 0)


class Looping:
    """Time that goes back, told by clouds and by the clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.forgotten: list[float] = []
        self.jumps = Jumps(lambda: self.forgotten.append(self.now), lambda: self.now)

    def tell(self, *events: str) -> None:
        for event in events:
            if event.isdigit():
                self.now += int(event)
            if event in ("cloud", "first cloud"):
                if event == "first cloud":
                    self.jumps.note_clouds()
                self.jumps.note_cloud()
            if event == "clock":
                self.jumps.note_clock()


@pytest.mark.parametrize(
    ("events", "times"),
    [
        (["clock", "first cloud"], [0]),
        (["clock", "5", "first cloud"], [0]),
        (["first cloud", "clock"], [0]),
        (["first cloud", "cloud", "clock", "cloud"], [0]),
        (["first cloud", "5", "first cloud"], [0, 5]),
        (["clock", "5", "clock", "first cloud"], [0, 5]),
        (["clock", "first cloud", "cloud", "5", "first cloud", "clock"], [0, 5]),
        (["clock", "cloud", "5", "first cloud"], [0, 5]),
    ],
)
def test_transforms_are_forgotten_once_a_jump(events, times):
    looping = Looping()
    looping.tell(*events)
    assert looping.forgotten == times


def test_tf2_ros_is_used_where_installed_else_its_messages_else_nothing(tf2_ros, monkeypatch):
    node = FakeNode()
    monkeypatch.setitem(sys.modules, "tf2_ros", None)
    monkeypatch.setattr(extrinsics, "import_message", lambda name: None)
    assert open_transforms(node, None, print) is None
    monkeypatch.setattr(extrinsics, "import_message", lambda name: object)
    assert isinstance(open_transforms(node, None, print), TreeTransforms)
    monkeypatch.setitem(sys.modules, "tf2_ros", tf2_ros)
    assert isinstance(open_transforms(node, None, print), Tf2Transforms)


def test_points_are_moved_to_where_they_are_at_the_stamp(graph):
    graph.drive([1.0, 2.0])
    warnings: list[str] = []
    move = MotionCompensation(Extrinsics(graph.transforms, "odom"), warnings.append)
    xyz = np.zeros((3, 3), dtype=np.float32)
    cloud = PointCloud(xyz, {"time": np.array([0.0, 0.05, 0.1], np.float32)}, SECOND, "lidar")
    moved = move(encode_cloud(cloud, TYPES), cloud)
    np.testing.assert_allclose(moved[:, 0], [0.0, 0.5, 1.0], atol=1e-5)
    assert warnings == []


@pytest.mark.parametrize(
    ("channels", "stamp", "reason"),
    [
        ({}, SECOND, "its points carry no times"),
        ({"time": np.zeros(3, np.float32)}, 9 * SECOND, "not compensated for motion: "),
    ],
)
def test_points_whose_motion_is_not_known_stay(graph, channels, stamp, reason):
    graph.drive([1.0, 2.0])
    warnings: list[str] = []
    move = MotionCompensation(Extrinsics(graph.transforms, "odom"), warnings.append)
    cloud = PointCloud(np.ones((3, 3), dtype=np.float32), channels, stamp, "lidar")
    np.testing.assert_array_equal(move(encode_cloud(cloud, TYPES), cloud), cloud.xyz)
    assert reason in warnings[0]


def test_compensation_waits_for_the_pose_of_the_last_point(graph):
    graph.drive([1.0])
    waiting = Waiting(graph)
    waiting.coming = [(0.02, 2.0)]
    warnings: list[str] = []
    move = MotionCompensation(waiting.extrinsics, warnings.append)
    seconds = np.array([0.0, 0.05, 0.1], np.float32)
    cloud = PointCloud(np.zeros((3, 3), dtype=np.float32), {"time": seconds}, SECOND, "lidar")
    assert move(encode_cloud(cloud, TYPES), cloud)[2, 0] == pytest.approx(1.0)
    assert warnings == []
