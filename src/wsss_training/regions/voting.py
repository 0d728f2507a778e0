"""Votes of regions: one label for all points of a region."""

import numpy as np
from numpy.typing import NDArray

from wsss_perception.frame import UNKNOWN


def vote(
    region: NDArray[np.int32],
    labels: NDArray[np.uint8],
    weights: NDArray[np.floating] | None = None,
) -> NDArray[np.uint8]:
    """Gives every point the label that most of its region's labelled points have.

    Args:
        region: region of each point [N], -1 for none.
        labels: uint8 [N], UNKNOWN where a point does not vote.
        weights: of the votes [N]; by default all count the same.

    Returns:
        uint8 [N]; points of no region, or of one without votes, keep their own label.
    """
    voters = (region >= 0) & (labels != UNKNOWN)
    if not voters.any():
        return labels.copy()
    classes = int(labels[voters].max()) + 1
    cell = region[voters].astype(np.int64) * classes + labels[voters]
    counts = np.bincount(
        cell,
        None if weights is None else weights[voters],
        minlength=(int(region.max()) + 1) * classes,
    ).reshape(-1, classes)
    winner = counts.argmax(axis=1).astype(np.uint8)  # of a tie the lower label
    decided = counts.max(axis=1) > 0
    voted = labels.copy()
    inside = np.flatnonzero(region >= 0)
    inside = inside[decided[region[inside]]]
    voted[inside] = winner[region[inside]]
    return voted
