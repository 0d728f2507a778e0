"""Sectors: the part of a sweep that cameras supervise, and sweeps made of several of them.

A forward camera labels a quarter of a sweep. Training on that quarter costs a quarter of the
time; four quarters of four sweeps around one sensor make a sweep with labels all around, the
scene-level mixing of PolarMix (Xiao et al., NeurIPS 2022).
"""

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
    """
    bins = _azimuth_bins(points)
    labelled = np.bincount(bins[points.labels != UNKNOWN], minlength=_BINS) > 0
    reach = int(np.ceil(margin / (2 * np.pi) * _BINS))
    kept = np.any([np.roll(labelled, shift) for shift in range(-reach, reach + 1)], axis=0)
    return points.select(kept[bins])


def _azimuth_bins(points: LabelledPoints) -> NDArray[np.int64]:
    azimuth = np.arctan2(points.cloud.xyz[:, 1], points.cloud.xyz[:, 0])
    turn = (azimuth + np.pi) / (2 * np.pi)
    return np.minimum((turn * _BINS).astype(np.int64), _BINS - 1)
