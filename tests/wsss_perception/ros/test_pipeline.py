from dataclasses import replace

import numpy as np
import pytest
from driver_clouds import make_driver_cloud
from rosbags.typesys import Stores, get_typestore

from wsss_perception.errors import MessageError
from wsss_perception.features import PAINTED, Feature
from wsss_perception.frame import UNKNOWN, View
from wsss_perception.geometry import Camera
from wsss_perception.messages.point_cloud2 import decode
from wsss_perception.messages.point_layout import read_layout
from wsss_perception.ros.pipeline import Pipeline
from wsss_perception.segmenter import Segmenter, count_views

TYPES = get_typestore(Stores.ROS2_JAZZY).types
ADDED = ["label", "confidence", "seen", "rgb"]


class CellEngine:
    """Labels a voxel by its cell, surely (0.98) or weakly (0.5) by the mean intensity."""

    name = "cell"

    def __call__(self, coords, features):
        logits = np.zeros((len(coords), 19), dtype=np.float32)
        strength = np.where(features[:, 3] > 0.5, np.log(18 * 49), np.log(18))
        logits[np.arange(len(coords)), coords.sum(axis=1) % 19] = strength
        return logits


@pytest.fixture
def pipeline(spec) -> Pipeline:
    return Pipeline(Segmenter(spec, CellEngine()))


def test_pipeline_keeps_points_header_and_fields(pipeline, make_message):
    message = make_message(TYPES)
    result = pipeline(message, 0.0, 1.0).message
    assert result.header == message.header
    assert [field.name for field in result.fields] == ["x", "y", "z", "intensity", *ADDED]
    before, after = decode(message), decode(result)
    np.testing.assert_array_equal(after.xyz, before.xyz)
    np.testing.assert_array_equal(after.channels["intensity"], before.channels["intensity"])
    expected = np.floor(before.xyz / np.float32(0.2)).astype(int).sum(axis=1) % 19
    np.testing.assert_array_equal(after.channels["label"], expected)


def test_pipeline_gives_no_label_to_beams_without_return(spec):
    """Some drivers write them as zeros; motion compensation must not make points of them."""
    message, values = make_driver_cloud("ouster", TYPES)
    lost = ~np.stack([values[axis] for axis in "xyz"], axis=1).any(axis=1)
    pipeline = Pipeline(Segmenter(spec, CellEngine()))

    def move(_message, cloud):
        return cloud.xyz + np.float32(0.5)

    for motion in (None, move):
        result = pipeline(message, 0.0, 1 / 255, motion=motion)
        np.testing.assert_array_equal(result.semantic.labels == UNKNOWN, lost)
        assert result.semantic.confidence[lost].max() == 0
        kept = read_layout(result.message)
        assert not kept.values(kept.fields["x"]).ravel()[lost].any()  # the bytes stay


def test_pipeline_names_the_seconds_of_each_stage(pipeline, make_message):
    seconds = pipeline(make_message(TYPES), 0.0, 1.0).seconds
    assert list(seconds) == ["decode", "voxelize", "network", "scatter", "encode"]
    assert min(seconds.values()) > 0


def test_pipeline_asks_for_views_when_the_labels_are_there(spec, make_message):
    """What the points are needs no camera; which of them are seen does."""
    order = []

    class Engine(CellEngine):
        def __call__(self, coords, features):
            order.append("network")
            return super().__call__(coords, features)

    camera = Camera(100, 100, np.array([[50.0, 0, 50], [0, 50, 50], [0, 0, 1]]))
    view = View("up", camera, np.eye(4), np.zeros((0, 0, 3), np.uint8))

    def look():
        order.append("views")
        return (view,)

    result = Pipeline(Segmenter(spec, Engine()))(make_message(TYPES), 0.0, 1.0, look)
    assert order == ["network", "views"]
    stages = ["decode", "voxelize", "network", "scatter", "cameras", "seen", "encode"]
    assert list(result.seconds) == stages
    expected = count_views(result.frame.cloud.xyz, (view,))
    assert 0 < expected.sum() < len(expected)
    np.testing.assert_array_equal(result.semantic.seen, expected)
    np.testing.assert_array_equal(decode(result.message).channels["seen"], expected)
    np.testing.assert_array_equal(result.visible_in(view)[0], np.flatnonzero(expected))


