"""Segmentation metrics from a confusion matrix, as the official evaluators compute them."""

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
        rows = true[known].astype(np.int64)
        cells = predicted[known].astype(np.int64)
        cells[cells == UNKNOWN] = classes
        if (rows >= classes).any() or (cells >= columns).any():
            raise ValueError(f"labels beyond the {classes} classes")
        pairs = np.bincount(rows * columns + cells, minlength=self.counts.size)
        self.counts += pairs.reshape(self.counts.shape)


@dataclass(frozen=True)
class Scores:
    """Scores of a confusion matrix.

    Attributes:
        iou: float64 [C], ``TP / (TP + FP + FN)``; 0 for a class that never occurs.
        miou: mean of ``iou`` over all classes.
        accuracy: share of points with the right label.
        points: int64 [C], true points of each class.
    """

    iou: NDArray[np.float64]
    miou: float
    accuracy: float
    points: NDArray[np.int64]

    def mean_over(self, classes: NDArray[np.bool_]) -> float:
        """Mean IoU over some of the classes, a mask [C]; 0 where it is empty."""
        return float(self.iou[classes].mean()) if classes.any() else 0.0


def semantic_kitti_scores(matrix: ConfusionMatrix) -> Scores:
    """Scores as SemanticKITTI's evaluator: one global matrix, mean over all 19 classes.

    Points whose truth is ignored do not count; predicting nothing for a labelled point is a
    miss; a class absent from truth and prediction scores 0.
    """
    square = matrix.counts[:, :-1]
    hits = np.diag(square)
    points = matrix.counts.sum(axis=1)
    union = points + square.sum(axis=0) - hits
    iou = hits / np.maximum(union, 1)
    accuracy = float(hits.sum() / max(points.sum(), 1))
    return Scores(iou, float(iou.mean()), accuracy, points)
