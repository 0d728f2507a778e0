"""The segmenter with a network that answers texts."""

import time
from dataclasses import replace

import numpy as np
import pytest

from wsss_perception.bundle import ModelSpec, NetworkSpec
from wsss_perception.embedding import ClassTexts
from wsss_perception.errors import BundleError
from wsss_perception.features import Feature
from wsss_perception.frame import UNKNOWN, Frame, PointCloud
from wsss_perception.model_spec import EmbeddingSpec
from wsss_perception.ontology import Ontology
from wsss_perception.segmenter import Segmenter
from wsss_perception.texts import TextEmbeddings

ONTOLOGY = Ontology("sides", ("left", "right"), ((1, 0, 0), (0, 1, 0)), ((1,), (2,)))
AXES = TextEmbeddings(
    ("right", "left", "left", "above"),
    np.array([[-1, 0, 0, 0], [1, 0, 0, 0], [0.6, 0.8, 0, 0], [0, 0, 0, 1]], np.float32),
    "hand",
)
BASIS = np.eye(4, dtype=np.float32)[:, [0, 1, 3]]  # the network's outputs lie in these directions
SPEC = ModelSpec(
    ONTOLOGY,
    NetworkSpec("none"),
    (Feature("x"), Feature("y"), Feature("z")),
    voxel_size=0.5,
    point_range=(-10.0, -10.0, -10.0, 10.0, 10.0, 10.0),
    temperature=2.0,
    embedding=EmbeddingSpec(3, 10.0, "hand", texts=ClassTexts(AXES, BASIS, ONTOLOGY.classes)),
)
XYZ = np.array(
    [[5, 0, 0], [-3, 0, 0], [0, 4, 0], [0, 0, 2], [np.nan, 0, 0], [99, 0, 0], [-3, 0, -4]],
    np.float32,
)


def output_features(coords, features):
    """An engine whose embedding is the mean of the points."""
    return features.copy()


def test_labels_and_confidences_are_those_of_the_scaled_cosines():
    result = Segmenter(SPEC, output_features)(Frame(PointCloud(XYZ)))
    np.testing.assert_array_equal(result.labels, [0, 1, 0, 0, UNKNOWN, UNKNOWN, 1])
    cosines = np.array([[1, -1], [-0.6, 1], [0.8, 0], [0, 0], [-0.36, 0.6]])
    expected = 1 / (1 + np.exp(-10 / 2 * np.abs(cosines[:, 0] - cosines[:, 1])))
    np.testing.assert_allclose(result.confidence[[0, 1, 2, 3, 6]], expected, rtol=1e-5)
    assert result.similarity is None
    weak = Segmenter(SPEC, output_features, min_confidence=0.99)(Frame(PointCloud(XYZ)))
    np.testing.assert_array_equal(weak.labels[:4], [0, 1, UNKNOWN, UNKNOWN])


def test_similarity_to_a_query_is_that_of_every_point_in_range():
    segmenter = Segmenter(SPEC, output_features)
    texts = SPEC.embedding.texts
    segmenter.query = texts.find("above")
    result = segmenter(Frame(PointCloud(XYZ)))
    assert result.similarity.dtype == np.float32
    np.testing.assert_allclose(result.similarity, [0, 0, 0, 1, np.nan, np.nan, -0.8], atol=1e-6)
    segmenter.query = texts.find("left")
    found = segmenter(Frame(PointCloud(XYZ))).similarity
    np.testing.assert_allclose(found, [1, -0.6, 0.8, 0, np.nan, np.nan, -0.36], atol=1e-6)
    segmenter.query = None
    assert segmenter(Frame(PointCloud(XYZ))).similarity is None


def test_a_cloud_out_of_range_is_like_nothing():
    segmenter = Segmenter(SPEC, output_features)
    segmenter.query = SPEC.embedding.texts.find("above")
    result = segmenter(Frame(PointCloud(XYZ[4:6])))
    assert np.isnan(result.similarity).all()
    assert result.labels.tolist() == [UNKNOWN] * 2


def test_voxels_without_direction_have_no_label():
    segmenter = Segmenter(SPEC, lambda coords, features: np.zeros((len(coords), 3), np.float32))
    result = segmenter(Frame(PointCloud(XYZ)))
    assert set(result.labels) == {UNKNOWN}
    assert segmenter.is_unlabelled


def test_a_spec_without_its_texts_is_refused():
    spec = replace(SPEC, embedding=replace(SPEC.embedding, texts=None))
    with pytest.raises(BundleError, match="texts are not loaded"):
        Segmenter(spec, output_features)(Frame(PointCloud(XYZ)))


def test_logits_of_many_voxels_take_little_memory_and_time():
    """One product of voxels and texts: no loop over either, no copy of the embeddings."""
    import tracemalloc

    rng = np.random.default_rng(0)
    rows = rng.standard_normal((40, 512)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    classes = tuple(map(str, range(20)))
    basis = np.linalg.qr(rng.standard_normal((512, 97)))[0].astype(np.float32)
    texts = ClassTexts(TextEmbeddings(classes * 2, rows, "t"), basis, classes)
    embeddings = rng.standard_normal((40_000, 97)).astype(np.float32)
    begin = time.thread_time()
    texts.logits(embeddings, 100.0)
    assert time.thread_time() - begin < 1.0
    tracemalloc.start()
    texts.logits(embeddings, 100.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.7 * embeddings.nbytes
