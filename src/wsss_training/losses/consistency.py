"""Region-point semantic consistency: a teacher's region votes become labels (WSegPC, section 3.3).

``region_means`` are the votes, a threshold says which of them to trust, ``consistency_loss`` learns
from those. Without regions (-1 everywhere) it is point-point consistency.
"""

import torch
from torch import distributed, nn
from torch.nn import functional

from wsss_training.losses.groups import group_means


def region_means(probabilities: torch.Tensor, region: torch.Tensor) -> torch.Tensor:
    """Gives every row the mean of its region (WSegPC, eqs. 2 and 3).

    Args:
        probabilities: the teacher's, among the scene's tags [N, C].
        region: int64 [N]; ids unique over the batch, with gaps or without; -1 for rows in no
            region, which keep their own probabilities.

    Returns:
        float32 [N, C].
    """
    inside = region >= 0
    ids, compact = torch.unique(region[inside], return_inverse=True)
    means = group_means(probabilities[inside], compact, len(ids))
    result = probabilities.float().clone()
    result[inside] = means[compact]
    return result


class ClassAdaptiveThreshold(nn.Module):
    """Trusts a label by its confidence and by how often its class was trusted before.

    ``p >= tau * beta_c`` with ``beta_c = count_c / max_c' count_c'`` (WSegPC, eqs. 5 to 7), where
    count_c is the number of labels of class c kept so far: at first all are kept. The counts are
    part of the state_dict, and the same in all processes.

    Args:
        classes: number of classes C.
        tau: threshold of the most frequent class.

    Attributes:
        counts: int64 [C].
    """

    counts: torch.Tensor

    def __init__(self, classes: int, tau: float) -> None:
        super().__init__()
        self.register_buffer("counts", torch.zeros(classes, dtype=torch.int64))
        self._tau = tau

    @torch.no_grad()
    def forward(self, labels: torch.Tensor, confidence: torch.Tensor) -> torch.Tensor:
        """Decides by the counts so far, then counts what it kept.

        With torch.distributed initialised every process must make every call, also with 0 rows.

        Args:
            labels: int64 [N], all valid classes.
            confidence: probability of each label [N].

        Returns:
            bool [N], the labels to keep.
        """
        beta = self.counts / self.counts.max().clamp_min(1)
        keep = confidence.float() >= self._tau * beta[labels]
        kept = torch.bincount(labels[keep], minlength=len(self.counts))
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(kept)
        self.counts += kept
        return keep


class FixedThreshold(nn.Module):
    """Trusts labels of at least a given confidence, whatever their class.

    Args:
        tau: the confidence.
    """

    def __init__(self, tau: float) -> None:
        super().__init__()
        self._tau = tau

    @torch.no_grad()
    def forward(self, labels: torch.Tensor, confidence: torch.Tensor) -> torch.Tensor:
        """Returns the labels to keep, bool [N]; see ``ClassAdaptiveThreshold.forward``."""
        return confidence.float() >= self._tau


def consistency_loss(
    student_logits: torch.Tensor, labels: torch.Tensor, keep: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy against the labels that are trusted (WSegPC, eq. 8).

    ``L = 1/N sum_n keep_n CE(z_n, c_n)``: the mean is over all rows, so that few trusted labels
    weigh little.

    Args:
        student_logits: [N, C].
        labels: int64 [N], all valid classes.
        keep: bool [N].

    Returns:
        Scalar; 0, with a gradient of 0, where nothing is kept.
    """
    losses = functional.cross_entropy(student_logits.float(), labels, reduction="none")
    return (losses * keep).sum() / max(len(losses), 1)
