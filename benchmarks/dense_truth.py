"""True classes of a whole image, guessed from the labelled points that a camera sees.

Good enough to compare a real teacher and an imitated one on the same scenes. Needs OpenCV.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from wsss_perception.frame import UNKNOWN
from wsss_perception.ontology import Ontology

SAME = {
    "other-vehicle": "bus",
    "bicyclist": "rider",
    "motorcyclist": "rider",
    "parking": "road",
    "other-ground": "road",
    "trunk": "vegetation",
    "traffic-sign": "traffic sign",
}
"""SemanticKITTI's classes whose pixels have another name in Cityscapes."""


def cityscapes_of(points: Ontology, cityscapes: Ontology) -> NDArray[np.uint8]:
    """Lookup table uint8 [256] from labels of points to labels of pixels."""
    table = np.full(256, UNKNOWN, np.uint8)
    table[: len(points)] = [cityscapes.index(SAME.get(name, name)) for name in points.classes]
    return table


def fill_image(
    uv: NDArray[np.float64],
    labels: NDArray[np.uint8],
    shape: tuple[int, int],
    sky: int,
    reach: float = 12.0,
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Gives every pixel the class of the nearest point, and numbers what hangs together.

    Args:
        uv: pixel coordinates [N, 2] of labelled points.
        labels: Cityscapes labels [N].
        shape: height and width of the image.
        sky: label of what lies above all points and farther than ``reach`` pixels from them.
        reach: see above.

    Returns:
        Classes uint8 [H, W] and regions int32 [H, W]; -1 is the sky.
    """
    column, row = np.clip(np.floor(uv + 0.5).astype(int), 0, np.array(shape[::-1]) - 1).T
    seeds = np.full(shape, UNKNOWN, np.uint8)
    seeds[row, column] = labels
    free = seeds == UNKNOWN
    distance, nearest = cv2.distanceTransformWithLabels(
        free.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros(nearest.max() + 1, np.uint8)
    table[nearest[~free]] = seeds[~free]
    classes = table[nearest]
    first = np.where(free.all(axis=0), shape[0], free.argmin(axis=0))
    above = (distance > reach) & (np.arange(shape[0])[:, None] < first)
    classes[above] = sky
    regions = np.full(shape, -1, np.int32)
    count = 0
    for label in np.unique(classes[~above]):
        parts, number = cv2.connectedComponents(((classes == label) & ~above).astype(np.uint8))
        regions[number > 0] = number[number > 0] + count
        count += parts
    return classes, regions


def border_distance(
    uv: NDArray[np.float64], labels: NDArray[np.uint8], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Distance in pixels [N] from each point to the nearest point of another label."""
    column, row = np.clip(np.floor(uv + 0.5).astype(int), 0, np.array(shape[::-1]) - 1).T
    distance = np.full(len(uv), float(sum(shape)), np.float32)
    for label in np.unique(labels):
        own = labels == label
        if own.all():
            break
        elsewhere = np.ones(shape, np.uint8)
        elsewhere[row[~own], column[~own]] = 0
        field = cv2.distanceTransform(elsewhere, cv2.DIST_L2, 5)
        distance[own] = field[row[own], column[own]]
    return distance
