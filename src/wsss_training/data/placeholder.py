"""Stand-in voxels for a batch without any, which no sparse convolution takes."""

import numpy as np
import torch
from numpy.typing import NDArray

_COORDS = np.array([[0, 0, 0, 0], [0, 64, 64, 64]], dtype=np.int32)
"""Two voxels, of different cells at the network's coarsest level: BatchNorm needs two rows."""


def fill_empty(
    coords: NDArray[np.int32], features: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Gives a batch without voxels two that no point is in; others stay as they are.

    Several processes that train together must all run their networks, also those whose clouds
    happen to have no point in range.

    Args:
        coords: of (batch, x, y, z) [M, 4].
        features: [M, F].
    """
    if len(coords):
        return coords, features
    return _COORDS.copy(), np.zeros((len(_COORDS), features.shape[1]), dtype=np.float32)


def is_placeholder(coords: torch.Tensor) -> bool:
    """Whether these are the voxels that ``fill_empty`` makes up."""
    return len(coords) == len(_COORDS) and bool((coords.cpu() == torch.from_numpy(_COORDS)).all())
