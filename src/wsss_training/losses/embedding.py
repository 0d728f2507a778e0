"""Guidance of one embedding by another (3DSS-VLG's embeddings soft guidance)."""

import torch
from torch.nn import functional


def cosine_loss(embeddings: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean of ``1 - cos(f, t)``.

    Args:
        embeddings: f [N, D], of any length.
        targets: t [N, D].

    Returns:
        Scalar; 0, with a gradient of 0, where there is no row.
    """
    cosine = functional.cosine_similarity(embeddings.float(), targets.float(), dim=1)
    return (1 - cosine).sum() / max(len(cosine), 1)
