"""What the node publishes is computed only for those who listen."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: make install")

from wsss_perception.errors import OntologyError
from wsss_perception.frame import UNKNOWN, Frame, PointCloud, SemanticCloud, View
from wsss_perception.geometry import Camera
from wsss_perception.messages import image
from wsss_perception.messages.point_cloud2 import decode, encode_cloud
from wsss_perception.ontology import load_ontology
from wsss_perception.ros import outputs
from wsss_perception.ros.outputs import Outputs, Selection
from wsss_perception.ros.pipeline import Result
from wsss_perception.ros.session import MESSAGE_TYPES as TYPES
from wsss_perception.segmenter import see_points

ONTOLOGY = load_ontology("semantic_kitti")
CAMERA = Camera(16, 12, np.array([[8.0, 0, 8], [0, 8.0, 6], [0, 0, 1]]))
PIXELS = np.zeros((12, 16, 3), dtype=np.uint8)
XYZ = np.array([[0.0, 0, 5], [0.5, 0, 5], [0, 0.5, 5], [np.nan, 0, 0]], np.float32)
LABELS = np.array([*map(ONTOLOGY.index, ("car", "road", "terrain")), UNKNOWN], np.uint8)


class FakePublisher:
    def __init__(self) -> None:
        self.listeners = 0
        self.sent: list[object] = []
        self.publish = self.sent.append

    def get_subscription_count(self) -> int:
        return self.listeners


class FakeNode:
    """Keeps its publishers by topic."""

    def __init__(self, **parameters: object) -> None:
        self.topics: dict[str, FakePublisher] = {}
        defaults = {"filter_classes": [""], "filter_keeps": True, "ground_classes": [""]}
        self._parameters = {"min_confidence": 0.0, **defaults, **parameters}

    def create_publisher(self, _cls, topic, _qos):
        return self.topics.setdefault(topic, FakePublisher())

    def destroy_publisher(self, publisher):
        self.topics = {t: p for t, p in self.topics.items() if p is not publisher}

    def get_parameter_or(self, name):
        return SimpleNamespace(value=self._parameters[name])

    def get_clock(self):
        return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=7))


@pytest.fixture
def result() -> Result:
    cloud = PointCloud(XYZ)
    semantic = SemanticCloud(LABELS, np.ones(4, np.float32), np.zeros(4, np.uint8))
    views = tuple(View(name, CAMERA, np.eye(4), PIXELS[:0], 3) for name in ("front", "rear"))
    visible = see_points(XYZ, views)
    return Result(encode_cloud(cloud, TYPES), Frame(cloud, views), semantic, {}, [], visible)


def published(node: FakeNode, result: Result, *topics: str) -> dict[str, list]:
    """Publishes to listeners of some topics; returns what was sent, by topic."""
    made = Outputs(node, True, ["front", "rear"])
    for topic in topics:
        node.topics[topic].listeners = 1
    made.publish_parts(result, ONTOLOGY)
    return {topic: p.sent for topic, p in node.topics.items() if p.sent}


def test_nothing_is_computed_for_nobody(result, monkeypatch):
    for name in ("class_mask", "select_points", "overlay_points"):
        monkeypatch.setattr(outputs, name, lambda *_: pytest.fail("computed for nobody"))
    assert published(FakeNode(filter_classes=["car"]), result) == {}


@pytest.mark.parametrize(("keeps", "points"), [(True, 1), (False, 3)])
def test_filtered_points_are_those_of_the_classes_or_the_others(result, keeps, points):
    node = FakeNode(filter_classes=["car"], filter_keeps=keeps)
    sent = published(node, result, "filtered_points")
    assert [message.width for message in sent["filtered_points"]] == [points]
    assert list(sent) == ["filtered_points"]


@pytest.mark.parametrize(("classes", "points"), [([""], 2), (["road"], 1)])
def test_ground_points_are_those_of_the_ontology_or_as_asked(result, classes, points):
    sent = published(FakeNode(ground_classes=classes), result, "ground_points")
    assert [message.width for message in sent["ground_points"]] == [points]


def test_a_query_is_the_input_with_similarities_in_colours():
    node = FakeNode()
    made = Outputs(node, True, [])
    assert not made.is_query_heard
    node.topics["query_points"].listeners = 1
    assert made.is_query_heard
    similarity = np.array([0.1, 0.3, 0.2, np.nan], np.float32)
    made.publish_query(encode_cloud(PointCloud(XYZ), TYPES), similarity)
    (message,) = node.topics["query_points"].sent
    found = decode(message).channels
    np.testing.assert_array_equal(found["similarity"], similarity)
    assert len(np.unique(np.ascontiguousarray(found["rgb"]).view(np.uint32))) == 4
    made.close()
    assert node.topics == {}


def test_overlay_is_the_image_with_points(result):
    node = FakeNode()
    view = replace(result.frame.views[0], image=PIXELS)
    made = Outputs(node, True, ["front", "rear"])
    made.publish_overlay(view, "front_optical", result, ONTOLOGY)
    assert [topic for topic, p in node.topics.items() if p.sent] == ["overlay/front"]
    (picture,) = node.topics["overlay/front"].sent
    assert (picture.header.frame_id, picture.header.stamp.nanosec) == ("front_optical", 3)
    assert image.decode(picture).any()


def test_what_a_view_sees_is_computed_once_for_one_place(result, monkeypatch):
    view = replace(result.frame.views[0], image=PIXELS)
    monkeypatch.setattr("wsss_perception.overlay.visible_points", pytest.fail)
    made = Outputs(FakeNode(), True, ["front", "rear"])
    made.publish_overlay(view, "front_optical", result, ONTOLOGY)
    elsewhere = np.eye(4)
    elsewhere[0, 3] = 0.1
    assert result.visible_in(replace(view, T_camera_lidar=elsewhere)) is None
    assert result.visible_in(replace(view, camera=replace(CAMERA, width=20))) is None


def test_only_overlays_with_listeners_are_named():
    node = FakeNode()
    made = Outputs(node, True, ["front", "rear"])
    assert made.overlaid == []
    node.topics["overlay/rear"].listeners = 2
    assert made.overlaid == ["rear"]


def test_legend_and_label_info_are_announced_where_there_are_messages(monkeypatch):
    monkeypatch.setattr(outputs, "import_message", lambda name: object)
    monkeypatch.setattr(outputs.label_info, "encode", lambda *a: ("info", a[1]))
    node = FakeNode(min_confidence=0.5)
    made = Outputs(node, True, [])
    made.announce(ONTOLOGY)
    assert node.topics["label_info"].sent == [("info", 0.5)]
    assert len(node.topics["legend"].sent) == 1
    made.close()
    assert node.topics == {}


def test_without_vision_msgs_there_is_no_label_info(monkeypatch):
    monkeypatch.setattr(outputs, "import_message", lambda name: None)
    node = FakeNode()
    made = Outputs(node, True, [])
    made.announce(ONTOLOGY)
    assert "label_info" not in node.topics
    made.close()
    assert node.topics == {}


def test_selection_of_unknown_classes_is_refused():
    node = FakeNode(ground_classes=["road"])
    Selection.of(node, filter_classes=("car", "unknown")).check(ONTOLOGY)
    with pytest.raises(OntologyError, match="no class 'cars'"):
        Selection.of(node, filter_classes=("cars",)).check(ONTOLOGY)
    without = replace(ONTOLOGY, classes=tuple("abcdefghijklmnopqrs"), ground=())
    with pytest.raises(OntologyError, match="no class 'road'"):
        Selection.of(node).check(without)
