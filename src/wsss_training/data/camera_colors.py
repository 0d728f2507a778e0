"""Colours that each camera sees a sweep's points in, kept apart so that cameras can be dropped."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wsss_perception.errors import DatasetError
from wsss_perception.painting import Sight, add_colors, look
from wsss_perception.segmenter import see_points
from wsss_training.data.labelled_points import LabelledPoints
from wsss_training.data.sample import Sample

COLORS = "camera_colors"
"""Attribute: uint8 [N, K, 3], the colour that each of K cameras sees a point in, or 0."""
SEEN = "camera_seen"
"""Attribute: bool [N, K], whether the camera sees it."""


def read_colors(sample: Sample) -> dict[str, NDArray]:
    """Reads the images of a sample -> the attributes COLORS and SEEN of its points.

    Raises:
        DatasetError: an image cannot be read, or has a depth image.
    """
    shape = (len(sample.cloud), len(sample.images))
    colors, seen = np.zeros((*shape, 3), dtype=np.uint8), np.zeros(shape, dtype=bool)
    for camera, image in enumerate(sample.images):
        if image.depth is not None:
            raise DatasetError(
                f"{sample.sample_id}: camera '{image.name}' has depth images; its points may be "
                "nearer than the metre from which on a robot's cameras see them, so that no robot "
                "would paint them alike: train with model.cameras=none"
            )
        view = image.load()
        (visible,) = see_points(sample.cloud.xyz, (view,))
        index, found = look(view, visible)
        colors[index, camera], seen[index, camera] = found, True
    return {COLORS: colors, SEEN: seen}


def painted(points: LabelledPoints) -> LabelledPoints:
    """Paints points with all cameras of their attributes, see ``wsss_perception.painting``."""
    colors, seen = points.attributes[COLORS], points.attributes[SEEN]
    sights: list[Sight] = []
    for camera in range(seen.shape[1]):
        index = np.flatnonzero(seen[:, camera])
        sights.append((index, colors[index, camera]))
    return replace(points, cloud=add_colors(points.cloud, sights))


def unpainted(points: LabelledPoints) -> LabelledPoints:
    """Returns the points as if no camera had an image."""
    colors, seen = points.attributes[COLORS], points.attributes[SEEN]
    return repainted(points, np.zeros_like(colors), np.zeros_like(seen))


def repainted(
    points: LabelledPoints, colors: NDArray[np.uint8], seen: NDArray[np.bool_]
) -> LabelledPoints:
    """Returns the points with other colours [N, K, 3] and cameras [N, K], painted with them."""
    return painted(replace(points, attributes={**points.attributes, COLORS: colors, SEEN: seen}))
