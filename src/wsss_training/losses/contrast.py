"""Semantic contrastive regularisation (MSDKT): points near their class, far from the others.

Of the paper only the abstract is public, which says that image-text models' pseudo-labels form
positive and negative samples; the equation is our choice, an InfoNCE against one anchor a class.
"""

import torch
from torch.nn import functional

from wsss_training.losses.cross_entropy import weighted_cross_entropy


def semantic_contrast(
    embeddings: torch.Tensor,
    anchors: torch.Tensor,
    anchor_class: torch.Tensor,
    labels: torch.Tensor,
    weights: torch.Tensor,
    temperature: float,
) -> torch.Tensor:
    """Weighted mean of ``-log(exp(e.t_y / T) / sum_c exp(e.t_c / T))``.

    e and t are normalised here; c runs over the classes that have anchors. Of a class's several
    anchors the one nearest to e counts.

    Args:
        embeddings: e [N, E], of any length.
        anchors: t [A, E], of any length; they get no gradient.
        anchor_class: int64 [A], the class of each anchor, in any order.
        labels: int64 [N]; rows of a label without anchor, as UNKNOWN, have no part.
        weights: [N], reliability of each label, >= 0.
        temperature: T.

    Returns:
        Scalar float32, also within autocast; 0, with a gradient of 0, where no row has a part.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        if not len(anchors):
            return embeddings.float().sum() * 0.0
        units = functional.normalize(embeddings.float(), dim=1)
        cosine = units @ functional.normalize(anchors.detach().float(), dim=1).T
        classes, column = anchor_class.unique(return_inverse=True)
        lowest = cosine.new_full((len(cosine), len(classes)), -torch.inf)
        best = lowest.scatter_reduce(1, column.expand_as(cosine), cosine, "amax")
        is_label = labels[:, None] == classes
        known = is_label.any(dim=1)
        return weighted_cross_entropy(
            best / temperature, is_label.int().argmax(dim=1), weights.float() * known
        )
