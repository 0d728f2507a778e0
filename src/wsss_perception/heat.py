"""Colours for how alike points are to a phrase: dark blue for the least, light yellow for most."""

import numpy as np
from numpy.typing import NDArray

from wsss_perception.frame import UNKNOWN
from wsss_perception.ontology import UNKNOWN_COLOR

_COLORS = ((20, 24, 82), (95, 20, 140), (200, 50, 95), (250, 140, 40), (252, 255, 160))
_SHARES = (1, 99)
"""Percentiles of a cloud that have the first and the last colour."""


def heat_levels(similarity: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Ranks similarities [N] within their cloud as levels uint8 [N] of ``heat_palette``.

    Cosines of texts differ little, and differently from phrase to phrase: the cloud's own range
    fills the colours. NaN is UNKNOWN.
    """
    known = np.isfinite(similarity)
    levels = np.full(len(similarity), UNKNOWN, dtype=np.uint8)
    if known.any():
        values = similarity[known]
        low, high = np.percentile(values, _SHARES)
        share = (values - low) / max(high - low, 1e-6)
        levels[known] = np.clip(share * (UNKNOWN - 1), 0, UNKNOWN - 1)
    return levels


def heat_palette() -> NDArray[np.uint8]:
    """Returns RGB colours [256, 3] of the levels; UNKNOWN is grey."""
    stops = np.linspace(0, UNKNOWN - 1, len(_COLORS))
    columns = [np.interp(np.arange(256), stops, channel) for channel in zip(*_COLORS, strict=True)]
    palette = np.rint(np.stack(columns, axis=1)).astype(np.uint8)
    palette[UNKNOWN] = UNKNOWN_COLOR
    return palette
