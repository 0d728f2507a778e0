"""Regions of an image: those of the points that its pixels see."""

import numpy as np
from numpy.typing import NDArray


def region_image(
    uv: NDArray[np.floating],
    region: NDArray[np.integer],
    depth: NDArray[np.floating],
    size: tuple[int, int],
    stride: int,
) -> NDArray[np.int32]:
    """Carries regions of visible points to the cells of an image.

    Args:
        uv: pixel coordinates [M, 2] of visible points; a pixel's centre has whole coordinates.
        region: of each point [M], -1 for none.
        depth: of each point [M], metres.
        size: height and width of the image.
        stride: edge of a cell in pixels; the last cells may reach beyond the image.

    Returns:
        int32 [ceil(H / stride), ceil(W / stride)]: region of the nearest point that a cell sees,
        be that -1; -1 where it sees none.
    """
    height, width = size
    shape = (-(-height // stride), -(-width // stride))
    cells = np.full(shape, -1, dtype=np.int32)
    inside = (uv >= -0.5).all(axis=1) & (uv[:, 0] < width - 0.5) & (uv[:, 1] < height - 0.5)
    column, row = np.floor((uv[inside] + 0.5) / stride).astype(np.int64).T
    number, kept = region[inside], depth[inside]
    # the last one written stays: the nearest; of equally near ones the lowest region
    order = np.lexsort((-number, -kept))
    cell = (row * shape[1] + column)[order]
    last = len(cell) - 1 - np.unique(cell[::-1], return_index=True)[1]
    cells.ravel()[cell[last]] = number[order][last]
    return cells
