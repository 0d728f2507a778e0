from dataclasses import replace

import numpy as np
import pytest

from wsss_perception.bundle import ModelSpec, NetworkSpec
from wsss_perception.errors import MessageError
from wsss_perception.features import PAINTED, Feature
from wsss_perception.frame import UNKNOWN, Frame, PointCloud, View
from wsss_perception.geometry import Camera
from wsss_perception.ontology import Ontology
from wsss_perception.segmenter import Segmenter, classify

ONTOLOGY = Ontology("sides", ("left", "right"), ((1, 0, 0), (0, 1, 0)), ((1,), (2,)))
SPEC = ModelSpec(
    ONTOLOGY,
    NetworkSpec("none"),
    (Feature("y"), Feature("intensity")),
    voxel_size=0.5,
    point_range=(-10.0, -10.0, -10.0, 10.0, 10.0, 10.0),
)


class SideEngine:
    """Calls a voxel ``left`` where its mean y is positive; the logit is y itself."""

    name = "sides"

    def __init__(self):
        self.features = None

    def __call__(self, coords, features):
        assert coords.dtype == np.int32
        assert features.dtype == np.float32
        assert len(coords) == len(features) > 0
        self.features = features
        return np.stack([features[:, 0], -features[:, 0]], axis=1)


def cloud(xyz, intensity=0.5):
    xyz = np.asarray(xyz, dtype=np.float32).reshape(-1, 3)
    return PointCloud(xyz, {"intensity": np.full(len(xyz), intensity, np.float32)})


def test_labels_keep_order_and_count():
    y = np.random.default_rng(0).permutation(np.linspace(-9, 9, 200))
    xyz = np.stack([np.zeros(200), y, np.zeros(200)], axis=1)
    keep = np.abs(y) > 0.5  # a voxel on one side only
    result = Segmenter(SPEC, SideEngine())(Frame(cloud(xyz)))
    np.testing.assert_array_equal(result.labels[keep], np.where(y > 0, 0, 1)[keep])
    assert result.labels.dtype == result.seen.dtype == np.uint8
    assert result.confidence.dtype == np.float32
    assert ((result.confidence >= 0.5) & (result.confidence <= 1)).all()


def test_unusable_points_are_unknown_in_their_place():
    xyz = [[0, 5, 0], [np.nan, 5, 0], [0, -5, 0], [0, np.inf, 0], [0, 11, 0], [0, 5, -10.1]]
    result = Segmenter(SPEC, SideEngine())(Frame(cloud(xyz)))
    np.testing.assert_array_equal(result.labels, [0, UNKNOWN, 1, UNKNOWN, UNKNOWN, UNKNOWN])
    np.testing.assert_array_equal(result.confidence[[1, 3, 4, 5]], 0)
    np.testing.assert_allclose(result.confidence[[0, 2]], 1 / (1 + np.exp(-10)), rtol=1e-6)


def test_not_finite_feature_does_not_reach_the_network():
    engine = SideEngine()
    points = cloud([[0, 5, 0], [0, 5.1, 0], [0, -5, 0]])
    points.channels["intensity"][1] = np.nan
    result = Segmenter(SPEC, engine)(Frame(points))
    np.testing.assert_array_equal(result.labels, [0, UNKNOWN, 1])
    np.testing.assert_array_equal(np.sort(engine.features[:, 0]), [-5, 5])
    assert np.isfinite(engine.features).all()


@pytest.mark.parametrize("count", [0, 4])
def test_cloud_without_a_usable_point_skips_the_network(count):
    engine = SideEngine()
    result = Segmenter(SPEC, engine)(Frame(cloud(np.full((count, 3), np.nan))))
    assert engine.features is None
    assert result.labels.tolist() == [UNKNOWN] * count
    assert result.confidence.tolist() == [0.0] * count
    assert result.seen.tolist() == [0] * count


def test_missing_channel_is_an_error():
    with pytest.raises(MessageError, match="'intensity'"):
        Segmenter(SPEC, SideEngine())(Frame(PointCloud(np.zeros((1, 3), np.float32))))


def test_min_confidence_makes_weak_labels_unknown():
    points = cloud([[0, 0.6, 0], [0, 5, 0]])  # confidences sigmoid(1.2) = 0.77, sigmoid(10)
    result = Segmenter(SPEC, SideEngine(), min_confidence=0.8)(Frame(points))
    np.testing.assert_array_equal(result.labels, [UNKNOWN, 0])
    assert result.confidence[0] == 0
    result = Segmenter(SPEC, SideEngine(), min_confidence=0.7)(Frame(points))
    np.testing.assert_array_equal(result.labels, [0, 0])
    np.testing.assert_allclose(result.confidence[0], 1 / (1 + np.exp(-1.2)), rtol=1e-6)


