import pytest

from wsss_perception.camera_topics import camera_namespace, is_compressed, is_named, is_rectified


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


def test_a_camera_is_named_by_its_namespace_or_the_last_part_of_it():
    assert is_named("car/front", "front")
    assert is_named("car/front", "/car/front/")
    assert not is_named("car/front", "car")
