"""Weights that keep frequent classes from drowning rare ones."""

import numpy as np
from numpy.typing import NDArray

_RAREST = 1e-4
"""Classes rarer than this share count as this frequent, so that a few points cannot dominate."""


def class_weights(counts: NDArray[np.float64], exponent: float) -> NDArray[np.float32]:
    """Weights ``w_c ~ frequency_c ** -exponent`` with a mean of 1 over all points.

    A teacher that takes a rare class for a frequent one most of the time shifts the network's
    prior towards the frequent one; the weights shift it back.

    Args:
        counts: number of points, or their summed reliability, of each class [C].
        exponent: 0 weights all points alike, 1 all classes alike.

    Returns:
        float32 [C]; a class that was not counted weighs like the rarest.
    """
    total = counts.sum()
    if not total > 0:
        return np.ones(len(counts), dtype=np.float32)
    frequency = counts / total
    weights = np.maximum(frequency, _RAREST) ** -exponent
    return (weights / (weights * frequency).sum()).astype(np.float32)
