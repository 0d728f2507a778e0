import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wsss_training.metrics import ConfusionMatrix, semantic_kitti_scores


def matrix_of(true, predicted, classes=3):
    matrix = ConfusionMatrix(classes)
    matrix.update(np.array(true, np.uint8), np.array(predicted, np.uint8))
    return matrix


def test_semantic_kitti_scores_of_a_hand_computed_case():
    # class 0: 2 hits, 1 missed as 1, 1 missed as unknown -> 2 / 4
    # class 1: 1 hit, 1 false positive -> 1 / 2; class 2 never occurs -> 0
    # the last point's truth is ignored, so its prediction of class 2 does not count
    matrix = matrix_of([0, 0, 0, 0, 1, 255], [0, 0, 1, 255, 1, 2])
    scores = semantic_kitti_scores(matrix)
    np.testing.assert_allclose(scores.iou, [0.5, 0.5, 0.0])
    assert scores.miou == pytest.approx(1 / 3)
    assert scores.accuracy == pytest.approx(3 / 5)
    assert scores.points.tolist() == [4, 1, 0]
    assert scores.mean_over(scores.points > 0) == pytest.approx(0.5)


labels = arrays(np.uint8, 40, elements=st.sampled_from([0, 1, 2, 255]))


@given(labels, labels)
def test_confusion_matrix_equals_counting_pairs(true, predicted):
    matrix = matrix_of(true, predicted)
    for row in range(3):
        for column in range(4):
            cell = 255 if column == 3 else column
            expected = ((true == row) & (predicted == cell)).sum()
            assert matrix.counts[row, column] == expected


@given(labels, labels)
def test_confusion_matrix_of_parts_is_that_of_the_whole(true, predicted):
    parts = ConfusionMatrix(3)
    parts.update(true[:15], predicted[:15])
    parts.update(true[15:], predicted[15:])
    assert (parts.counts == matrix_of(true, predicted).counts).all()


def test_confusion_matrix_refuses_labels_beyond_the_classes():
    with pytest.raises(ValueError, match="beyond"):
        matrix_of([0, 7], [0, 0])
    with pytest.raises(ValueError, match="true labels"):
        matrix_of([0, 1], [0])
