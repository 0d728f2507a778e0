import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_perception.frame import UNKNOWN
from wsss_training.teachers.class_maps import class_maps, one_hot, sigmoid, softmax


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 40), st.sampled_from([(1, 1), (5, 3), (16, 24)]))
def test_maps_of_an_image_have_its_sizes_and_say_the_same(seed, classes, size):
    rng = np.random.default_rng(seed)
    probabilities = softmax(3 * rng.standard_normal((classes, *size)).astype(np.float32))
    maps = class_maps(probabilities, (size[1] * 2, size[0] * 2))
    assert maps.labels.shape == (size[0] * 2, size[1] * 2)
    assert maps.confidence.shape == size
    assert maps.probabilities.shape == (classes, -(-size[0] * 2 // 8), -(-size[1] * 2 // 8))
    assert maps.labels.max() < classes
    assert (maps.confidence >= 1 / classes - 1e-3).all()
    np.testing.assert_allclose(maps.probabilities.sum(axis=0), 1, atol=1e-3)


def test_maps_at_the_images_resolution_are_what_the_segmenter_says():
    rng = np.random.default_rng(0)
    probabilities = softmax(3 * rng.standard_normal((37, 8, 16)).astype(np.float32))
    maps = class_maps(probabilities, (16, 8))
    np.testing.assert_array_equal(maps.labels, probabilities.argmax(axis=0))
    best = probabilities.max(axis=0)
    np.testing.assert_allclose(
        maps.confidence, best.reshape(4, 2, 8, 2).mean(axis=(1, 3)), atol=1e-6
    )


def test_coarse_probabilities_are_read_between_their_cells():
    probabilities = np.float32([[[1, 0]], [[0, 1]]])
    maps = class_maps(probabilities, (8, 4))
    assert maps.labels[0].tolist() == [0] * 4 + [1] * 4
    np.testing.assert_allclose(maps.confidence[0], [1, 0.75, 0.75, 1], atol=1e-6)


def test_pixels_of_no_class_are_unknown():
    maps = class_maps(one_hot(np.array([[0, 7], [1, 255]]), 2), (2, 2))
    assert maps.labels.tolist() == [[0, UNKNOWN], [1, UNKNOWN]]
    assert maps.confidence.tolist() == [[0.5]]


def test_classes_asked_for_one_by_one_may_all_be_absent():
    logits = np.float32([[[5, -5, 5, -0.5]], [[-5, -5, 5, -0.5]]])
    found = sigmoid(logits)
    assert (found.sum(axis=0) <= 1 + 1e-6).all()
    assert found[0, 0, 0] == pytest.approx(1 / (1 + np.exp(-5)))
    assert found[:, 0, 2].tolist() == pytest.approx([0.5, 0.5])
    assert class_maps(found, (4, 1)).labels.tolist() == [[0, UNKNOWN, 0, 0]]


def test_softmax_takes_large_logits():
    found = softmax(np.float32([[[1000, 0]], [[1000, -1000]]]))
    np.testing.assert_allclose(found[:, 0], [[0.5, 1], [0.5, 0]])
