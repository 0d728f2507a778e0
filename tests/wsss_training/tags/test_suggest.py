import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss_perception.texts import TextEmbeddings
from wsss_training.tags.suggest import class_probabilities, scene_confidence, view_scores

AXES = np.eye(4, dtype=np.float32)
CLASSES = ("car", "tree")


def texts(*names):
    return TextEmbeddings(names, AXES[: len(names)], "t")


def test_a_cell_is_the_class_of_its_nearest_synonym():
    cells = np.float32([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]])
    found = class_probabilities(cells, texts("car", "tree", "car"), CLASSES, 10.0)
    sure = np.exp(10) / (np.exp(10) + 1)
    np.testing.assert_allclose(found[:, 0], [sure, 1 - sure, sure], rtol=1e-4)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


def test_background_takes_from_the_classes_and_silent_cells_say_nothing():
    cells = np.float32([[0, 0, 1, 0], [0, 0, 0, 0]])
    found = class_probabilities(cells, texts("car", "tree", "background:sky"), CLASSES, 3.0)
    assert found.shape == (1, 2)
    np.testing.assert_allclose(found[0], 1 / (2 + np.exp(3)), rtol=1e-4)


def test_a_class_without_a_text_is_not_seen():
    found = class_probabilities(AXES, texts("tree"), CLASSES, 3.0)
    np.testing.assert_array_equal(found, [[0, 1]] * 4)


@settings(max_examples=50)
@given(st.integers(0, 10**6), st.integers(1, 700))
def test_scores_are_means_of_the_best(seed, count):
    values = np.random.default_rng(seed).random((count, 3), dtype=np.float32)
    ordered = np.sort(values, axis=0)[::-1]
    cells, views = max(4, -(-count // 100)), max(2, -(-count // 10))
    np.testing.assert_allclose(view_scores(values), ordered[:cells].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(scene_confidence(values), ordered[:views].mean(axis=0), rtol=1e-5)


def test_a_small_thing_counts_and_a_single_view_does_not_suffice():
    cells = np.zeros((400, 2), np.float32)
    cells[:4] = 1
    assert view_scores(cells).tolist() == [1, 1]
    assert scene_confidence(np.float32([[1, 0], [0, 0], [0, 0]])).tolist() == [0.5, 0]
    assert scene_confidence(np.float32([[0.8, 0]])).tolist() == pytest.approx([0.8, 0])


def test_nothing_seen_is_no_confidence():
    nothing = np.zeros((0, 2), np.float32)
    assert view_scores(nothing).tolist() == [0, 0]
    assert scene_confidence(nothing).tolist() == [0, 0]
