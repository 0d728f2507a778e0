import pytest

from wsss_perception.camera_topics import (
    camera_namespace,
    is_compressed,
    is_rectified,
    match_names,
    relative_names,
)
from wsss_perception.errors import ConfigError


@pytest.mark.parametrize(
    ("topic", "namespace"),
    [
        ("/front/image_raw", "/front"),
        ("/front/image_raw/compressed", "/front"),
        ("/CAM_FRONT/compressed", "/CAM_FRONT"),
        ("/kitti/camera_color_left/image_rect", "/kitti/camera_color_left"),
        ("/image", ""),
    ],
)
def test_the_namespace_of_a_camera_holds_its_camera_info(topic, namespace):
    assert camera_namespace(topic) == namespace


def test_topic_names_tell_what_the_images_are():
    assert is_rectified("/front/image_rect_color/compressed")
    assert not is_rectified("/front/image_raw")
    assert is_compressed("/front/image_raw/compressed")
    assert not is_compressed("/front/compressed/image_raw")


@pytest.mark.parametrize(
    ("cameras", "names", "expected"),
    [
        (["car/front"], ["front"], {"car/front": "front"}),
        (["car/front"], ["/car/front/"], {"car/front": "/car/front/"}),
        (["robot/car/front"], ["car/front"], {"robot/car/front": "car/front"}),
        (["car/front"], ["car", "ront", ""], {}),
        (["car/front"], ["front", "car/front"], {"car/front": "car/front"}),
        (
            ["a/front", "b/front"],
            ["a/front", "b/front"],
            {"a/front": "a/front", "b/front": "b/front"},
        ),
        (["a/front", "b/front"], ["a/front", "front"], {"a/front": "a/front", "b/front": "front"}),
        (["front", "rear/front"], ["front"], {"front": "front"}),
    ],
)
def test_a_name_is_all_or_the_last_parts_of_a_namespace(cameras, names, expected):
    for order in (1, -1):
        assert match_names(cameras[::order], names[::order]) == expected


def test_a_name_that_may_mean_two_cameras_is_refused():
    with pytest.raises(ConfigError, match="'front' may mean each of the cameras a/front, b/front"):
        match_names(["a/front", "b/front"], ["front"])


def test_names_are_relative_to_a_namespace_where_that_is_clear():
    cameras = ["robot/front", "rear", "robotic/side", "robot/rear", "robot"]
    expected = ["front", "rear", "robotic/side", "robot/rear", "robot"]
    assert relative_names(cameras, "/robot") == dict(zip(cameras, expected, strict=True))
    assert relative_names(cameras, "/") == dict(zip(cameras, cameras, strict=True))
