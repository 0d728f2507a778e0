"""Guidance of one embedding by another (3DSS-VLG's embeddings soft guidance)."""

import torch
from torch.nn import functional


def cosine_loss(
    embeddings: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean of ``1 - cos(f, t)``.

    Args:
        embeddings: f [N, D], of any length.
        targets: t [N, D].
        weights: of the rows [N]; all alike by default.

    Returns:
        Scalar; 0, with a gradient of 0, where there is no row.
    """
    away = 1 - functional.cosine_similarity(embeddings.float(), targets.float(), dim=1)
    if weights is None:
        return away.sum() / max(len(away), 1)
    return (weights * away).sum() / weights.sum().clamp(min=torch.finfo(torch.float32).tiny)


def centered(embeddings: torch.Tensor, center: torch.Tensor) -> torch.Tensor:
    """Directions less what most of them share, ``f / |f| - m``.

    A vision-language model's embeddings are much alike, so that their cosines hardly tell classes
    apart; seen from their mean they lie all around.

    Args:
        embeddings: f [N, D].
        center: m [D], shorter than 1: then no two directions look alike from there.
    """
    return functional.normalize(embeddings.float(), dim=1) - center
