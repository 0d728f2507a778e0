"""The sector of a sweep that cameras supervise: training on it alone costs that much less."""

import numpy as np
from numpy.typing import NDArray

from wsss_perception.frame import UNKNOWN
from wsss_training.data.labelled_points import LabelledPoints

_BINS = 72


def supervised_sector(points: LabelledPoints, margin: float) -> LabelledPoints:
    """Keeps the azimuths at which some point is labelled, and ``margin`` radians around them.

    Args:
        points: a whole sweep.
        margin: unlabelled context kept to both sides.

    Returns:
        The sector; the whole sweep where no point is labelled.
    """
    bins = _azimuth_bins(points)
    if (points.labels == UNKNOWN).all():
        return points
    labelled = np.bincount(bins[points.labels != UNKNOWN], minlength=_BINS) > 0
    reach = int(np.ceil(margin / (2 * np.pi) * _BINS))
    kept = np.any([np.roll(labelled, shift) for shift in range(-reach, reach + 1)], axis=0)
    return points.select(kept[bins])


def _azimuth_bins(points: LabelledPoints) -> NDArray[np.int64]:
    azimuth = np.arctan2(points.cloud.xyz[:, 1], points.cloud.xyz[:, 0])
    turn = (np.nan_to_num(azimuth) + np.pi) / (2 * np.pi)
    return np.minimum((turn * _BINS).astype(np.int64), _BINS - 1)
