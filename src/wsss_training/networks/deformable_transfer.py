"""The guide of MSDKT: what images say of a point, from one place of the image or from many.

Of the paper only the abstract is public. It extends "one-to-one mapping to flexible one-to-many
relations" between points and pixels, at several scales; the equations here are our choice, after
deformable attention (Zhu et al., ICLR 2021).
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional


class DeformableTransfer(nn.Module):
    """Class logits of points, of image knowledge alone, at one scale.

    ``g = sum_k a_k V F(u + o_k)`` and ``c = W_c relu(norm(g))``, where F is the map of the view, u
    the point's place in it, ``o_k = W_o h`` are offsets in cells of F, and ``a = softmax(W_a h)``
    weighs those of the K samples that lie inside the image. Where none does, the place u itself is
    taken. The point's feature h only chooses places: it enters neither g nor c otherwise, and gets
    no gradient.

    At the start the offsets are the same for all points, the first at the place itself, the others
    on a ring of one cell around it (equal ones would have equal gradients and stay together), and
    all weigh alike. The norm is over the channels of a row (LayerNorm), so that a pair's logits do
    not depend on its batch, which may hold few pairs or none.

    Args:
        point_size: channels of the points' features h.
        map_size: channels D of the maps.
        hidden: channels of g.
        samples: K; None for one-to-one, the place u alone.
        classes: number of classes.

    Attributes:
        offsets: W_o, to K x 2 offsets (right, down); None in one-to-one.
        weights: W_a, to K logits; None in one-to-one.
    """

    def __init__(
        self, point_size: int, map_size: int, hidden: int, samples: int | None, classes: int
    ) -> None:
        super().__init__()
        self._map_size = map_size
        self.offsets: nn.Linear | None = None
        self.weights: nn.Linear | None = None
        if samples is not None:
            self.offsets = nn.Linear(point_size, 2 * samples)
            self.weights = nn.Linear(point_size, samples)
            for layer in (self.offsets, self.weights):
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)
            self.offsets.bias.data.copy_(_ring(samples).flatten())
        self.value = nn.Linear(map_size, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.classify = nn.Linear(hidden, classes)

    def forward(
        self,
        hidden: torch.Tensor,
        maps: Sequence[torch.Tensor],
        view: torch.Tensor,
        uv: torch.Tensor,
    ) -> torch.Tensor:
        """Computes guide logits of pairs of a point and a view that sees it.

        Args:
            hidden: features of the pairs' points [P, point_size].
            maps: of each view [D, h_v, w_v], at this module's scale; sizes may differ.
            view: int64 [P], the view of each pair.
            uv: float32 [P, 2], the place in the image as fractions 0..1 of width and height (the
                centre of pixel column c is at ``(c + 0.5) / W``).

        Returns:
            float32 [P, classes], also within autocast.
        """
        with torch.autocast(hidden.device.type, enabled=False):
            known = list(maps) or [hidden.new_zeros(self._map_size, 1, 1)]
            places, weights = self.choose(hidden, known, view, uv)
            cells, shares = _corners(known, view, places)
            shares = shares * weights[..., None]
            # as the weights sum to 1, V may follow the sum
            guide = self.value(_weighted_sums(known, cells.flatten(1), shares.flatten(1)))
            return self.classify(torch.relu(self.norm(guide)))

    def choose(
        self,
        hidden: torch.Tensor,
        maps: Sequence[torch.Tensor],
        view: torch.Tensor,
        uv: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Chooses where to look; arguments as of ``forward``.

        Returns:
            Places float32 [P, K, 2], all inside the image, as fractions like ``uv``, and their
            weights [P, K], which sum to 1: 0 for one that would have been outside.
        """
        uv = uv.float()
        if self.offsets is None or self.weights is None:
            return uv[:, None], uv.new_ones(len(uv), 1)
        hidden = hidden.detach().float()
        offsets = self.offsets(hidden).unflatten(1, (-1, 2))
        places = uv[:, None] + offsets / _sizes(maps, uv.device)[view][:, None]
        inside = _inside(places)
        counts = inside | ~inside.any(dim=1, keepdim=True)
        weights = self.weights(hidden).masked_fill(~counts, -torch.inf).softmax(dim=1)
        return torch.where(inside[..., None], places, uv[:, None]), weights