def test_pipeline_asks_for_views_first_where_the_model_takes_images(spec, make_message):
    order, given = [], []

    class Engine(CellEngine):
        def __call__(self, coords, features):
            order.append("network")
            given.append(features[:, -4:])
            return super().__call__(coords, features)

    features = (*spec.features, *(Feature(name, fill=0.0) for name in PAINTED))
    spec = replace(spec, features=features, cameras="optional")
    camera = Camera(100, 100, np.array([[50.0, 0, 50], [0, 50, 50], [0, 0, 1]]))
    view = View("up", camera, np.eye(4), np.full((100, 100, 3), 51, np.uint8))

    def look():
        order.append("views")
        return (view,)

    pipeline = Pipeline(Segmenter(spec, Engine()))
    result = pipeline(make_message(TYPES), 0.0, 1.0, look)
    assert order == ["views", "network"]
    stages = ["decode", "cameras", "seen", "paint", "voxelize", "network", "scatter", "encode"]
    assert list(result.seconds) == stages
    expected = count_views(result.frame.cloud.xyz, (view,))
    assert 0 < expected.sum() < len(expected)
    np.testing.assert_array_equal(result.semantic.seen, expected)
    np.testing.assert_array_equal(result.visible_in(view)[0], np.flatnonzero(expected))
    np.testing.assert_allclose(given[0].max(axis=0), [0.2, 0.2, 0.2, 1], rtol=1e-6)

    blind = pipeline(make_message(TYPES), 0.0, 1.0)
    assert list(blind.seconds) == ["decode", *stages[3:]]
    assert not given[1].any()
    assert result.warnings == blind.warnings == []


def test_pipeline_hides_labels_below_min_confidence(pipeline, make_message):
    message = make_message(TYPES)
    cloud = decode(pipeline(message, 0.8, 1.0).message)
    weak = cloud.channels["confidence"] < 0.8
    assert 0 < weak.sum() < len(cloud)
    np.testing.assert_array_equal(cloud.channels["label"] == UNKNOWN, weak)


def test_pipeline_scales_intensity_for_the_network_only(pipeline, make_message):
    message = make_message(TYPES)
    plain = decode(pipeline(message, 0.0, 1.0).message)
    scaled = decode(pipeline(message, 0.0, 0.01).message)
    assert plain.channels["confidence"].max() > 0.9
    assert scaled.channels["confidence"].max() < 0.6
    np.testing.assert_array_equal(scaled.channels["intensity"], plain.channels["intensity"])


def test_pipeline_compares_points_to_a_query_of_this_cloud_alone(pipeline, make_message):
    query = np.eye(19, dtype=np.float32)[:1]
    asked = pipeline(make_message(TYPES), 0.0, 1.0, query=query).semantic
    assert asked.similarity.shape == asked.labels.shape
    np.testing.assert_array_equal(asked.similarity > 0.5, asked.labels == 0)
    assert pipeline(make_message(TYPES), 0.0, 1.0).semantic.similarity is None


def test_pipeline_warns_of_intensities_the_model_was_not_trained_on(pipeline, make_message):
    message = make_message(TYPES)
    assert pipeline(message, 0.0, 1.0).warnings == []
    assert "intensity_scale" in pipeline(message, 0.0, 255.0).warnings[0]
    assert pipeline(message, 0.0, 255.0).warnings == []


def test_pipeline_notices_clouds_without_any_label(pipeline, spec, make_message):
    def overflow(coords, features):
        return np.full((len(coords), 19), np.nan, dtype=np.float32)

    broken = Pipeline(Segmenter(spec, overflow))
    assert not pipeline(make_message(TYPES), 0.0, 1.0).is_unlabelled
    assert broken(make_message(TYPES), 0.0, 1.0).is_unlabelled
    assert not broken(make_message(TYPES), 0.3, 1.0).is_unlabelled  # they might be too weak


def test_pipeline_notices_clouds_without_a_point_in_range(pipeline, make_message):
    assert not pipeline(make_message(TYPES), 0.0, 1.0).is_out_of_range
    message = make_message(TYPES)
    np.frombuffer(message.data, np.float32).reshape(-1, 4)[:, :3] = np.nan
    assert pipeline(message, 0.0, 1.0).is_out_of_range


def test_pipeline_labels_odd_clouds(pipeline, make_message, odd_cloud):
    message, plain = make_message(TYPES), make_message(TYPES)
    odd_cloud(message)
    result = pipeline(message, 0.0, 1.0).message
    assert (result.height, result.width) == (message.height, message.width)
    cloud = decode(result)
    valid = np.isfinite(cloud.xyz).all(axis=1)
    expected = decode(pipeline(plain, 0.0, 1.0).message).channels["label"][: len(cloud)]
    np.testing.assert_array_equal(cloud.channels["label"], np.where(valid, expected, UNKNOWN))


def test_pipeline_refuses_bad_clouds_with_the_reason(pipeline, make_message, bad_cloud):
    damage, reason = bad_cloud
    message = make_message(TYPES)
    damage(message)
    with pytest.raises(MessageError, match=reason):
        pipeline(message, 0.0, 1.0)
