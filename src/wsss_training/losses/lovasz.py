"""Lovasz-Softmax: a convex surrogate of the Jaccard index (Berman et al., CVPR 2018)."""

import torch


def lovasz_gradient(sorted_truth: torch.Tensor) -> torch.Tensor:
    """Gradient of the Lovasz extension of the Jaccard loss (Algorithm 1 of the paper).

    Args:
        sorted_truth: [N, C], 1 where a point is of the class, each column sorted by descending
            error.

    Returns:
        [N, C], by how much each error, in that order, raises the Jaccard loss.
    """
    total = sorted_truth.sum(dim=0)
    intersection = total - sorted_truth.cumsum(dim=0)
    union = total + (1.0 - sorted_truth).cumsum(dim=0)
    jaccard = 1.0 - intersection / union
    return torch.diff(jaccard, dim=0, prepend=torch.zeros_like(jaccard[:1]))


def lovasz_softmax(probabilities: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Lovasz-Softmax loss, averaged over the classes that occur (eq. 11 of the paper).

    Args:
        probabilities: [N, C], rows sum to 1.
        labels: int64 [N], all valid classes.

    Returns:
        Scalar; 0, with a gradient of 0, where there are no points.
    """
    present = torch.unique(labels)
    if not len(present):
        return probabilities.sum() * 0.0
    truth = (labels[:, None] == present).to(probabilities.dtype)
    errors = (truth - probabilities[:, present]).abs()
    errors, order = errors.sort(dim=0, descending=True)
    gradient = lovasz_gradient(truth.gather(0, order))
    return (errors * gradient).sum(dim=0).mean()
