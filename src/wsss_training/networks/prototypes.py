"""Prototypes: what the features of a class are like, remembered from its labelled points."""

import torch
from torch import distributed, nn
from torch.nn import functional


class Prototypes(nn.Module):
    """Momentum means of the normalised features of each class's labelled points.

    A class's first batch is its first mean; each later one that has the class moves it, ``t = m t +
    (1 - m) mean``. They are part of the state_dict, and the same in all processes.

    Args:
        classes: number of classes C.
        size: of the features, E.
        momentum: m, in 0..1.

    Attributes:
        vectors: float32 [C, E], 0 for classes not seen yet.
        seen: bool [C].
    """

    vectors: torch.Tensor
    seen: torch.Tensor

    def __init__(self, classes: int, size: int, momentum: float) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.zeros(classes, size))
        self.register_buffer("seen", torch.zeros(classes, dtype=torch.bool))
        self._momentum = momentum

    @torch.no_grad()
    def update(self, embeddings: torch.Tensor, labels: torch.Tensor) -> None:
        """Moves the means towards a batch's labelled points.

        With torch.distributed initialised every process must make every call, also with 0 rows; the
        mean is over the points of all.

        Args:
            embeddings: [N, E], of any length.
            labels: int64 [N]; rows of a label that is no class, as UNKNOWN, are left out.
        """
        classes = len(self.vectors)
        known = (labels >= 0) & (labels < classes)
        unit = functional.normalize(embeddings[known].float(), dim=1).double()
        counted = functional.pad(unit, (0, 1), value=1.0)
        sums = counted.new_zeros(classes, counted.shape[1]).index_add(0, labels[known], counted)
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(sums)
        counts = sums[:, -1:]
        means = (sums[:, :-1] / counts.clamp_min(1)).to(self.vectors)
        here = counts[:, 0] > 0
        kept = torch.where(self.seen, self._momentum, 0.0)[:, None]
        moved = kept * self.vectors + (1 - kept) * means
        self.vectors.copy_(torch.where(here[:, None], moved, self.vectors))
        self.seen |= here

    def anchors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Vectors [A, E] of the classes seen so far, not of length 1, and their ids int64 [A]."""
        return self.vectors[self.seen].clone(), self.seen.nonzero()[:, 0]
