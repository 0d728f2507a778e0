"""Reading an image network's features where points fall."""

import torch


def sample_bilinear(
    features: torch.Tensor, image: torch.Tensor, uv: torch.Tensor, size: tuple[int, int]
) -> torch.Tensor:
    """Samples feature maps bilinearly at pixels of the full image.

    A feature map divides its image into h x w equal cells; a cell's features stand for its centre.
    Pixel centres are at integer coordinates, so that the cell in column c of a map of stride d has
    its centre at ``(c + 0.5) d - 0.5``. Outside the outermost centres the border's features hold.

    Args:
        features: [B, D, h, w].
        image: int64 [K], the map to read from.
        uv: finite (column, row) in pixels of the full image [K, 2].
        size: height and width of the full image in pixels.

    Returns:
        float32 [K, D], differentiable in the features.
    """
    h, w = features.shape[2:]
    stride = uv.new_tensor([size[1] / w, size[0] / h], dtype=torch.float32)
    last = uv.new_tensor([w - 1, h - 1], dtype=torch.float32)
    cell = torch.minimum(((uv.float() + 0.5) / stride - 0.5).clamp_min(0), last)
    low = cell.floor()
    high = torch.minimum(low + 1, last).long()
    (right, below), (column, row) = (cell - low).unbind(1), low.long().unbind(1)
    rows = features.movedim(1, 3).flatten(0, 2)
    # unlike indexing, index_select sums its gradient in a fixed order: a run can be repeated
    sampled = features.new_zeros(len(uv), features.shape[1], dtype=torch.float32)
    for y, weight_y in ((row, 1 - below), (high[:, 1], below)):
        for x, weight_x in ((column, 1 - right), (high[:, 0], right)):
            corner = rows.index_select(0, (image * h + y) * w + x).float()
            sampled = sampled + corner * (weight_x * weight_y)[:, None]
    return sampled
