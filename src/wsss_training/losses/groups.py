"""Means over groups of rows: over the points of a scene, of a region."""

import torch


def group_means(values: torch.Tensor, group: torch.Tensor, groups: int) -> torch.Tensor:
    """Mean of the rows of each group.

    Args:
        values: [N, D].
        group: int64 [N], 0 to groups - 1.
        groups: number of groups G.

    Returns:
        float32 [G, D], differentiable; 0 for a group without rows.
    """
    values = values.double()  # float32 loses the third digit of a sum over 300,000 rows
    sums = values.new_zeros(groups, values.shape[1]).index_add(0, group, values)
    counts = torch.bincount(group, minlength=groups)
    return (sums / counts.clamp_min(1)[:, None]).float()
