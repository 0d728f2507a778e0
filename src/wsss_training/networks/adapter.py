"""The adapter of 3DSS-VLG's embeddings specialisation (ESS)."""

import torch
from torch import nn


class EmbeddingAdapter(nn.Module):
    """Adapts a vision-language model's embeddings: ``f' = (1 - a) W2 W1 f + a f``.

    Args:
        size: of the embeddings, D.
        alpha: a, share of the embedding as it was.
        reduction: how many times narrower the middle is; W1 [D / reduction, D].
    """

    def __init__(self, size: int, alpha: float, reduction: int) -> None:
        super().__init__()
        middle = max(1, size // reduction)
        self.narrow = nn.Linear(size, middle, bias=False)
        self.widen = nn.Linear(middle, size, bias=False)
        self._alpha = alpha

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Adapts embeddings [N, D]; what it gives is not of length 1."""
        adapted = self.widen(self.narrow(embeddings))
        return (1 - self._alpha) * adapted + self._alpha * embeddings
