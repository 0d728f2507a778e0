import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from wsss_perception.messages.label_info import encode
from wsss_perception.ontology import Ontology

ONTOLOGY = Ontology("t", ("road", "car"), ((1, 1, 1), (2, 2, 2)), ((1,), (2,)))
DEFINITIONS = {
    "vision_msgs/msg/VisionClass": "uint16 class_id\nstring class_name",
    "vision_msgs/msg/LabelInfo": (
        "std_msgs/Header header\nvision_msgs/VisionClass[] class_map\nfloat32 threshold"
    ),
}


@pytest.fixture(scope="module")
def store():
    """A typestore that knows the fields of vision_msgs."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, text in DEFINITIONS.items():
        store.register(get_types_from_msg(text, name))
    return store


def test_label_info_names_every_label_and_the_unknown_one(store):
    message = encode(ONTOLOGY, 0.25, 3_000_000_007, "lidar", store.types)
    name = "vision_msgs/msg/LabelInfo"
    message = store.deserialize_cdr(store.serialize_cdr(message, name), name)
    classes = [(entry.class_id, entry.class_name) for entry in message.class_map]
    assert classes == [(0, "road"), (1, "car"), (255, "UNLABELED")]
    assert message.threshold == 0.25
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (3, 7)
    assert message.header.frame_id == "lidar"


def test_label_info_fits_the_installed_vision_msgs(rclpy_types):
    pytest.importorskip("vision_msgs.msg", reason="no vision_msgs in this ROS")
    message = encode(ONTOLOGY, 0.0, 0, "", rclpy_types)
    assert [entry.class_id for entry in message.class_map] == [0, 1, 255]
