from array import array

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_perception.errors import MessageError
from wsss_perception.geometry import Camera, make_transform, matrix_from_quaternion
from wsss_perception.messages.camera_info import decode, encode, rectification

MATRIX = np.array([[500.0, 0.0, 319.0], [0.0, 510.0, 243.0], [0.0, 0.0, 1.0]])
CAMERA = Camera(640, 480, MATRIX, "rational_polynomial", (0.1, -0.2, 0.001, 0.002, 0.03, 0.4))


def make_info(types, camera=CAMERA):
    return encode(camera, 5_000_000_009, "camera_optical", types)


@pytest.mark.parametrize(
    "camera",
    [
        CAMERA,
        Camera(64, 48, MATRIX, "plumb_bob", (0.1, 0.2, 0.3)),
        Camera(64, 48, MATRIX, "equidistant", (0.1, 0.2, 0.3, 0.4)),
        Camera(64, 48, MATRIX),
    ],
)
def test_a_camera_survives_the_round_trip(types, camera):
    message = make_info(types, camera)
    again = decode(message)
    assert (again.width, again.height, again.model) == (camera.width, camera.height, camera.model)
    assert again.distortion == camera.distortion
    np.testing.assert_array_equal(again.matrix, camera.matrix)
    assert message.header.frame_id == "camera_optical"
    assert message.header.stamp.nanosec == 9


def test_a_rectified_image_uses_the_projection_matrix_and_no_distortion(types):
    message = make_info(types)
    projection = np.array([[400.0, 0, 300, -40], [0, 400, 240, 0], [0, 0, 1, 0]])
    message.p = projection.ravel()
    camera = decode(message, rectified=True)
    np.testing.assert_array_equal(camera.matrix, projection[:, :3])
    assert camera.distortion == ()
    np.testing.assert_array_equal(decode(message).matrix, MATRIX)


def test_rectification_is_the_rotation_or_the_identity_where_unset(types):
    message = make_info(types)
    rotation = matrix_from_quaternion([0.01, 0.02, 0.0, 1.0])
    message.r = rotation.ravel()
    np.testing.assert_allclose(rectification(message), make_transform(rotation, [0, 0, 0]))
    message.r = np.zeros(9)
    np.testing.assert_array_equal(rectification(message), np.eye(4))
    message.r = np.full(9, 0.5)
    with pytest.raises(MessageError, match="'camera_optical': R: not a rotation"):
        rectification(message)


def test_region_of_interest_and_binning_keep_points_on_their_pixels(types):
    message = make_info(types, Camera(640, 480, MATRIX))
    message.roi.x_offset, message.roi.y_offset = 100, 40
    message.roi.width, message.roi.height = 400, 200
    message.binning_x, message.binning_y = 2, 4
    camera = decode(message)
    assert (camera.width, camera.height) == (200, 50)
    points = np.array([[0.0, 0.0, 5.0], [-0.5, -0.3, 4.0], [0.3, -0.8, 6.0]])
    full, _ = Camera(640, 480, MATRIX).project(points)
    uv, _ = camera.project(points)
    # the outer edges of the first pixel stay where they are: column -0.5 of 100 is -0.5
    np.testing.assert_allclose((uv + 0.5) * [2, 4], full - [100, 40] + 0.5)


def test_a_region_without_binning_moves_the_principal_point_alone(types):
    message = make_info(types, Camera(640, 480, MATRIX))
    message.roi.x_offset, message.roi.y_offset = 100, 40
    message.roi.width, message.roi.height = 401, 203
    for camera in (decode(message), decode(message, rectified=True)):
        assert (camera.width, camera.height) == (401, 203)
        np.testing.assert_array_equal(camera.matrix, [[500, 0, 219], [0, 510, 203], [0, 0, 1]])


@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("binning", [(0, 0), (1, 1), (2, 2), (4, 3)])
@pytest.mark.parametrize("roi", [(0, 0, 0, 0), (100, 40, 400, 240)])
def test_image_geometry_has_the_same_intrinsics(rclpy_types, rectified, binning, roi):
    geometry = pytest.importorskip("image_geometry", reason="no image_geometry")
    message = make_info(rclpy_types, Camera(640, 480, MATRIX))
    message.p = np.array([[400.0, 0, 300, 0], [0, 405, 240, 0], [0, 0, 1, 0]]).ravel()
    message.binning_x, message.binning_y = binning
    message.roi.x_offset, message.roi.y_offset, message.roi.width, message.roi.height = roi
    model = geometry.PinholeCameraModel()
    model.fromCameraInfo(message)
    theirs = np.array(model.P[:, :3] if rectified else model.K)
    factor = np.maximum(binning, 1)
    theirs[:2, 2] -= 0.5 - 0.5 / factor  # half a pixel, which image_geometry leaves out
    camera = decode(message, rectified)
    np.testing.assert_allclose(camera.matrix, theirs, rtol=1e-12)
    size = (roi[2] or 640, roi[3] or 480)
    assert (camera.width, camera.height) == (size[0] // factor[0], size[1] // factor[1])


def test_trailing_zeros_of_other_calibrators_are_left_out(types):
    message = make_info(types)
    coefficients = np.array([*CAMERA.distortion, *(0.0,) * 8])
    message.d = array("d", coefficients) if isinstance(message.d, array) else coefficients
    assert decode(message).distortion == CAMERA.distortion


@settings(max_examples=100)
@given(st.data())
def test_a_mutated_calibration_is_refused_or_read(rosbags_types, data):
    message = make_info(rosbags_types)
    number = st.one_of(st.floats(), st.sampled_from([0.0, 1.0, 500.0]))
    for name in data.draw(st.lists(st.sampled_from(["k", "p", "d"]), max_size=3)):
        values = getattr(message, name).copy()
        values[data.draw(st.integers(0, len(values) - 1))] = data.draw(number)
        setattr(message, name, values)
    for name in ("width", "height", "binning_x", "binning_y"):
        if data.draw(st.booleans()):
            setattr(message, name, data.draw(st.integers(0, 2000)))
    for name in ("x_offset", "y_offset", "width", "height"):
        setattr(message.roi, name, data.draw(st.sampled_from([0, 0, 1, 300, 2**32 - 1])))
    try:
        camera = decode(message, data.draw(st.booleans()))
    except MessageError:
        return
    assert camera.width >= 1
    assert camera.height >= 1
    assert np.isfinite(camera.matrix).all()
    camera.project(np.array([[0.1, 0.2, 3.0]]))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"distortion_model": "fisheye62"}, "unknown distortion model 'fisheye62'"),
        ({"k": np.zeros(9)}, "not calibrated"),
        ({"width": 0}, "no image size"),
    ],
)
def test_an_unusable_calibration_is_refused_with_the_reason(types, change, reason):
    message = make_info(types)
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(MessageError, match=reason) as caught:
        decode(message)
    assert "CameraInfo of frame 'camera_optical'" in str(caught.value)
