from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsss_perception.errors import DatasetError
from wsss_perception.geometry import Camera
from wsss_training.data.scannet_files import camera_of_size, find_frames

IMAGE = Path("color/0.jpg")


def intrinsics(width, height, shift=(0.0, 0.0)):
    center = (width - 1) / 2 + shift[0], (height - 1) / 2 + shift[1]
    return np.array([[0.9 * width, 0, center[0]], [0, 0.9 * width, center[1]], [0, 0, 1]])


def test_camera_of_a_whole_image_has_the_intrinsics_as_they_are():
    matrix = intrinsics(640, 480, (0.5, 0.5))  # as 7-Scenes writes them
    camera = camera_of_size(matrix, (640, 480), IMAGE)
    np.testing.assert_array_equal(camera.matrix, matrix)
    published = np.array([[1170.2, 0, 648.93], [0, 1170.2, 486.4], [0, 0, 1]])
    camera = camera_of_size(published, (1296, 968), IMAGE)
    np.testing.assert_array_equal(camera.matrix, published)


@given(
    st.sampled_from([(1296, 968), (640, 480)]),
    st.tuples(*[st.floats(-4, 4)] * 2),
    st.sampled_from([(640, 480), (320, 240), (324, 242), (960, 720)]),
    st.tuples(*[st.floats(-0.4, 0.4)] * 2),
)
def test_points_keep_their_place_on_a_resized_image(first, shift, size, direction):
    matrix = intrinsics(*first, shift)
    whole, resized = Camera(*first, matrix), camera_of_size(matrix, size, IMAGE)
    assert (resized.width, resized.height) == size
    point = np.array([[*direction, 1.0]])
    place = (whole.project(point)[0] + 0.5) / first
    np.testing.assert_allclose((resized.project(point)[0] + 0.5) / size, place, atol=1e-9)


@pytest.mark.parametrize("size", [(640, 360), (480, 640), (1, 1), (1296, 900)])
def test_image_of_another_shape_is_refused(size):
    with pytest.raises(DatasetError, match=r"0\.jpg: has .* intrinsics are for about 1296x968"):
        camera_of_size(intrinsics(1296, 968), size, IMAGE)


def test_frames_are_in_the_order_of_their_numbers(tmp_path):
    for part, suffix in (("color", "jpg"), ("depth", "png"), ("pose", "txt")):
        (tmp_path / part).mkdir()
        for stem in ("100", "20", "000003"):
            (tmp_path / part / f"{stem}.{suffix}").touch()
    frames = find_frames(tmp_path)
    assert [frame.number for frame in frames] == [3, 20, 100]
    assert frames[0].depth == tmp_path / "depth" / "000003.png"


def test_folders_of_no_frames_are_refused(tmp_path):
    assert find_frames(tmp_path) == []
    (tmp_path / "color").mkdir()
    with pytest.raises(DatasetError, match=rf"{tmp_path / 'color'}: no \.jpg files"):
        find_frames(tmp_path)
