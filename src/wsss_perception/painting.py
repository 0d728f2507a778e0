"""Point painting: image colours as channels of a cloud, computed alike in training and live."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import MessageError
from wsss_perception.features import PAINTED
from wsss_perception.frame import PointCloud, View
from wsss_perception.geometry import Visible

Sight = tuple[NDArray[np.int64], NDArray[np.uint8]]
"""Indices [M] of points that a camera sees, each once, and the colours [M, 3] it sees them in."""


def paint(cloud: PointCloud, views: Sequence[View], visible: Sequence[Visible]) -> PointCloud:
    """Adds the channels PAINTED to a cloud: image colours at its points.

    Args:
        cloud: N points.
        views: cameras that look at it; one without pixels (an image of [0, 0, 3]) paints nothing.
        visible: what each view sees, see ``geometry.visible_points``.

    Returns:
        The cloud with the channels, which replace those it may have.

    Raises:
        MessageError: an image is not of its camera's size.
    """
    pairs = zip(views, visible, strict=True)
    return add_colors(cloud, [look(view, seen) for view, seen in pairs if view.image.size])


def look(view: View, visible: Visible) -> Sight:
    """Reads the colours that a view sees points in: of the pixel that each falls on.

    The nearest pixel is taken and not a mixture of four: calibrations are hardly better than a
    pixel, and whole colours are the same ones from a cache of training.

    Args:
        view: with its pixels.
        visible: the points it sees, and where.

    Raises:
        MessageError: the image is not of the camera's size.
    """
    index, uv = visible
    height, width = view.image.shape[:2]
    if (width, height) != (view.camera.width, view.camera.height):
        raise MessageError(
            f"camera '{view.name}': the image is {width} x {height}, its calibration is for "
            f"{view.camera.width} x {view.camera.height}"
        )
    column, row = np.floor(uv + 0.5).astype(np.int64).T
    return index, view.image[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]


def add_colors(cloud: PointCloud, sights: Iterable[Sight]) -> PointCloud:
    """Adds the channels PAINTED to a cloud: the mean over the cameras that see a point, 0..1.

    Points that no camera sees get 0 in all of them.
    """
    sums = np.zeros((len(cloud), 3), dtype=np.float32)
    seen = np.zeros(len(cloud), dtype=np.float32)
    for index, colors in sights:
        sums[index] += colors
        seen[index] += 1
    sums /= (np.float32(255) * np.maximum(seen, 1))[:, None]
    columns = (*np.ascontiguousarray(sums.T), (seen > 0).astype(np.float32))
    return replace(cloud, channels={**cloud.channels, **dict(zip(PAINTED, columns, strict=True))})
