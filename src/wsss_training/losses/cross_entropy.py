"""Cross-entropy on labels of differing reliability."""

import torch
from torch.nn import functional


def weighted_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Weighted mean of ``-log softmax(z)_c``.

    Args:
        logits: [N, C].
        labels: int64 [N], all valid classes.
        weights: [N], reliability of each label, >= 0.

    Returns:
        Scalar; 0, with a gradient of 0, where no point has a weight.
    """
    losses = functional.cross_entropy(logits, labels, reduction="none")
    return (losses * weights).sum() / weights.sum().clamp_min(1e-6)
