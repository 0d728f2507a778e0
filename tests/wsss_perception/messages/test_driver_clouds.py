import numpy as np
import pytest
from driver_clouds import DRIVERS, STAMP, make_driver_cloud

from wsss_perception.frame import SemanticCloud
from wsss_perception.messages.point_cloud2 import decode, encode_semantic
from wsss_perception.messages.point_layout import read_layout

INTENSITY = {"kitti bag": "i"}
PALETTE = np.zeros((256, 3), np.uint8)


def field_values(message, name):
    """The values [N] of a field, in its own type."""
    layout = read_layout(message)
    return layout.values(layout.fields[name]).ravel()


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_clouds_of_a_driver_are_decoded(types, driver):
    message, values = make_driver_cloud(driver, types)
    cloud = decode(message)
    assert (cloud.stamp, cloud.frame_id) == (STAMP, driver.partition(" ")[0])
    xyz = np.stack([values[axis] for axis in "xyz"], axis=1)
    if DRIVERS[driver].invalid == 0:  # beams without return
        xyz[~xyz.any(axis=1)] = np.nan
        assert np.isnan(xyz).any()
    np.testing.assert_array_equal(cloud.xyz, xyz)
    intensity = values[INTENSITY.get(driver, "intensity")].astype(np.float32)
    np.testing.assert_array_equal(cloud.channels["intensity"], intensity)
    for name in ("ring", "line", "time", "t"):
        if name in values:
            np.testing.assert_array_equal(cloud.channels[name], values[name].astype(np.float32))


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_semantic_cloud_keeps_what_a_driver_published(types, driver):
    message, values = make_driver_cloud(driver, types)
    count = len(values["x"])
    labels = np.arange(count).astype(np.uint8)
    semantic = SemanticCloud(labels, np.ones(count, np.float32), np.zeros(count, np.uint8))
    result = encode_semantic(message, semantic, PALETTE)
    assert (result.height, result.width) == DRIVERS[driver].shape
    assert result.is_dense == message.is_dense
    for name, column in values.items():
        found = field_values(result, name)
        np.testing.assert_array_equal(found, column)
        assert found.dtype == column.dtype
    np.testing.assert_array_equal(field_values(result, "label"), labels)


def test_times_since_the_epoch_keep_their_precision(types):
    message, values = make_driver_cloud("hesai", types)
    found = field_values(message, "timestamp")  # float32 would be up to 64 s off
    np.testing.assert_array_equal(found, values["timestamp"])
    assert np.ptp(found) == pytest.approx(0.1, abs=1e-6)


@pytest.mark.parametrize("driver", DRIVERS)
def test_sensor_msgs_py_reads_the_same_values(rclpy_types, driver):
    point_cloud2 = pytest.importorskip("sensor_msgs_py.point_cloud2", reason="no sensor_msgs_py")
    message, _ = make_driver_cloud(driver, rclpy_types)
    count = message.height * message.width
    semantic = SemanticCloud(
        np.arange(count).astype(np.uint8),
        np.linspace(0, 1, count, dtype=np.float32),
        np.ones(count, np.uint8),
    )
    for cloud in (message, encode_semantic(message, semantic, PALETTE)):
        points = point_cloud2.read_points(cloud)
        assert set(points.dtype.names) == {field.name for field in cloud.fields}
        for name in points.dtype.names:
            np.testing.assert_array_equal(field_values(cloud, name), points[name])
