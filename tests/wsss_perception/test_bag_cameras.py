from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rosbags.typesys import Stores, get_typestore

from wsss_perception.bag import BagCameras
from wsss_perception.bag.cameras import TOLERANCE_NS
from wsss_perception.bag.segment import POINT_CLOUD, choose_points
from wsss_perception.calibration import CameraCalibration, write_calibration
from wsss_perception.errors import BagError, MessageError
from wsss_perception.geometry import Camera
from wsss_perception.messages import camera_info
from wsss_perception.messages.common import make_header

TYPES = get_typestore(Stores.ROS2_JAZZY).types
IMAGE, JPEG = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
INFO = "sensor_msgs/msg/CameraInfo"
CAMERA = Camera(16, 12, np.array([[8.0, 0, 8], [0, 8.0, 6], [0, 0, 1]]))


class FakeBag:
    """A bag of the contents of (topic, type); images are but their stamps."""

    path = "drive"

    def __init__(self, contents):
        self._contents = {topic: messages for (topic, _), messages in contents.items()}
        self.connections = [
            SimpleNamespace(topic=topic, msgtype=kind, msgcount=len(messages))
            for (topic, kind), messages in contents.items()
        ]

    def of_type(self, msgtype):
        return [c for c in self.connections if c.msgtype == msgtype]

    def recorded(self, msgtype):
        return [c for c in self.of_type(msgtype) if c.msgcount] or self.of_type(msgtype)

    def on_topic(self, topic):
        return [c for c in self.connections if c.topic == topic]

    def messages(self, connections):
        for connection in connections:
            for number, content in enumerate(self._contents[connection.topic]):
                yield SimpleNamespace(connection=connection, received=number, data=content)

    def deserialize(self, message):
        if isinstance(message.data, int):
            return SimpleNamespace(header=make_header(message.data, "front", TYPES))
        return message.data


@pytest.fixture(scope="module")
def calibration(tmp_path_factory):
    path = tmp_path_factory.mktemp("calibration") / "c.yaml"
    write_calibration(path, {"front": CameraCalibration(CAMERA, np.eye(4))})
    return path


def test_the_nearest_image_is_found_in_any_order_of_receipt(calibration):
    @given(st.lists(st.integers(0, 4 * TOLERANCE_NS), max_size=8), st.integers(0, 4 * TOLERANCE_NS))
    def check(stamps, stamp):
        bag = FakeBag({("/front/image", IMAGE): stamps})
        found = BagCameras(bag, calibration).nearest(stamp, "lidar")
        distance = min((abs(taken - stamp) for taken in stamps), default=TOLERANCE_NS + 1)
        if distance > TOLERANCE_NS:
            assert found == ()
        else:
            assert abs(found[0].stamp - stamp) == distance
            assert stamps[found[0].received] == found[0].stamp

    check()


def test_how_far_the_nearest_image_is_is_told_where_none_is_near_enough(caplog, calibration):
    bag = FakeBag({("/front/image", IMAGE): [10 * TOLERANCE_NS, 17 * TOLERANCE_NS]})
    cameras = BagCameras(bag, calibration)
    cameras.warn_of_far_images(np.array([0, 16 * TOLERANCE_NS]))
    assert not caplog.records
    cameras.warn_of_far_images(np.array([0, 4 * TOLERANCE_NS, 13 * TOLERANCE_NS]))
    assert "camera 'front': no image is near enough to a cloud: nearest is 0.15 s" in caplog.text


def test_images_that_are_all_damaged_are_not_said_to_be_far(caplog, calibration):
    class Damaged(FakeBag):
        def deserialize(self, message):
            raise MessageError("the message is cut short")

    bag = Damaged({("/front/image", IMAGE): [0]})
    BagCameras(bag, calibration).warn_of_far_images(np.array([0]))
    assert "camera 'front': none of its images can be read" in caplog.text


def test_a_topic_without_images_does_not_hide_another(caplog, calibration):
    names = ("/front/image_color", "/front/image_mono", "/front/image_raw/compressed")
    contents = {(names[0], IMAGE): [], (names[1], IMAGE): [], (names[2], JPEG): [5]}
    cameras = BagCameras(FakeBag(contents), calibration)
    assert (cameras.topics, caplog.text) == ([names[2]], "")
    contents[names[1], IMAGE] = [5]
    assert BagCameras(FakeBag(contents), calibration).topics == [names[1]]
    assert f"camera 'front': its images are those of {names[1]}, not of {names[2]}" in caplog.text


def test_the_first_camera_info_that_is_calibrated_is_taken(caplog):
    infos = [camera_info.encode(CAMERA, 0, "front_optical", TYPES) for _ in range(2)]
    infos[0].k = np.zeros(9)
    contents = {("/front/image", IMAGE): [5], ("/front/camera_info", INFO): infos}
    assert BagCameras(FakeBag(contents)).names == ["front"]
    assert caplog.text == ""
    contents["/front/camera_info", INFO] = infos[:1]
    assert BagCameras(FakeBag(contents)).names == []
    assert "camera 'front' is left out" in caplog.text


def test_a_topic_without_clouds_is_not_chosen_from():
    contents = {("/a", POINT_CLOUD): [], ("/b", POINT_CLOUD): [1], ("/c", POINT_CLOUD): []}
    bag = FakeBag(contents)
    assert choose_points(bag, None).topic == "/b"
    assert choose_points(bag, "/a").topic == "/a"
    contents["/c", POINT_CLOUD] = [1]
    with pytest.raises(BagError, match="several topics: /b, /c;"):
        choose_points(FakeBag(contents), None)
    with pytest.raises(BagError, match="several topics: /a, /c;"):
        choose_points(FakeBag({("/a", POINT_CLOUD): [], ("/c", POINT_CLOUD): []}), None)