def test_seen_counts_the_views_of_each_point():
    """Two cameras look forward and one back, all at the LiDAR."""
    camera = Camera(100, 100, np.array([[50.0, 0, 49.5], [0, 50.0, 49.5], [0, 0, 1]]))
    forward = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
    backward = forward * [[-1], [1], [-1], [1]]
    image = np.zeros((100, 100, 3), np.uint8)
    views = tuple(View("c", camera, T, image) for T in (forward, forward, backward))
    points = cloud([[5, 0, 0], [-5, 0, 0], [0, 5, 0], [np.nan, 0, 0], [90, 0, 1]])
    result = Segmenter(SPEC, SideEngine())(Frame(points, views))
    np.testing.assert_array_equal(result.seen, [2, 1, 0, 0, 2])


def test_a_model_of_optional_cameras_gets_the_colours_its_views_see():
    spec = replace(
        SPEC,
        features=(Feature("y"), *(Feature(name, 2.0, fill=0.0) for name in PAINTED)),
        cameras="optional",
    )
    camera = Camera(100, 100, np.array([[50.0, 0, 49.5], [0, 50.0, 49.5], [0, 0, 1]]))
    forward = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
    image = np.full((100, 100, 3), (255, 51, 0), np.uint8)
    points, engine = cloud([[5, 0, 0], [-5, 0, 0]]), SideEngine()
    frame = Frame(points, (View("c", camera, forward, image),))
    segmenter = Segmenter(spec, engine)
    result = segmenter(frame)
    np.testing.assert_array_equal(result.seen, [1, 0])
    expected = np.float32([[0, 0, 0, 0], [2, 0.4, 0, 2]])  # voxels come by x
    np.testing.assert_allclose(engine.features[:, 1:], expected, rtol=1e-6)
    assert segmenter.timing.paint > 0
    assert segmenter.timing.seen > 0

    known = ((np.array([1]), np.array([[3.0, 4.0]])),)  # what was found before is not sought
    np.testing.assert_array_equal(segmenter(frame, known).seen, [0, 1])
    np.testing.assert_allclose(engine.features[:, 1:], expected[::-1], rtol=1e-6)

    points.channels["image_red"] = np.ones(2, np.float32)  # the cloud's own is no camera's
    np.testing.assert_array_equal(segmenter(Frame(points)).seen, [0, 0])
    np.testing.assert_array_equal(engine.features[:, 1:], np.zeros((2, 4)))


def test_timing_covers_the_stages():
    segmenter = Segmenter(SPEC, SideEngine())
    segmenter(Frame(cloud([[0, 5, 0]])))
    timing = segmenter.timing
    assert timing.voxelize > 0
    assert timing.network > 0
    assert timing.scatter > 0
    assert timing.seen < timing.scatter  # no cameras


@pytest.mark.parametrize(
    ("xyz", "intensity", "min_confidence", "expected"),
    [
        ([[0, 5, 0], [0, -5, 0], [0, 20, 0]], 0.5, 0.0, False),
        ([[0, 5, 0], [0, -5, 0]], 7.0, 0.0, True),  # the engine overflows
        ([[0, 5, 0], [0, -5, 0]], 7.0, 0.5, False),  # a label may be too weak
        ([[0, 20, 0]], 7.0, 0.0, False),  # no point in range
    ],
)
def test_a_cloud_without_any_label_is_noticed(xyz, intensity, min_confidence, expected):
    class Overflowing(SideEngine):
        def __call__(self, coords, features):
            logits = super().__call__(coords, features)
            return logits * np.where(features[:, 1:] > 1, np.float32("nan"), 1)

    segmenter = Segmenter(SPEC, Overflowing(), min_confidence)
    segmenter(Frame(cloud([[0, 5, 0]])))
    segmenter(Frame(cloud(xyz, intensity)))
    assert segmenter.is_unlabelled is expected


@pytest.mark.parametrize(
    ("xyz", "expected"),
    [
        ([[0, 5, 0], [0, 20, 0]], False),
        ([[300, 20, 0], [np.nan, 5, 0]], True),
        ([], False),  # an empty cloud says nothing
    ],
)
def test_a_cloud_without_a_point_in_range_is_noticed(xyz, expected):
    segmenter = Segmenter(SPEC, SideEngine(), min_confidence=0.5)
    segmenter(Frame(cloud([[0, 20, 0]])))
    assert segmenter.is_out_of_range
    segmenter(Frame(cloud(xyz)))
    assert segmenter.is_out_of_range is expected


def test_classify_divides_by_temperature():
    logits = np.log(np.float32([[8, 1, 1]]))
    labels, confidence = classify(logits, temperature=1.0)
    assert labels.tolist() == [0]
    np.testing.assert_allclose(confidence, [0.8], rtol=1e-6)
    np.testing.assert_allclose(classify(logits, 3.0)[1], [2 / 4], rtol=1e-6)


def test_classify_survives_large_and_not_finite_logits():
    logits = np.float32([[1000, -1000], [np.nan, 0], [np.inf, 0]])
    labels, confidence = classify(logits, 1.0)
    np.testing.assert_array_equal(labels, [0, UNKNOWN, UNKNOWN])
    np.testing.assert_array_equal(confidence, [1, 0, 0])
