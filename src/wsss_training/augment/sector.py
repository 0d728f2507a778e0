"""Sectors of a sweep: training on one costs that much less than on the whole sweep.

A teacher labels the sector that cameras see. Of a sweep with labels all around, a random sector
about as wide stands in, so that steps cost the same whatever supervises them.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wsss_perception.frame import UNKNOWN
from wsss_training.data.labelled_points import LabelledPoints

_BINS = 72
_SECTOR_BINS = 18  # 90 degrees; KITTI's cameras see 82


def random_sector(points: LabelledPoints, rng: np.random.Generator) -> LabelledPoints:
    """Forgets all labels but those of a sector of 90 degrees around a random labelled azimuth.

    Args:
        points: a whole sweep.
        rng: chooses the azimuth.

    Returns:
        The whole sweep with labels in the sector alone; as it is where labels reach no wider.
    """
    bins = _azimuth_bins(points)
    labelled = np.unique(bins[points.labels != UNKNOWN])
    if len(labelled) <= _SECTOR_BINS:
        return points
    start = rng.choice(labelled) - _SECTOR_BINS // 2
    inside = (bins - start) % _BINS < _SECTOR_BINS
    return replace(
        points,
        labels=np.where(inside, points.labels, np.uint8(UNKNOWN)),
        weights=np.where(inside, points.weights, np.float32(0)),
    )


def supervised_sector(points: LabelledPoints, margin: float) -> LabelledPoints:
    """Keeps the azimuths at which some point is labelled, and ``margin`` radians around them.

    Args:
        points: a whole sweep.
        margin: unlabelled context kept to both sides.

    Returns:
        The sector; the whole sweep where no point is labelled.
    """
    return sector_around(points, points.labels != UNKNOWN, margin)


def sector_around(
    points: LabelledPoints, wanted: NDArray[np.bool_], margin: float
) -> LabelledPoints:
    """Keeps the azimuths of wanted points [N], and ``margin`` radians around them.

    Where none is wanted, the whole sweep is kept.
    """
    if not wanted.any():
        return points
    bins = _azimuth_bins(points)
    occupied = np.bincount(bins[wanted], minlength=_BINS) > 0
    reach = int(np.ceil(margin / (2 * np.pi) * _BINS))
    kept = np.any([np.roll(occupied, shift) for shift in range(-reach, reach + 1)], axis=0)
    return points.select(kept[bins])


def _azimuth_bins(points: LabelledPoints) -> NDArray[np.int64]:
    azimuth = np.arctan2(points.cloud.xyz[:, 1], points.cloud.xyz[:, 0])
    turn = (np.nan_to_num(azimuth) + np.pi) / (2 * np.pi)
    return np.minimum((turn * _BINS).astype(np.int64), _BINS - 1)
