import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from wsss_perception.errors import MessageError
from wsss_perception.frame import PointCloud, SemanticCloud
from wsss_perception.messages.point_cloud2 import (
    decode,
    encode_cloud,
    encode_query,
    encode_semantic,
)

TYPES = get_typestore(Stores.ROS2_JAZZY).types
XYZ = np.arange(12, dtype=np.float32).reshape(4, 3)
SIMILARITY = np.array([0.25, np.nan, -1, 0.5], np.float32)
LEVELS = np.array([3, 255, 0, 7], np.uint8)
PALETTE = np.random.default_rng(0).integers(0, 256, (256, 3), dtype=np.uint8)


def made(**channels):
    return encode_cloud(PointCloud(XYZ, channels, 5, "lidar"), TYPES)


def test_a_query_adds_similarity_and_colour_to_the_input():
    message = made(intensity=np.ones(4, np.float32))
    result = encode_query(message, SIMILARITY, LEVELS, PALETTE)
    names = [(field.name, field.datatype) for field in result.fields]
    assert names == [(n, 7) for n in ("x", "y", "z", "intensity", "similarity", "rgb")]
    assert (result.header, result.width, result.point_step) == (message.header, 4, 24)
    cloud = decode(result)
    np.testing.assert_array_equal(cloud.xyz, XYZ)
    np.testing.assert_array_equal(cloud.channels["intensity"], 1)
    np.testing.assert_array_equal(cloud.channels["similarity"], SIMILARITY)
    bits = np.ascontiguousarray(cloud.channels["rgb"]).view(np.uint32)
    red, green, blue = PALETTE[LEVELS].astype(np.uint32).T
    np.testing.assert_array_equal(bits, red << 16 | green << 8 | blue)


def test_fields_of_the_same_names_are_replaced():
    once = encode_query(made(), SIMILARITY, LEVELS, PALETTE)
    twice = encode_query(once, SIMILARITY[::-1], LEVELS, PALETTE)
    assert [field.name for field in twice.fields] == ["x", "y", "z", "similarity", "rgb"]
    np.testing.assert_array_equal(decode(twice).channels["similarity"], SIMILARITY[::-1])


def test_colours_of_classes_give_way_to_those_of_the_query():
    semantic = SemanticCloud(LEVELS, np.ones(4, np.float32), np.zeros(4, np.uint8))
    labelled = encode_semantic(made(), semantic, PALETTE)
    found = decode(encode_query(labelled, SIMILARITY, LEVELS, PALETTE)).channels
    assert list(found) == ["label", "confidence", "seen", "similarity", "rgb"]


def test_a_result_of_another_cloud_is_refused():
    with pytest.raises(MessageError, match="4 points cannot take 3 labels"):
        encode_query(made(), SIMILARITY[:3], LEVELS[:3], PALETTE)
