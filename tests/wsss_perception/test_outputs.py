import array
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsss_perception.errors import MessageError, OntologyError
from wsss_perception.frame import UNKNOWN
from wsss_perception.messages.point_cloud2 import decode
from wsss_perception.ontology import Ontology
from wsss_perception.outputs import class_mask, select_points

NAMES = ("road", "car", "tree")
ONTOLOGY = Ontology("t", NAMES, ((1, 1, 1), (2, 2, 2), (3, 3, 3)), ((1,), (2,), (3,)))
LABELS = np.array([0, 1, 2, UNKNOWN, 1], np.uint8)


@dataclass
class Message:
    """What the codec needs of a PointCloud2 of any origin."""

    header: Any
    height: int
    width: int
    fields: list
    is_bigendian: bool
    point_step: int
    row_step: int
    data: Any
    is_dense: bool


def make_message(height, width, padding=0, step=14, seed=0, dense=False):
    fields = [
        SimpleNamespace(name=name, offset=offset, datatype=7, count=1)
        for name, offset in (("x", 0), ("y", 4), ("z", 8))
    ]
    row_step = width * step + padding
    data = np.random.default_rng(seed).integers(0, 256, height * row_step, dtype=np.uint8)
    header = SimpleNamespace(stamp=SimpleNamespace(sec=1, nanosec=2), frame_id="lidar")
    return Message(header, height, width, fields, False, step, row_step, data, dense)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], [0, 0, 0, 0, 0]),
        (["car"], [0, 1, 0, 0, 1]),
        (["tree", "road"], [1, 0, 1, 0, 0]),
        (["unknown", "car"], [0, 1, 0, 1, 1]),
    ],
)
def test_class_mask_marks_the_points_of_the_classes(names, expected):
    mask = class_mask(LABELS, ONTOLOGY, names)
    assert mask.dtype == bool
    assert mask.tolist() == [bool(value) for value in expected]


def test_class_mask_takes_a_class_of_the_name_unknown_for_itself():
    ontology = Ontology("t", ("a", "unknown"), ((1, 1, 1), (2, 2, 2)), ((1,), (2,)))
    assert class_mask(LABELS, ontology, ["unknown"]).tolist() == [False, True, False, False, True]


def test_class_mask_refuses_a_name_that_is_no_class():
    with pytest.raises(OntologyError, match="'cart'; did you mean 'car'"):
        class_mask(LABELS, ONTOLOGY, ["road", "cart"])


@given(st.data())
def test_selected_points_keep_their_bytes_and_order(data):
    height, width = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 5))
    step = data.draw(st.sampled_from([12, 13, 32]))
    message = make_message(height, width, data.draw(st.integers(0, 3)), step)
    before = bytes(message.data)
    size = height * width
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size)), dtype=bool)
    part = select_points(message, mask)
    expected = b""
    for number in np.flatnonzero(mask):
        row, column = divmod(int(number), width)
        start = row * message.row_step + column * step
        expected += before[start : start + step]
    assert bytes(part.data) == expected
    assert bytes(message.data) == before
    assert (part.height, part.width, part.point_step) == (1, mask.sum(), step)
    assert part.row_step == len(expected)


@pytest.mark.parametrize("dense", [False, True])
def test_selection_keeps_header_fields_and_is_dense(dense):
    message = make_message(2, 3, dense=dense)
    part = select_points(message, np.ones(6, dtype=bool))
    assert part.header is message.header
    assert part.fields == message.fields
    assert part.is_dense is dense
    np.testing.assert_array_equal(decode(part).xyz, decode(message).xyz)


def test_selection_of_rclpy_messages_is_an_array_of_bytes():
    messages = pytest.importorskip("sensor_msgs.msg", reason="no rclpy messages")
    given_one = make_message(2, 3, padding=5)
    source = messages.PointCloud2(
        height=2,
        width=3,
        fields=[
            messages.PointField(name=name, offset=4 * number, datatype=7, count=1)
            for number, name in enumerate("xyz")
        ],
        point_step=14,
        row_step=given_one.row_step,
        data=array.array("B", given_one.data.tobytes()),
    )
    mask = np.array([1, 0, 0, 0, 1, 1], dtype=bool)
    part = select_points(source, mask)
    assert isinstance(part.data, array.array)
    assert bytes(part.data) == bytes(select_points(given_one, mask).data)


@pytest.mark.parametrize("size", [0, 5, 7])
def test_selection_refuses_a_mask_of_another_cloud(size):
    with pytest.raises(MessageError, match=rf"1\.000000002 in frame 'lidar'.* {size} points.* 6 "):
        select_points(make_message(2, 3), np.ones(size, dtype=bool))


def test_selection_refuses_a_cloud_that_is_cut_short():
    message = make_message(2, 3)
    message.data = message.data[:-1]
    with pytest.raises(MessageError, match="cut short"):
        select_points(message, np.ones(6, dtype=bool))
