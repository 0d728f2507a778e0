"""Segmentation metrics from a confusion matrix, as the official evaluators compute them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsss_perception.frame import UNKNOWN


class ConfusionMatrix:
    """Counts of (true, predicted) label pairs, accumulated over sweeps.

    Attributes:
        counts: int64 [C, C + 1]; rows are true labels, columns predicted ones, the last column
            predictions of UNKNOWN.
    """

    def __init__(self, classes: int) -> None:
        self.counts = np.zeros((classes, classes + 1), dtype=np.int64)

    def update(self, true: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> None:
        """Adds points: labels [N] each; points whose true label is UNKNOWN are dropped.

        Raises:
            ValueError: the arrays differ in length, or a label is neither a class nor UNKNOWN.
        """
        if true.shape != predicted.shape:
            raise ValueError(f"{true.shape} true labels, {predicted.shape} predictions")
        classes, columns = self.counts.shape
        known = true != UNKNOWN
        for labels in (true, predicted):
            if ((labels >= classes) & (labels != UNKNOWN)).any():
                raise ValueError(f"labels beyond the {classes} classes")
        rows = true[known].astype(np.int64)
        cells = predicted[known].astype(np.int64)
        cells[cells == UNKNOWN] = classes
        pairs = np.bincount(rows * columns + cells, minlength=self.counts.size)
        self.counts += pairs.reshape(self.counts.shape)


@dataclass(frozen=True)
class Scores:
    """Scores of a confusion matrix.

    Attributes:
        rule: whose evaluator the scores are those of, and what ``miou`` is the mean over.
        iou: float64 [C], ``TP / (TP + FP + FN)``; of a class that neither truth nor prediction
            has 0 or NaN, as the rule says.
        miou: mean of ``iou`` over all classes but those of NaN.
        fw_iou: mean of ``iou`` weighted by the true points of each class.
        accuracy: share of points with the right label.
        unknown: share of points for which no class was predicted.
        points: int64 [C], true points of each class.
    """

    rule: str
    iou: NDArray[np.float64]
    miou: float
    fw_iou: float
    accuracy: float
    unknown: float
    points: NDArray[np.int64]

    def mean_over(self, classes: NDArray[np.bool_]) -> float:
        """Mean IoU over some of the classes, a mask [C]; 0 where it is empty."""
        return float(self.iou[classes].mean()) if classes.any() else 0.0


def semantic_kitti_scores(matrix: ConfusionMatrix) -> Scores:
    """Scores as SemanticKITTI's evaluator: mean over all its classes, 19 or 25.

    Points whose truth is ignored do not count; predicting nothing for a labelled point is a
    miss; a class absent from truth and prediction scores 0. The official accuracy, which the
    benchmark does not rank by, leaves points without a prediction out; here they are wrong.
    """
    return _scores("SemanticKITTI: mean over all classes, absent ones count 0", matrix, 0.0)


def nuscenes_scores(matrix: ConfusionMatrix) -> Scores:
    """Scores as nuScenes-lidarseg's evaluator: mean over the classes that occur.

    Points whose truth is ignored do not count; a class absent from truth and prediction is left
    out of the mean; one that is predicted but never true scores 0. The official evaluator refuses
    predictions that are not of the 16 classes. Here such a point is a miss of its class, which
    costs more than to leave it out, but less than to name a wrong class: compare with published
    scores only where ``unknown`` is about 0.
    """
    return _scores("nuScenes-lidarseg: mean over the classes that occur", matrix, np.nan)


def scannet_scores(matrix: ConfusionMatrix) -> Scores:
    """Mean over the classes that occur, of the IoUs as ScanNet's evaluator computes them.

    That evaluator prints no mean. Points whose truth is not one of the 20 classes do not count, and
    predicting nothing for the others is a miss. A class absent from truth and prediction has no
    score.
    """
    return _scores(
        "ScanNet: IoU as its evaluator, which has no mean; mean over the classes that occur",
        matrix,
        np.nan,
    )


def present_scores(matrix: ConfusionMatrix) -> Scores:
    """Scores of a set without an official evaluator: mean over the classes that occur.

    They occur in truth or prediction; predicting nothing for a labelled point is a miss.
    """
    return _scores("mean over the classes that occur", matrix, np.nan)


def scores_for(ontology: str) -> Callable[[ConfusionMatrix], Scores]:
    """Chooses the evaluator of the benchmark that an ontology, given by its name, is of."""
    if ontology in ("semantic_kitti", "semantic_kitti_moving"):
        return semantic_kitti_scores
    return {"nuscenes": nuscenes_scores, "scannet": scannet_scores}.get(ontology, present_scores)


def _scores(rule: str, matrix: ConfusionMatrix, absent: float) -> Scores:
    """Computes the scores; ``absent`` is the IoU of a class that never occurs."""
    square = matrix.counts[:, :-1]
    hits = np.diag(square)
    points = matrix.counts.sum(axis=1)
    union = points + square.sum(axis=0) - hits
    iou = np.where(union > 0, hits / np.maximum(union, 1), absent)
    scored = iou[~np.isnan(iou)]
    total = max(int(points.sum()), 1)
    return Scores(
        rule,
        iou,
        float(scored.mean()) if len(scored) else float("nan"),
        float((points * np.nan_to_num(iou)).sum() / total),
        float(hits.sum() / total),
        float(matrix.counts[:, -1].sum() / total),
        points,
    )
