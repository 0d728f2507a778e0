"""Which frames of a video to look at: one from each of several equal parts."""

import numpy as np
from numpy.typing import NDArray


def draw_views(
    count: int, views: int | None, rng: np.random.Generator | None = None
) -> NDArray[np.int64]:
    """Chooses one frame from each of ``views`` parts of a video, as equal as whole frames allow.

    Args:
        count: number of frames of the video.
        views: number of parts; None, or as many as there are frames or more, for all frames.
        rng: draws a frame of each part, as for training; None takes the middle one of each.

    Returns:
        Indices [min(count, views)] of the frames, ascending.
    """
    if views is None or views >= count:
        return np.arange(count, dtype=np.int64)
    bounds = np.arange(views + 1, dtype=np.int64) * count // views
    first, end = bounds[:-1], bounds[1:]
    return (first + end - 1) // 2 if rng is None else rng.integers(first, end)
