import pytest
from rosbags.typesys import Stores, get_typestore

from wsss_perception.diagnostics import Assessment, Level
from wsss_perception.messages.diagnostics import encode

ARRAY = "diagnostic_msgs/msg/DiagnosticArray"


@pytest.mark.parametrize("level", Level)
def test_array_holds_one_status(types, level):
    values = {"rate (Hz)": "9.80", "engine": "spconv"}
    assessment = Assessment(level, "all is well", values)
    message = encode(assessment, "segment: clouds", "/points", 5_000_000_001, types)
    (status,) = message.status
    number = status.level if isinstance(status.level, int) else status.level[0]
    assert number == level
    assert (status.name, status.message) == ("segment: clouds", "all is well")
    assert status.hardware_id == "/points"
    assert [(entry.key, entry.value) for entry in status.values] == list(values.items())
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (5, 1)


@pytest.mark.parametrize("level", Level)
def test_array_survives_serialisation_by_either_side(types, level):
    store = get_typestore(Stores.ROS2_JAZZY)
    message = encode(Assessment(level, "m", {"a": "b"}), "n", "h", 7, types)
    if type(message).__module__.startswith("diagnostic_msgs"):
        serialization = pytest.importorskip("rclpy.serialization", reason="no rclpy")
        data = serialization.serialize_message(message)
    else:
        data = store.serialize_cdr(message, ARRAY)
    status = store.deserialize_cdr(data, ARRAY).status[0]
    assert (status.level, status.message, status.name) == (level, "m", "n")
    assert [(entry.key, entry.value) for entry in status.values] == [("a", "b")]
