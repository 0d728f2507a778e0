"""Scene tags as knowledge of what a point cannot be."""

import torch

from wsss_perception.frame import UNKNOWN
from wsss_training.losses.groups import group_means

_ABSENT = -1e6
"""Added to the logits of classes that a scene's tags rule out."""


def mask_by_tags(
    logits: torch.Tensor, tags: torch.Tensor, scene: torch.Tensor, tagged: torch.Tensor
) -> torch.Tensor:
    """Lowers the logits of absent classes: ``z + (1 - y) * (-1e6)``, as WSegPC does in training.

    Args:
        logits: [N, C], of points or pixels.
        tags: bool [S, C], which classes occur in a scene.
        scene: int64 [N], the scene of each row.
        tagged: bool [S], which scenes have tags; the rows of others keep their logits.

    Returns:
        float32 [N, C].
    """
    absent = (~tags & tagged[:, None]).float() * _ABSENT
    return logits.float() + absent[scene]


def tag_probabilities(
    logits: torch.Tensor, tags: torch.Tensor, scene: torch.Tensor, tagged: torch.Tensor
) -> torch.Tensor:
    """Class probabilities float32 [N, C] among a scene's tags; see ``mask_by_tags``."""
    return mask_by_tags(logits, tags, scene, tagged).softmax(dim=1)


def center(logits: torch.Tensor, scene: torch.Tensor, scenes: int) -> torch.Tensor:
    """Takes each class's mean in a scene from its logits there: ``z'_nc = z_nc - mean_n z_nc``.

    The tag loss settles that mean, by how sure the network is that the class occurs in the scene:
    a wall's is high everywhere. Where its logits are above their mean is what tells the points of a
    wall from others. (Not the paper's, which takes the highest logit.)

    Args:
        logits: [N, C], of points or pixels.
        scene: int64 [N], the scene of each row.
        scenes: number of scenes S.

    Returns:
        float32 [N, C].
    """
    return logits.float() - group_means(logits, scene, scenes)[scene]


def are_possible(
    labels: torch.Tensor, tags: torch.Tensor, scene: torch.Tensor, tagged: torch.Tensor
) -> torch.Tensor:
    """Tells labels to learn from, bool [N]: those that are known and that no tag rules out.

    Args:
        labels: int64 [N], UNKNOWN for none.
        tags: see ``mask_by_tags``, as the rest.
        scene: int64 [N].
        tagged: bool [S].
    """
    known = labels != UNKNOWN
    present = tags[scene, torch.where(known, labels, 0)]
    return known & (present | ~tagged[scene])