def pyramid(maps: Sequence[torch.Tensor], scale: int) -> list[torch.Tensor]:
    """Makes maps coarser by averaging.

    Cells of a map divide its image equally at every scale. Where 2^scale does not divide a size,
    the coarser cells are a little smaller and share the cells on their borders, by area.

    Args:
        maps: of each view [D, h_v, w_v].
        scale: s.

    Returns:
        float32 [D, ceil(h_v / 2^s), ceil(w_v / 2^s)] of each view.
    """
    if scale == 0:
        return [one.float() for one in maps]
    coarse = []
    with torch.no_grad():
        for one in maps:
            down, across = (_overlaps(size, -(-size // 2**scale), one) for size in one.shape[1:])
            coarse.append(down @ one.float() @ across.T)
    return coarse


def sample_maps(
    maps: Sequence[torch.Tensor], view: torch.Tensor, places: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Samples maps bilinearly.

    The cell in column c of w stands for the place ``(c + 0.5) / w`` of the image's width. Outside
    the outermost centres the border's values hold.

    Args:
        maps: of each view [D, h_v, w_v], at least one; sizes may differ.
        view: int64 [P], the view to read from.
        places: finite, as fractions of the image's width and height [P, K, 2].

    Returns:
        float32 [P, K, D], and whether each place is inside the image, bool [P, K].
    """
    cells, shares = _corners(maps, view, places)
    sampled = _weighted_sums(maps, cells.flatten(0, 1), shares.flatten(0, 1))
    return sampled.reshape(*places.shape[:2], sampled.shape[1]), _inside(places)


def _inside(places: torch.Tensor) -> torch.Tensor:
    return ((places >= 0) & (places <= 1)).all(dim=-1)


def _sizes(maps: Sequence[torch.Tensor], device: torch.device) -> torch.Tensor:
    """Widths and heights of maps in cells, int64 [V, 2]."""
    return torch.tensor([(one.shape[2], one.shape[1]) for one in maps], device=device)


def _corners(
    maps: Sequence[torch.Tensor], view: torch.Tensor, places: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The four cells around places: their numbers over all maps, and shares, [P, K, 4] each."""
    sizes = _sizes(maps, places.device)
    cells = sizes.prod(dim=1)
    first = (cells.cumsum(dim=0) - cells)[view][:, None]
    size = sizes[view][:, None]
    last = size - 1
    position = torch.minimum((places.float() * size - 0.5).clamp_min(0), last)
    low = position.detach().floor()
    high = torch.minimum(low + 1, last).long()
    (right, below), (column, row) = (position - low).unbind(-1), low.long().unbind(-1)
    numbers, shares = [], []
    for y, share_y in ((row, 1 - below), (high[..., 1], below)):
        for x, share_x in ((column, 1 - right), (high[..., 0], right)):
            numbers.append(first + y * size[..., 0] + x)
            shares.append(share_x * share_y)
    return torch.stack(numbers, dim=-1), torch.stack(shares, dim=-1)


def _weighted_sums(
    maps: Sequence[torch.Tensor], cells: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Sums cells [M, n], numbered over all maps, by weights [M, n]: float32 [M, D].

    One call does not hold what it sums: pairs x samples x corners x channels would be gigabytes.
    """
    rows = torch.cat([one.float().flatten(1).T for one in maps])
    return functional.embedding_bag(cells, rows, per_sample_weights=weights, mode="sum")


def _overlaps(fine: int, coarse: int, like: torch.Tensor) -> torch.Tensor:
    """How much of each of ``coarse`` equal cells lies in each of ``fine``: [coarse, fine]."""
    edges = torch.linspace(0, fine, coarse + 1, dtype=torch.float64, device=like.device)
    cell = torch.arange(fine, dtype=torch.float64, device=like.device)
    shared = torch.minimum(edges[1:, None], cell + 1) - torch.maximum(edges[:-1, None], cell)
    return (shared.clamp_min(0) * (coarse / fine)).float()


def _ring(samples: int) -> torch.Tensor:
    """Offsets (right, down) in cells [samples, 2]: one of 0, the others evenly on a ring."""
    angle = torch.arange(samples - 1) * (2 * torch.pi / max(samples - 1, 1))
    ring = torch.stack([angle.cos(), angle.sin()], dim=1)
    return torch.cat([torch.zeros(1, 2), ring])
