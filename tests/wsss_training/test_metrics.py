import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wsss_training.metrics import (
    ConfusionMatrix,
    nuscenes_scores,
    present_scores,
    scannet_scores,
    scores_for,
    semantic_kitti_scores,
)


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
    assert scores.unknown == pytest.approx(1 / 5)
    assert scores.points.tolist() == [4, 1, 0]
    assert scores.mean_over(scores.points > 0) == pytest.approx(0.5)


@pytest.mark.parametrize("rule", [nuscenes_scores, scannet_scores, present_scores])
def test_scores_over_present_classes_of_a_hand_computed_case(rule):
    # class 0: 2 hits, 1 taken for 3 -> 2 / 3; class 1: 1 hit, 1 without a prediction -> 1 / 2
    # class 2 occurs nowhere but as the prediction of an ignored point -> left out
    # class 3 is predicted but never true -> 0; class 4: its only point has no prediction -> 0
    matrix = matrix_of([0, 0, 0, 1, 1, 4, 255], [0, 0, 3, 1, 255, 255, 2], classes=5)
    scores = rule(matrix)
    np.testing.assert_allclose(scores.iou, [2 / 3, 1 / 2, np.nan, 0, 0])
    assert scores.miou == pytest.approx((2 / 3 + 1 / 2 + 0 + 0) / 4)
    assert scores.fw_iou == pytest.approx((3 * 2 / 3 + 2 * 1 / 2) / 6)
    assert scores.accuracy == pytest.approx(3 / 6)
    assert scores.unknown == pytest.approx(2 / 6)


def test_scores_of_a_set_without_a_labelled_point():
    empty = matrix_of([255, 255], [0, 255])
    assert semantic_kitti_scores(empty).miou == 0
    scores = nuscenes_scores(empty)
    assert np.isnan(scores.miou)
    assert (scores.fw_iou, scores.accuracy, scores.unknown) == (0, 0, 0)


def test_rules_are_chosen_by_the_ontologys_name():
    assert scores_for("semantic_kitti") is semantic_kitti_scores
    assert scores_for("semantic_kitti_moving") is semantic_kitti_scores
    assert scores_for("nuscenes") is nuscenes_scores
    assert scores_for("scannet") is scannet_scores
    assert scores_for("s3dis") is present_scores
    empty = matrix_of([], [])
    rules = [scores_for(name)(empty).rule for name in ("semantic_kitti", "nuscenes", "scannet")]
    assert [rule.partition(":")[0] for rule in rules] == [
        "SemanticKITTI",
        "nuScenes-lidarseg",
        "ScanNet",
    ]


labels = arrays(np.uint8, 40, elements=st.sampled_from([0, 1, 2, 255]))
classes = arrays(np.uint8, 40, elements=st.sampled_from([0, 1, 2]))


def literal_iou(true, predicted, label):
    """TP / (TP + FP + FN) of one class, point by point; None where the union is empty."""
    hit = false = missed = 0
    for is_true, is_predicted in zip((true == label), (predicted == label), strict=True):
        hit += is_true and is_predicted
        false += is_predicted and not is_true
        missed += is_true and not is_predicted
    return hit / (hit + false + missed) if hit + false + missed else None


def official_nuscenes(true, predicted):
    """Labels 1.. with 0 for ignored; a matrix whose row and column of 0 are cleared."""
    assert ((predicted >= 1) & (predicted <= 3)).all()
    cells = np.zeros((4, 4), int)
    for row, column in zip(true, predicted, strict=True):
        cells[row, column] += 1
    cells[0, :] = cells[:, 0] = 0
    ious = []
    for label in range(4):
        union = cells[label].sum() + cells[:, label].sum() - cells[label, label]
        ious.append(cells[label, label] / union if union else np.nan)
    present = [iou for iou in ious if not np.isnan(iou)]
    weighted = sum(cells[k].sum() * ious[k] for k in range(4) if not np.isnan(ious[k]))
    total = cells.sum()
    return ious[1:], np.mean(present) if present else np.nan, weighted / total if total else 0


@given(labels, classes)
def test_nuscenes_scores_equal_the_official_evaluators(true, predicted):
    scores = nuscenes_scores(matrix_of(true, predicted))
    ious, miou, weighted = official_nuscenes(np.where(true == 255, 0, true + 1), predicted + 1)
    np.testing.assert_allclose(scores.iou, ious)
    np.testing.assert_allclose(scores.miou, miou)
    np.testing.assert_allclose(scores.fw_iou, weighted)


@given(labels, labels)
def test_scannet_scores_equal_the_official_evaluators(true, predicted):
    # raw ids 1, 2, 3 are valid, 0 is not: its points are skipped, its predictions are misses
    valid, cells = [1, 2, 3], np.zeros((4, 4), int)
    for row, column in zip(true, predicted, strict=True):
        if row != 255:
            cells[row + 1, 0 if column == 255 else column + 1] += 1
    ious = []
    for label in valid:
        hits = cells[label, label]
        missed = cells[label, :].sum() - hits
        false = cells[[other for other in valid if other != label], label].sum()
        union = hits + missed + false
        ious.append(hits / union if union else np.nan)
    scores = scannet_scores(matrix_of(true, predicted))
    np.testing.assert_allclose(scores.iou, ious)
    if not np.isnan(ious).all():
        assert scores.miou == pytest.approx(np.nanmean(ious))


@given(labels, labels)
def test_semantic_kitti_scores_equal_the_official_evaluators(true, predicted):
    counted = true != 255
    ious = [literal_iou(true[counted], predicted[counted], label) or 0 for label in range(3)]
    scores = semantic_kitti_scores(matrix_of(true, predicted))
    np.testing.assert_allclose(scores.iou, ious)
    assert scores.miou == pytest.approx(sum(ious) / 3)


@given(labels, labels)
def test_leaving_a_point_without_prediction_never_scores_better_than_its_class(true, predicted):
    known = np.where(predicted == 255, true, predicted)
    for rule in (semantic_kitti_scores, nuscenes_scores):
        with_gaps, without = rule(matrix_of(true, predicted)), rule(matrix_of(true, known))
        assert (np.nan_to_num(with_gaps.iou) <= np.nan_to_num(without.iou)).all()
        assert with_gaps.fw_iou <= without.fw_iou


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


@pytest.mark.parametrize("strange", [3, 4, 254])
def test_confusion_matrix_refuses_labels_beyond_the_classes(strange):
    for true, predicted in (([0, strange], [0, 0]), ([0, 0], [0, strange]), ([255], [strange])):
        with pytest.raises(ValueError, match="beyond"):
            matrix_of(true, predicted)


def test_confusion_matrix_refuses_labels_of_other_points():
    with pytest.raises(ValueError, match="true labels"):
        matrix_of([0, 1], [0])
