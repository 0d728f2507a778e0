import numpy as np
import pytest
import yaml

from wsss_perception.calibration import CameraCalibration, read_calibration, write_calibration
from wsss_perception.errors import ConfigError
from wsss_perception.geometry import Camera, make_transform, matrix_from_quaternion

POSE = make_transform(matrix_from_quaternion([0.5, -0.5, 0.5, -0.5]), [0.1, -0.2, 0.3])
MATRIX = np.array([[721.5377, 0.0, 609.5593], [0.0, 721.5377, 172.854], [0.0, 0.0, 1.0]])
CAMERAS = {
    "front": CameraCalibration(Camera(1242, 375, MATRIX), POSE),
    "rear/left": CameraCalibration(Camera(64, 48, MATRIX, "equidistant", (0.1, 1e-7)), np.eye(4)),
}


@pytest.fixture
def path(tmp_path):
    write_calibration(tmp_path / "cameras.yaml", CAMERAS)
    return tmp_path / "cameras.yaml"


def test_cameras_read_back_equal(path):
    cameras = read_calibration(path)
    assert list(cameras) == list(CAMERAS)
    for name, expected in CAMERAS.items():
        found = cameras[name]
        np.testing.assert_array_equal(found.T_camera_lidar, expected.T_camera_lidar)
        np.testing.assert_array_equal(found.camera.matrix, expected.camera.matrix)
        assert found.camera.distortion == expected.camera.distortion
        assert found.camera.model == expected.camera.model
        size = (expected.camera.width, expected.camera.height)
        assert (found.camera.width, found.camera.height) == size


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("T_camera_lidar", np.zeros((4, 4)).tolist(), "not a rotation"),
        ("T_camera_lidar", [[1, 0], [0, 1]], "finite 4x4"),
        ("T_camera_lidar", "front", "could not convert"),
        ("K", np.zeros((3, 3)).tolist(), "not calibrated"),
        ("model", "thin_prism", "unknown distortion model 'thin_prism'"),
        ("D", [0.0] * 6, "takes at most 5"),
        ("D", 7, "not iterable"),
        ("width", 0, "must be positive"),
        ("width", float("inf"), "infinity"),
        ("D", [1e308] * 5, "cannot be computed"),
        ("height", None, "int"),
        ("K", ..., "has no 'K'"),
    ],
)
def test_a_bad_entry_is_named(path, key, value, reason):
    data = yaml.safe_load(path.read_text())
    entry = data["cameras"]["front"]
    if value is ...:
        del entry[key]
    else:
        entry[key] = value
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(ConfigError, match=reason) as caught:
        read_calibration(path)
    assert f"{path}: camera 'front'" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("schema: 2", "needs 'schema: 1'"),
        ("- 1", "not a calibration file"),
        ("schema: 1", "lists no cameras"),
        ("schema: [", "cannot be read"),
        ("schema: 1\ncameras: {front: 3}", "camera 'front'"),
    ],
)
def test_another_file_is_refused(path, text, reason):
    path.write_text(text)
    with pytest.raises(ConfigError, match=reason):
        read_calibration(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.yaml: calibration cannot be read"):
        read_calibration(tmp_path / "absent.yaml")
