from types import SimpleNamespace

import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from wsss_perception.errors import BagError, MessageError
from wsss_perception.frame import PointCloud
from wsss_perception.messages import point_cloud2
from wsss_training.recording.clouds import scan_clouds

TYPES = get_typestore(Stores.ROS2_JAZZY).types
EPOCH = 1.7e9
"""Seconds since 1970, which float32 rounds to 128."""


class FakeBag:
    """A bag of one topic of clouds, received 1 ns after each other; None cannot be deserialized."""

    path = "drive"

    def __init__(self, contents):
        self._contents = contents

    def of_type(self, _):
        return [SimpleNamespace(topic="/points", msgcount=len(self._contents))]

    def messages(self, _):
        return (SimpleNamespace(received=n, data=c) for n, c in enumerate(self._contents))

    def deserialize(self, message):
        if message.data is None:
            raise MessageError("no cloud")
        return message.data


def make_cloud(stamp, frame="os1", names=("intensity", "ring"), xyz=None):
    xyz = np.ones((4, 3), np.float32) if xyz is None else np.asarray(xyz, np.float32)
    channels = {name: np.arange(len(xyz), dtype=np.float32) for name in names}
    return point_cloud2.encode_cloud(PointCloud(xyz, channels, stamp, frame), TYPES)


def make_timed(stamp, times, dtype="<f8", datatype=8):
    """A cloud with x, y, z and a field 'timestamp'."""
    layout = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("timestamp", dtype)])
    message = make_cloud(stamp, names=("timestamp",), xyz=np.ones((len(times), 3)))
    points = np.ones(len(times), layout)
    points["timestamp"] = times
    message.fields[-1].datatype = datatype
    message.point_step, message.row_step = layout.itemsize, layout.itemsize * len(times)
    message.data = points.view(np.uint8)
    return message


def test_usable_clouds_are_ordered_by_stamp():
    clouds = scan_clouds(FakeBag([make_cloud(5), make_cloud(3)]), "/points")
    np.testing.assert_array_equal(clouds.times, [[3, 1], [5, 0]])
    assert (clouds.frame_id, clouds.channels) == ("os1", {"intensity": 1, "ring": 1})
    assert (clouds.damaged, clouds.empty) == (0, 0)


@pytest.mark.parametrize("odd", [{"frame": "map"}, {"names": ("intensity",)}])
def test_the_commonest_frame_and_channels_decide_not_the_first(odd, caplog):
    contents = [make_cloud(1, **odd), *(make_cloud(stamp) for stamp in (2, 3, 4))]
    clouds = scan_clouds(FakeBag(contents), "/points")
    assert clouds.times[:, 0].tolist() == [2, 3, 4]
    assert (clouds.frame_id, clouds.channels) == ("os1", {"intensity": 1, "ring": 1})
    assert clouds.damaged == 1
    assert "cloud of 1 ns" in caplog.text


def test_clouds_without_a_finite_point_are_left_out_and_counted():
    nan = np.full((2, 3), np.nan)
    contents = [make_cloud(1, xyz=np.zeros((0, 3))), make_cloud(2, xyz=nan), make_cloud(3)]
    clouds = scan_clouds(FakeBag(contents), "/points")
    assert (clouds.times[:, 0].tolist(), clouds.empty, clouds.damaged) == ([3], 2, 0)
    with pytest.raises(BagError, match=r"none of its clouds .*: 2 have no finite point"):
        scan_clouds(FakeBag(contents[:2]), "/points")


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        ([make_cloud(0)] * 9, "only 1 of its 9 .*: 8 have the stamp of another"),
        ([None, None, None, make_cloud(1)], "only 1 of its 4 .*: 3 cannot be decoded.*no cloud"),
        ([make_cloud(k, f"{k}") for k in range(3)], "only 1 of its 3 .*: 2 are of another kind"),
    ],
)
def test_a_log_of_which_most_would_be_left_out_is_refused(contents, reason):
    with pytest.raises(BagError, match=reason):
        scan_clouds(FakeBag(contents), "/points")


@pytest.mark.parametrize(
    ("times", "dtype", "datatype", "is_kept"),
    [
        (EPOCH + np.linspace(0, 0.1, 9), "<f8", 8, False),
        ((EPOCH + np.linspace(0, 0.1, 9)) * 1e9, "<f8", 8, False),
        (np.full(9, EPOCH + 5), "<f8", 8, False),
        (np.linspace(0, 0.1, 9), "<f8", 8, True),
        (np.full(9, 0.1), "<f8", 8, True),
        (np.linspace(0, 1e8, 9), "<u4", 6, True),
        (np.linspace(4e9, 4e9 + 1000, 9), "<u4", 6, False),
        (np.full(9, np.nan), "<f8", 8, True),
    ],
)
def test_channels_that_float32_cannot_hold_are_left_out(times, dtype, datatype, is_kept, caplog):
    contents = [make_timed(stamp, times, dtype, datatype) for stamp in (1, 2)]
    clouds = scan_clouds(FakeBag(contents), "/points")
    assert ("timestamp" in clouds.channels) == is_kept
    assert caplog.text.count("channel 'timestamp' is left out") == (not is_kept)
