"""Scene tags as the only supervision: multiple-instance learning, as WSegPC's baseline does."""

import torch
from torch.nn import functional

from wsss_training.losses.groups import group_means


def scene_means(logits: torch.Tensor, scene: torch.Tensor, scenes: int) -> torch.Tensor:
    """Scene-level scores ``s = mean_n z_n`` (WSegPC, section 3.1).

    Args:
        logits: [N, C], of points, or of the pixels of all views of a scene.
        scene: int64 [N], the scene of each row.
        scenes: number of scenes S.

    Returns:
        float32 [S, C], differentiable; 0 for a scene without rows.
    """
    return group_means(logits, scene, scenes)


def tag_loss(
    means: torch.Tensor, tags: torch.Tensor, classes: torch.Tensor | None = None
) -> torch.Tensor:
    """Multi-label soft-margin loss of the scene-level scores (WSegPC, section 3.1).

    ``L = -mean_s mean_c [y log sigma(s) + (1 - y) log(1 - sigma(s))]``

    Args:
        means: scores of scenes that have tags [S, C].
        tags: bool [S, C], which classes occur.
        classes: bool [C], or [S, C] for each scene its own, the classes to learn: beside a prior
            those whose tags vary, as a tag that is always on teaches nothing; None for all.

    Returns:
        Scalar; 0, with a gradient of 0, without scenes or without classes.
    """
    means = means.float()
    losses = functional.binary_cross_entropy_with_logits(means, tags.float(), reduction="none")
    if classes is not None:
        losses = losses[classes.expand_as(losses)]
    return losses.sum() / max(losses.numel(), 1)
