"""Calibration of the confidence by temperature scaling (Guo et al., ICML 2017)."""

import torch
from torch.nn import functional


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Finds the T > 0 that minimises the cross-entropy of ``softmax(z / T)``.

    Args:
        logits: [N, C].
        labels: int64 [N].

    Returns:
        The temperature, within 0.05..20; 1 where there are no points.
    """
    if not len(labels):
        return 1.0
    # Cross-entropy is convex in 1/T and unimodal in log T: three rounds of a grid find it.
    low, high = torch.tensor(0.05).log(), torch.tensor(20.0).log()
    for _ in range(3):
        grid = torch.linspace(float(low), float(high), 21)
        losses = torch.stack([functional.cross_entropy(logits / t, labels) for t in grid.exp()])
        best = int(losses.argmin())
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    return float(grid[best].exp())


def expected_calibration_error(
    confidence: torch.Tensor, correct: torch.Tensor, bins: int = 15
) -> float:
    """Mean gap between confidence and accuracy over equal-width bins, weighted by their points.

    Args:
        confidence: [N], 0..1.
        correct: bool [N].
        bins: number of bins.
    """
    index = (confidence * bins).long().clamp(0, bins - 1)
    gaps = torch.zeros(bins, dtype=torch.float64)
    gaps.index_add_(0, index, confidence.double() - correct.double())
    return float(gaps.abs().sum() / max(len(confidence), 1))
