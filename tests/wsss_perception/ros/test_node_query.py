"""The node with a model that answers phrases, over DDS; on a robot without torch and open_clip."""

import signal
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: make install")
pytest.importorskip("torch", reason="torch is not installed: make install")
pytest.importorskip("spconv", reason="spconv is not installed: make install")

from made_networks import write_answering
from node_process import ANSWER_TIMEOUT
from sensor_msgs.msg import PointCloud2

from wsss_perception.engines import load_engine
from wsss_perception.frame import Frame
from wsss_perception.messages.common import stamp_to_ns
from wsss_perception.messages.point_cloud2 import decode
from wsss_perception.query import find_query
from wsss_perception.ros.session import MESSAGE_TYPES as TYPES
from wsss_perception.segmenter import Segmenter

LIGHT_ROBOT = Path(__file__).parents[2] / "helpers" / "light_robot.py"


@pytest.fixture(scope="module")
def answering(tmp_path_factory):
    return write_answering(tmp_path_factory.mktemp("models") / "answering")[0]


@pytest.fixture(scope="module")
def node(nodes, answering):
    return nodes(f"model:={answering.folder}", program=[str(LIGHT_ROBOT)])


def expected(bundle, message, phrase):
    segmenter = Segmenter(bundle.spec, load_engine("spconv", bundle, "cpu"))
    segmenter.query = find_query(bundle.spec, phrase)
    return segmenter(Frame(decode(message)))


def answer(node, clouds, message):
    """Publishes clouds until what is alike in one of them comes: who listens is found out late."""
    stamps: list[int] = []
    deadline = time.monotonic() + ANSWER_TIMEOUT
    found = lambda: [c for c in clouds if stamp_to_ns(c.header.stamp) in stamps]  # noqa: E731
    while not found():
        assert time.monotonic() < deadline, node.log()
        node.publish(message)
        stamps.append(stamp_to_ns(message.header.stamp))
        node.spin_until(found, 1.0, fail=False)
    return decode(found()[0])


def test_node_compares_points_to_a_phrase_while_it_runs(node, answering, make_message):
    message = make_message(TYPES)
    labels = decode(node.segment(message)).channels["label"]
    assert (labels == expected(answering, message, "car").labels).mean() >= 0.99
    clouds = node.collect(PointCloud2, "query_points")
    for phrase in ("a red chair", "car"):
        assert node.set_parameter("query", phrase) == ""
        found = answer(node, clouds, message)
        np.testing.assert_array_equal(found.xyz, decode(message).xyz)
        assert set(found.channels) == {"intensity", "similarity", "rgb"}
        similarity = expected(answering, message, phrase).similarity
        np.testing.assert_allclose(found.channels["similarity"], similarity, atol=1e-4)
        assert len(np.unique(np.ascontiguousarray(found.channels["rgb"]).view(np.uint32))) > 50
    assert node.set_parameter("query", "") == ""
    silent = [node.segment(message).header for _ in range(2)]
    assert not any(cloud.header in silent for cloud in clouds)


def test_node_refuses_a_phrase_that_it_cannot_encode(node, answering, make_message):
    assert node.set_parameter("query", "car") == ""
    reason = node.set_parameter("query", "a blue cup")
    assert "'a blue cup' is not among the model's own phrases (car," in reason
    assert "a red chair" in reason
    assert "pip install open_clip_torch" in reason
    clouds = node.collect(PointCloud2, "query_points")
    message = make_message(TYPES)
    found = answer(node, clouds, message).channels["similarity"]  # the phrase before stays
    np.testing.assert_allclose(found, expected(answering, message, "car").similarity, atol=1e-4)


def test_a_model_without_texts_is_refused_while_a_phrase_is_asked(node, answering, bundle):
    assert node.set_parameter("query", "car") == ""
    assert node.set_parameter("model", str(bundle.folder)) == ""
    response = node.load_model()
    assert not response.success
    assert "its bundle has no 'embedding'" in response.message
    assert node.set_parameter("query", "") == ""
    assert node.load_model().success
    assert "its bundle has no 'embedding'" in node.set_parameter("query", "car")
    assert node.set_parameter("model", str(answering.folder)) == ""
    assert node.load_model().success
    assert node.set_parameter("query", "car") == ""
    assert node.stop(signal.SIGTERM) == 0
    assert "Traceback" not in node.log()
