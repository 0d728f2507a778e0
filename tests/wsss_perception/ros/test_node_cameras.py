"""The node with cameras, and all that it publishes, over DDS in simulated time."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: make install")

from diagnostic_msgs.msg import DiagnosticArray
from node_process import ANSWER_TIMEOUT, NodeProcess
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image, PointCloud2

from wsss_perception.bundle import Bundle
from wsss_perception.calibration import CameraCalibration, write_calibration
from wsss_perception.frame import View
from wsss_perception.geometry import Camera, make_transform
from wsss_perception.legend import draw_legend
from wsss_perception.messages import image
from wsss_perception.messages.common import stamp_to_ns
from wsss_perception.messages.point_cloud2 import decode
from wsss_perception.overlay import overlay_points
from wsss_perception.ros.session import MESSAGE_TYPES as TYPES
from wsss_perception.segmenter import count_views

SECOND = 1_000_000_000
CAMERA = Camera(160, 120, np.array([[80.0, 0, 80], [0, 80.0, 60], [0, 0, 1]]))
FORWARD = make_transform([[0, -1, 0], [0, 0, -1], [1, 0, 0]], [0.0, -0.1, 0.0])
BACKWARD = make_transform([[0, 1, 0], [0, 0, -1], [-1, 0, 0]], [0.0, -0.1, 0.0])
POSES = {"car/front": FORWARD, "car/rear": BACKWARD}
PIXELS = np.full((120, 160, 3), 200, dtype=np.uint8)


class Car:
    """A car whose clouds and images the node gets, and the time of it all."""

    def __init__(self, node: NodeProcess) -> None:
        self.node = node
        create = node.client.create_publisher
        self._clock = create(Clock, "/clock", 10)
        self._front = create(Image, "/car/front/image_raw", 10)
        self._rear = create(CompressedImage, "/car/rear/image_raw/compressed", 10)
        self.now = 1000 * SECOND
        publishers = (self._front, self._rear)
        node.spin_until(lambda: all(p.get_subscription_count() for p in publishers), ANSWER_TIMEOUT)

    def drive(self, make_message, *cameras: str) -> Any:
        """Sends images and a cloud; returns the answer, decoded."""
        self.now += SECOND // 10
        clock = Clock()
        clock.clock.sec, clock.clock.nanosec = divmod(self.now, SECOND)
        self._clock.publish(clock)
        if "front" in cameras:
            self._front.publish(image.encode_rgb8(PIXELS, self.now, "front_optical", TYPES))
        if "rear" in cameras:
            self._rear.publish(image.encode_jpeg(PIXELS, self.now, "rear_optical", TYPES))
        message = make_message(TYPES, self.now)
        self.node.publish_as_is(message)
        return decode(self.node.answer_to(message))

    def answer_of(self, stamp: Any) -> PointCloud2:
        """Returns the semantic cloud of a stamp."""
        return next(answer for answer in self.node.answers if answer.header.stamp == stamp)

    def drive_until(self, done: Callable[[Any], Any], make_message, *cameras: str) -> Any:
        """Drives until an answer is as it should be: an image may come after its cloud."""
        deadline = time.monotonic() + ANSWER_TIMEOUT  # a camera is live for seconds at first
        while time.monotonic() < deadline:
            answer = self.drive(make_message, *cameras)
            if done(answer):
                return answer
        pytest.fail(f"in vain; the node's log:\n{self.node.log()}")


@pytest.fixture(scope="module")
def car(nodes: Callable[..., NodeProcess], bundle: Bundle, tmp_path_factory) -> Car:
    path = tmp_path_factory.mktemp("calibration") / "calibration.yaml"
    cameras = {name.rpartition("/")[2]: pose for name, pose in POSES.items()}
    write_calibration(path, {n: CameraCalibration(CAMERA, pose) for n, pose in cameras.items()})
    return Car(
        nodes(
            f"model:={bundle.folder}",
            "device:=cpu",
            "use_sim_time:=true",
            "image_topics:=[/car/front/image_raw, rear/image_raw/compressed]",
            f"calibration_file:={path}",
            namespace="car",
        )
    )


def expected_seen(cloud, *cameras: str) -> np.ndarray:
    pixels = np.zeros((0, 0, 3), dtype=np.uint8)
    views = (View(name, CAMERA, POSES[f"car/{name}"], pixels) for name in cameras)
    return count_views(cloud.xyz, tuple(views))


def seen_by(cloud, *cameras: str) -> bool:
    return np.array_equal(cloud.channels["seen"], expected_seen(cloud, *cameras))


def status_of(messages: list[DiagnosticArray]) -> list[tuple[Any, str, dict[str, str]]]:
    return [
        (status.level, status.message, {pair.key: pair.value for pair in status.values})
        for message in messages
        for status in message.status
    ]


def test_points_that_cameras_see_are_counted(car, make_message):
    answer = car.drive_until(
        lambda cloud: seen_by(cloud, "front", "rear"), make_message, "front", "rear"
    )
    assert 0 < np.count_nonzero(answer.channels["seen"]) < len(answer)


def test_a_dead_camera_stops_nothing_and_is_told_of(car, make_message):
    told = car.node.collect(DiagnosticArray, "/diagnostics")
    answer = car.drive_until(lambda cloud: seen_by(cloud, "front"), make_message, "front")
    assert expected_seen(answer, "front").any()

    def named() -> bool:
        car.drive(make_message, "front")
        return any("camera 'rear' not used" in text for _, text, _ in status_of(told))

    car.node.spin_until(named, ANSWER_TIMEOUT)
    assert not any("'front'" in text for _, text, _ in status_of(told)[-1:])


def test_diagnostics_tell_rate_stages_counts_and_model(car, make_message, bundle):
    told = car.node.collect(DiagnosticArray, "/diagnostics")

    def counted() -> bool:
        car.drive(make_message)
        return any(int(values["published"]) > 0 for _, _, values in status_of(told))

    car.node.spin_until(counted, ANSWER_TIMEOUT)
    level, _, values = status_of(told)[-1]
    assert level in (b"\0", b"\1")
    assert told[-1].status[0].name == "car/segment"
    assert values["model"] == str(bundle.folder)
    assert values["engine"].startswith("spconv")
    assert {"rate (Hz)", "latency (ms)", "network (ms)", "dropped", "without rear"} <= set(values)
    stamp = told[-1].header.stamp
    assert abs(stamp.sec - car.now / SECOND) < 60  # simulated time


def test_diagnostics_warn_by_limits_that_may_change(car, make_message):
    assert car.node.set_parameter("max_latency", 1e-6) == ""
    told = car.node.collect(DiagnosticArray, "/diagnostics")

    def warned() -> bool:
        car.drive(make_message)
        return any("above max_latency" in text for _, text, _ in status_of(told))

    car.node.spin_until(warned, ANSWER_TIMEOUT)
    car.node.set_parameter("max_latency", 0.0)


def test_filtered_and_ground_clouds_have_the_classes_asked_for(car, make_message, bundle):
    channels = car.drive(make_message).channels
    common = int(np.bincount(channels["label"].astype(int)).argmax())
    name = bundle.spec.ontology.classes[common]
    middle = float(np.median(channels["confidence"]))
    assert car.node.set_parameter("min_confidence", middle) == ""  # half the points are unknown
    assert car.node.set_parameter("filter_classes", [name]) == ""
    assert car.node.set_parameter("ground_classes", [name]) == ""
    filtered = car.node.collect(PointCloud2, "filtered_points")
    ground = car.node.collect(PointCloud2, "ground_points")
    for keeps in (True, False):
        assert car.node.set_parameter("filter_keeps", keeps) == ""
        begin = car.now  # what comes of earlier clouds is chosen as before

        def both_came(begin: int = begin) -> bool:
            car.drive(make_message)
            return all(
                came and stamp_to_ns(came[-1].header.stamp) > begin for came in (filtered, ground)
            )

        car.node.spin_until(both_came, ANSWER_TIMEOUT)
        cloud, part = decode(car.answer_of(filtered[-1].header.stamp)), decode(filtered[-1])
        chosen = (cloud.channels["label"] == common) == keeps
        assert 0 < np.count_nonzero(chosen) < len(cloud)
        np.testing.assert_array_equal(part.xyz, cloud.xyz[chosen])
        standing = decode(ground[-1]).channels["label"]
        assert (standing == common).all()
        assert len(standing) > 0
    car.node.set_parameter("min_confidence", 0.0)


def test_overlay_is_the_image_with_points_in_class_colors(car, make_message, bundle):
    overlays = car.node.collect(Image, "overlay/front")
    car.node.spin_until(
        lambda: car.drive(make_message, "front", "rear") is not None and overlays, ANSWER_TIMEOUT
    )
    cloud = decode(car.answer_of(overlays[-1].header.stamp))
    view = View("car/front", CAMERA, FORWARD, PIXELS)
    labels = cloud.channels["label"].astype(np.uint8)
    expected = overlay_points(view, cloud.xyz, labels, bundle.spec.ontology.palette())
    picture = image.decode(overlays[-1])
    np.testing.assert_array_equal(picture, expected)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 1
    assert overlays[-1].header.frame_id == "front_optical"
    assert car.node.client.count_publishers("overlay/rear") == 1


def test_late_subscriber_gets_the_legend(car, bundle):
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    legends = car.node.collect(Image, "legend", latched)
    car.node.spin_until(lambda: legends, ANSWER_TIMEOUT)
    np.testing.assert_array_equal(image.decode(legends[0]), draw_legend(bundle.spec.ontology))


def test_node_goes_on_when_time_jumps_back(car, make_message):
    car.drive_until(lambda cloud: seen_by(cloud, "front", "rear"), make_message, "front", "rear")
    car.now = 10 * SECOND
    car.drive_until(lambda cloud: seen_by(cloud, "front", "rear"), make_message, "front", "rear")
    car.node.spin_until(lambda: "time went backwards" in car.node.log(), ANSWER_TIMEOUT)
    assert "Traceback" not in car.node.log()
