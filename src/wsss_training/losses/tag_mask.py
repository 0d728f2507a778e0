"""Scene tags as knowledge of what a point cannot be."""

import torch

from wsss_perception.frame import UNKNOWN

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
